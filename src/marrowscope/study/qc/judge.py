"""Which checks a study's series get, and which other series each one needs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from marrowscope.measurement import QcCheck, Severity
from marrowscope.study.qc.dixon import check_swap
from marrowscope.study.qc.extent import check_coverage, check_maturity
from marrowscope.study.qc.metal import check_metal
from marrowscope.study.qc.noise import check_motion, check_snr
from marrowscope.study.qc.slices import Slices, coarse
from marrowscope.study.qc.suppression import check_suppression
from marrowscope.study.types import Guess, NiftiSource, PatientFacts, Role, SequenceClass, Series, SourceFrames
from marrowscope.volume import resample

_JUDGED: Final = frozenset((Role.FLUID, Role.T1, Role.T2_NOFS, Role.T1_CONTRAST_FS))
_UNSUPPRESSED: Final = (Role.T1, Role.T2_NOFS)
_MIN_OVERLAP: Final = 0.5
_SAME_PLACE_MM: Final = 0.2
"""Grids this close need no resampling to compare tissues 20 mm wide."""

_TRUNK: Final = frozenset(("si_joint", "hip_pelvis", "spine", "chest_wall", "diffuse"))
_NO_SITE: Final = Guess(None)


def judge(
    series: tuple[Series, ...],
    patient: PatientFacts,
    site: Guess = _NO_SITE,
    first_instances: Mapping[str, int | None] | None = None,
) -> tuple[Series, ...]:
    """The series with their quality checks; series no result rests on are left as they are.

    Args:
        series: every series of the study.
        patient: for skeletal maturity.
        site: what is known of the site: trunks are not judged by the air around them.
        first_instances: lowest DICOM instance number by series uid, where known.
    """
    trunk = bool({site.value, *site.candidates} & _TRUNK)
    grids = {s.uid: replace(coarse(s.volume), trunk=trunk) for s in series if s.role in _JUDGED}
    metal = _metal(series, grids)
    judged = []
    for one in series:
        if one.uid not in grids:
            judged.append(one)
            continue
        grid = grids[one.uid]
        first = (first_instances or {}).get(one.uid)
        checks = [
            check_coverage(one.volume, one.sequence, grid, first),
            check_snr(one.volume, grid),
            check_motion(grid),
        ]
        if one.role is Role.FLUID:
            checks += _fluid_checks(one, series, grids, patient)
        checks += metal.get(one.uid, []) if one.role is not Role.FLUID else [_nearest_metal(one, series, metal)]
        judged.append(replace(one, qc=(*one.qc, *checks)))
    return tuple(judged)


def _fluid_checks(
    one: Series, series: tuple[Series, ...], grids: Mapping[str, Slices], patient: PatientFacts
) -> list[QcCheck]:
    checks = [check_suppression(one.sequence, grids[one.uid], _t1_on(one, series)), check_maturity(patient)]
    if one.sequence.contrast_agent:
        checks.append(
            QcCheck(
                "contrast",
                Severity.REFUSE,
                "acquired after a contrast agent",
                "enhancement looks like edema, and STIR nulls what enhances: no lesion is sized on it",
            )
        )
    if one.sequence_class is SequenceClass.DIXON_WATER and (fat := _partner(one, series)) is not None:
        checks.append(check_swap(grids[one.uid], coarse(fat.volume)))
    return checks


def _partner(water: Series, series: tuple[Series, ...]) -> Series | None:
    """The fat image of the same Dixon acquisition: same grid, same echo train."""
    return next((s for s in series if s.role is Role.FAT and s.volume.same_grid(water.volume)), None)


def _metal(series: tuple[Series, ...], grids: Mapping[str, Slices]) -> dict[str, list[QcCheck]]:
    return {
        s.uid: [check_metal(grids[s.uid], f"series {s.number}" if s.number is not None else s.uid)]
        for s in series
        if s.role in _UNSUPPRESSED
    }


def _nearest_metal(one: Series, series: tuple[Series, ...], metal: Mapping[str, list[QcCheck]]) -> QcCheck:
    """The worst metal verdict of the study's unsuppressed series; its slice numbers are not a fluid series'."""
    order = (Severity.WARNING, Severity.OK, Severity.NOTE)
    checks = [check for found in metal.values() for check in found]
    if not checks:
        text = "metal not judged: it needs a series without fat suppression"
        return QcCheck("metal", Severity.NOTE, text, "look for voids yourself")
    return replace(min(checks, key=lambda check: order.index(check.severity)), slices=())


def _t1_on(fluid: Series, series: tuple[Series, ...]) -> Slices | None:
    """A T1 series of the same frame of reference, sampled on the fluid series' grid; None when there is none."""
    for t1 in series:
        if t1.role is Role.T1 and _same_frame(fluid, t1):
            close = t1.volume.same_grid(fluid.volume, _SAME_PLACE_MM)
            sampled = t1.volume if close else resample(t1.volume, fluid.volume, outside=-1.0)
            if float((sampled.array >= 0).mean()) >= _MIN_OVERLAP:
                return coarse(sampled)
    return None


def _same_frame(one: Series, other: Series) -> bool:
    sources = (one.source, other.source)
    if isinstance(sources[0], SourceFrames) and isinstance(sources[1], SourceFrames):
        uid = sources[0].frame_of_reference_uid
        return bool(uid) and uid == sources[1].frame_of_reference_uid
    return one.volume.same_grid(other.volume) or all(isinstance(s, NiftiSource) and s.in_scanner_frame for s in sources)
