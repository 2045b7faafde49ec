"""Which checks a study's series get, and which other series each one needs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np

from marrowscope.measurement import QcCheck, Severity
from marrowscope.study.qc.dixon import check_swap
from marrowscope.study.qc.extent import check_coverage, check_maturity, maybe_growing
from marrowscope.study.qc.ghosts import check_motion_inside
from marrowscope.study.qc.metal import MARGIN_MM, Void, check_metal, find_metal
from marrowscope.study.qc.noise import check_motion, check_snr
from marrowscope.study.qc.physis import check_growth_plates
from marrowscope.study.qc.slices import Slices, coarse
from marrowscope.study.qc.suppression import check_suppression
from marrowscope.study.qc.voids import boxes_of, near
from marrowscope.study.types import Guess, NiftiSource, PatientFacts, Role, SequenceClass, Series, SourceFrames
from marrowscope.volume import resample

_UNSUPPRESSED: Final = (Role.T1, Role.T2_NOFS)
_MOST_UNSUPPRESSED: Final = 2
"""Series without fat suppression that are searched for metal, T1 first: more cost time and add nothing."""

_MIN_OVERLAP: Final = 0.5
_SAME_PLACE_MM: Final = 0.2
"""Grids this close need no resampling to compare tissues 20 mm wide."""

_TOGETHER: Final = 2
"""Series worked on at a time: the two cores of a small machine."""

_TRUNK: Final = frozenset(("si_joint", "hip_pelvis", "spine", "chest_wall", "diffuse"))
_KNEE: Final = "knee"
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
        patient: for skeletal maturity; growth plates are looked for in knees that may still be growing.
        site: what is known of the site: trunks are not judged by the air around them.
        first_instances: lowest DICOM instance number by series uid, where known.
    """
    trunk = bool({site.value, *site.candidates} & _TRUNK)
    plain = [s for role in _UNSUPPRESSED for s in series if s.role is role][:_MOST_UNSUPPRESSED]
    wanted = {s.uid for s in (*plain, *(s for s in series if s.role is Role.FLUID))}
    looked = [s for s in series if s.uid in wanted]
    with ThreadPoolExecutor(_TOGETHER) as pool:  # the filters run without the interpreter lock
        grids = {
            s.uid: replace(grid, trunk=trunk)
            for s, grid in zip(looked, pool.map(lambda s: coarse(s.volume), looked), strict=True)
        }
        voids = dict(zip((s.uid for s in plain), pool.map(lambda s: find_metal(grids[s.uid]), plain), strict=True))
    metal = {s.uid: check_metal(voids[s.uid], _name(s)) for s in plain}

    def judged(one: Series) -> Series:
        grid = grids.get(one.uid)
        if grid is None:
            return one
        first = (first_instances or {}).get(one.uid)
        checks = [check_coverage(one.volume, one.sequence, grid, first), check_snr(one.volume, grid)]
        if one.role is not Role.FLUID:
            return replace(one, qc=(*one.qc, *checks, metal[one.uid]))
        seen = _without_metal(one, series, grids, voids)
        checks += [*_fluid_checks(one, series, grids, patient), _metal_on(seen, _worst_metal(metal))]
        if site.value == _KNEE and maybe_growing(patient):
            checks.append(check_growth_plates(one.volume, grid))
        return replace(seen, qc=(*one.qc, *checks))

    with ThreadPoolExecutor(_TOGETHER) as pool:
        return tuple(pool.map(judged, series))


def _name(series: Series) -> str:
    return f"series {series.number}" if series.number is not None else series.uid


def _fluid_checks(
    one: Series, series: tuple[Series, ...], grids: Mapping[str, Slices], patient: PatientFacts
) -> list[QcCheck]:
    checks = [check_suppression(one.sequence, grids[one.uid], _t1_on(one, series, grids))]
    checks += [check_motion(grids[one.uid]), check_motion_inside(one.volume, grids[one.uid]), check_maturity(patient)]
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


def _worst_metal(metal: Mapping[str, QcCheck]) -> QcCheck:
    """The worst metal verdict of the study's unsuppressed series; its slice numbers are not a fluid series'."""
    order = (Severity.WARNING, Severity.OK, Severity.NOTE)
    if not metal:
        text = "metal not judged: it needs a series without fat suppression"
        return QcCheck("metal", Severity.NOTE, text, "look for voids yourself")
    return replace(min(metal.values(), key=lambda check: order.index(check.severity)), slices=())


def _without_metal(
    fluid: Series,
    series: tuple[Series, ...],
    grids: Mapping[str, Slices],
    voids: Mapping[str, tuple[Void, ...] | None],
) -> Series:
    """The fluid series with the voxels near a void left out, for voids of series in its frame of reference."""
    found = [
        box
        for other in series
        if (there := voids.get(other.uid)) and _same_frame(fluid, other)
        for box in boxes_of(there, grids[other.uid], other.volume)
    ]
    return replace(fluid, left_out=near(found, fluid.volume, MARGIN_MM)) if found else fluid


def _metal_on(fluid: Series, worst: QcCheck) -> QcCheck:
    """The verdict with the fluid series' own slices, or with the word that the place is not known."""
    if worst.severity is not Severity.WARNING:
        return worst
    if fluid.left_out is None:
        return replace(worst, consequence="where it lies on this series is not known: no part of it is left out")
    across = tuple(a for a in range(3) if a != fluid.volume.slice_axis)
    slices = tuple(int(k) for k in np.flatnonzero(fluid.left_out.any(axis=across)))
    return replace(worst, slices=slices)


def _t1_on(fluid: Series, series: tuple[Series, ...], grids: Mapping[str, Slices]) -> Slices | None:
    """A T1 series of the same frame of reference, sampled on the fluid series' grid; None when there is none."""
    for t1 in series:
        if t1.role is not Role.T1 or not _same_frame(fluid, t1):
            continue
        if t1.volume.same_grid(fluid.volume, _SAME_PLACE_MM):
            return grids.get(t1.uid) or coarse(t1.volume)
        sampled = resample(t1.volume, fluid.volume, outside=-1.0)
        if float((sampled.array >= 0).mean()) >= _MIN_OVERLAP:
            return coarse(sampled)
    return None


def _same_frame(one: Series, other: Series) -> bool:
    sources = (one.source, other.source)
    if isinstance(sources[0], SourceFrames) and isinstance(sources[1], SourceFrames):
        uid = sources[0].frame_of_reference_uid
        return bool(uid) and uid == sources[1].frame_of_reference_uid
    if one.volume.same_voxels(other.volume):
        return True
    a, b = sources
    return isinstance(a, NiftiSource) and isinstance(b, NiftiSource) and a.shares_frame(b)
