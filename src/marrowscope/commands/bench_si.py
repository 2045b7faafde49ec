"""``marrowscope bench si-joint DATA``: each case against its readers, by a fold that never saw it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from marrowscope.commands.agreement import dice, limits_of_agreement
from marrowscope.errors import ModelError

if TYPE_CHECKING:
    from marrowscope.commands.si_cases import Case
    from marrowscope.labelmap import BoolArray
    from marrowscope.lesion.types import Objects
    from marrowscope.scoring.sij import Scene

OVERLAP_SHARE = 0.2
"""A reader's lesion is found, and a mark of ours is true, when this share of it overlaps."""

SMALLEST_CM3 = 0.02
"""Objects below this (17 voxels) are not counted as lesions, ours or readers'."""

FLOOR_CM3 = 0.02
"""Where the logarithm of a volume starts."""


@dataclass(frozen=True)
class SiResult:
    """One case.

    Attributes:
        name: case. fold: the fold used, None = ensemble (a case that no fold knows). refused: why nothing was found.
        region_dice: against the drawn region. leak_muscle_percent: share of our region outside it, muscle-dark on T1.
        leak_joint_percent: share of our edema in the dark joint space.
        dice: lesion Dice by reading. readers: mean Dice of the readers' cross pairs, or None.
        found, lesions, false: readers' lesions found (any reading), their number, our false ones.
        false_on_clean_slices: our lesions on slices that no reading marks. clean_slices: those slices' number.
        cm3: our volume, its interval. reader_cm3: by reading. sparcc, reader_sparcc: SPARCC of our and readers' masks.
        seconds: from the images in memory to lesions.
    """

    name: str
    fold: int | None
    seconds: float
    refused: str = ""
    region_dice: float | None = None
    leak_muscle_percent: float | None = None
    leak_joint_percent: float | None = None
    dice: dict[str, float | None] = field(default_factory=dict)
    readers: float | None = None
    found: int = 0
    lesions: int = 0
    false: int = 0
    false_on_clean_slices: int = 0
    clean_slices: int = 0
    cm3: tuple[float, float, float] = (0.0, 0.0, 0.0)
    reader_cm3: dict[str, float] = field(default_factory=dict)
    sparcc: float | None = None
    reader_sparcc: dict[str, float | None] = field(default_factory=dict)
    cutoff: float | None = None

    @property
    def mean_dice(self) -> float | None:
        """Mean over the readings."""
        values = [d for d in self.dice.values() if d is not None]
        return float(np.mean(values)) if values else None


def bench_si(
    data: Annotated[Path, typer.Argument(help="Folders CASE/stir.nii.gz with t1, region and lesion_* beside it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    robustness: Annotated[bool, typer.Option(help="Also each case changed: mirrored, coarser, noisy...")] = False,
    only: Annotated[str, typer.Option(help="Only these cases, comma between.")] = "",
) -> None:
    """Compare bones, lesions and SPARCC with readers, leave-one-patient-out."""
    from marrowscope.commands.si_cases import CHANGES, find_cases

    wanted = {n for n in only.split(",") if n}
    cases = [c for c in find_cases(data) if not wanted or c.name in wanted]
    tables: dict[str, list[SiResult]] = {}
    skipped: dict[str, str] = {}
    for change in CHANGES if robustness else ["as it is"]:
        rows = []
        for case in cases:
            try:
                fold = fold_for(case)
            except ModelError as error:
                skipped[case.name] = error.message
                continue
            rows.append(judge(CHANGES[change](case), fold))
            if not as_json:
                typer.echo(f"{change}: {line(rows[-1])}")
        tables[change] = rows
    summary = {"changes": {k: summarise(v) for k, v in tables.items()}, "skipped": skipped}
    if as_json:
        typer.echo(json.dumps(summary | {"cases": {k: [as_dict(r) for r in v] for k, v in tables.items()}}, indent=2))
    else:
        typer.echo(json.dumps(summary, indent=2))


def fold_for(case: Case) -> int | None:
    """The fold that never saw any image of the case; None (the ensemble) for a case no card lists.

    Raises:
        ModelError: every fold was trained on it.
    """
    from marrowscope.anatomy.si_model import BONES, REGION
    from marrowscope.inference import load_card
    from marrowscope.lesion.si_joint import MODEL

    cards = [load_card(n) for n in (REGION, BONES, MODEL)]
    if not any(set(case.hashes) & w.seen for card in cards for w in card.weights):
        return None
    seen_by = [{w.fold for w in card.weights if set(case.hashes) & w.seen} for card in cards]
    free = sorted({w.fold for w in cards[0].weights} - set().union(*seen_by))
    if not free:
        raise ModelError("a case that every fold was trained on", "a case that one fold never saw")
    return free[0]


def judge(case: Case, fold: int | None) -> SiResult:
    """Run prepare, segment and detect on a case and compare with its readings."""
    from marrowscope.anatomy.si_joint import segment
    from marrowscope.assessment.pipeline import prepare
    from marrowscope.lesion.si_joint import detect
    from marrowscope.measurement import Severity

    started = time.perf_counter()
    exam = prepare(case.study(), "si_joint")
    anatomy = segment(exam, fold)
    refusals = [c.message for c in anatomy.qc if c.severity is Severity.REFUSE]
    if refusals:
        return SiResult(case.name, fold, time.perf_counter() - started, refusals[0])
    objects = detect(exam, anatomy, fold)
    return _compared(case, objects, fold, time.perf_counter() - started)


def _compared(case: Case, objects: Objects, fold: int | None, seconds: float) -> SiResult:
    from marrowscope.commands.si_cases import mask
    from marrowscope.lesion.measure import counted, total_measurements
    from marrowscope.scoring.sparcc_sij import estimate

    ours = counted(objects)
    grid = objects.exam.image
    readings = {k: mask(v) for k, v in case.readings.items()}
    voxel = grid.voxel_volume_mm3 / 1000
    found, lesions, false = matched(readings, ours, voxel)
    clean, on_clean = _clean_slices(readings, ours, grid.slice_axis, voxel)
    volume = total_measurements(objects)[0]
    low, high = (volume.value if v is None else v for v in (volume.low, volume.high))
    region, muscle = _region(case, objects)
    return SiResult(
        name=case.name,
        fold=fold,
        seconds=seconds,
        region_dice=region,
        leak_muscle_percent=muscle,
        leak_joint_percent=_in_joint_space(objects, ours),
        dice={k: dice(m, ours) for k, m in readings.items()},
        readers=readers_dice(readings),
        found=found,
        lesions=lesions,
        false=false,
        false_on_clean_slices=on_clean,
        clean_slices=clean,
        cm3=(volume.value or 0.0, low or 0.0, high or 0.0),
        reader_cm3={k: float(m.sum()) * voxel for k, m in readings.items()},
        sparcc=estimate(objects).total.value,
        reader_sparcc={k: _sparcc_of(objects, m) for k, m in readings.items()},
        cutoff=objects.cutoff,
    )


def readers_dice(readings: dict[str, BoolArray]) -> float | None:
    """Mean Dice over all pairs of readings by different readers (R11 with R21, ...)."""
    by_reader: dict[str, list[BoolArray]] = {}
    for name, m in readings.items():
        by_reader.setdefault(name[:2], []).append(m)
    if len(by_reader) < 2:
        return None
    first, second = list(by_reader.values())[:2]
    return float(np.mean([dice(a, b) or 0.0 for a, b in product(first, second)]))


def _region(case: Case, objects: Objects) -> tuple[float | None, float | None]:
    from marrowscope.commands.si_cases import mask
    from marrowscope.robust import otsu
    from marrowscope.study import Role

    if case.region is None:
        return None, None
    truth, ours = mask(case.region), objects.anatomy.bones.mask()
    t1 = objects.exam.companion(Role.T1)
    if t1 is None:
        return dice(truth, ours), None
    values = t1.volume.array
    dark = values < otsu(values[values > 0.1 * np.percentile(values, 99)])
    return dice(truth, ours), 100 * float((ours & ~truth & dark).sum() / max(1, ours.sum()))


def _in_joint_space(objects: Objects, ours: BoolArray) -> float | None:
    """Share of our edema that lies on the joint line where T1 is darker than half of reference marrow, %."""
    from marrowscope.study import Role

    t1 = objects.exam.companion(Role.T1)
    if t1 is None or objects.reference is None or not ours.any():
        return None
    joint = np.any([objects.anatomy.extras[f"{s}_joint"].array > 0 for s in ("left", "right")], axis=0)
    dark = t1.volume.array < 0.5 * np.median(t1.volume.array[objects.reference.mask.mask()])
    return 100 * float((ours & joint & dark).sum() / ours.sum())


def matched(readings: dict[str, BoolArray], ours: BoolArray, voxel_cm3: float) -> tuple[int, int, int]:
    """Lesions that most readings share: how many we found, how many there are; and marks of ours on no reading."""
    from scipy import ndimage

    from marrowscope.lesion.objects import CONNECTIVITY

    if not readings:
        return 0, 0, int(ndimage.label(ours, structure=CONNECTIVITY)[1])
    votes = np.sum(list(readings.values()), axis=0)
    true, count = ndimage.label(votes >= len(readings) / 2, structure=CONNECTIVITY)
    sizes = np.bincount(true.ravel(), minlength=count + 1)
    hits = np.bincount(true[ours], minlength=count + 1)
    big = [n for n in range(1, count + 1) if sizes[n] * voxel_cm3 >= SMALLEST_CM3]
    marks, number = ndimage.label(ours, structure=CONNECTIVITY)
    own = np.bincount(marks.ravel(), minlength=number + 1)
    shared = np.bincount(marks[votes > 0], minlength=number + 1)
    false = sum(own[n] * voxel_cm3 >= SMALLEST_CM3 and shared[n] < OVERLAP_SHARE * own[n] for n in range(1, number + 1))
    return sum(int(hits[n] >= OVERLAP_SHARE * sizes[n]) for n in big), len(big), int(false)


def _clean_slices(readings: dict[str, BoolArray], ours: BoolArray, axis: int, voxel_cm3: float) -> tuple[int, int]:
    """Slices that no reading marks, and our separate marks on them."""
    from scipy import ndimage

    if not readings:
        return 0, 0
    marked = np.any(list(readings.values()), axis=0)
    clean = [k for k in range(ours.shape[axis]) if not np.take(marked, k, axis).any()]
    return len(clean), sum(int(ndimage.label(np.take(ours, k, axis), np.ones((3, 3)))[1]) for k in clean)


def scene_of(objects: Objects, edema: BoolArray) -> Scene | None:
    """A reader's mask in our quadrants, as our own edema would be seen; None where the exam has no joint line."""
    from marrowscope.scoring.sij import csf_brightness, make_scene

    anatomy, grid = objects.anatomy, objects.exam.image
    if anatomy.depth_mm is None:
        return None
    brightness = objects.exam.fluid.volume.array
    return make_scene(
        grid,
        {c: anatomy.regions.mask(c) for c in anatomy.regions.codes},
        {s: anatomy.extras[f"{s}_joint"].array > 0 for s in ("left", "right")},
        edema,
        anatomy.depth_mm.array,
        brightness,
        csf_brightness(grid, brightness, anatomy.bones.mask(), anatomy.bones.mask("sacrum")),
    )


def _sparcc_of(objects: Objects, edema: BoolArray) -> float | None:
    """SPARCC of a reader's mask in our quadrants, by the same rule as ours."""
    from marrowscope.scoring.sparcc_sij import of_scene

    seen = scene_of(objects, edema)
    return None if seen is None else of_scene(seen).total.value


def icc_2_1(table: Sequence[Sequence[float]]) -> float | None:
    """ICC(2,1): two-way random, absolute agreement, single measure (Shrout and Fleiss 1979).

    Args:
        table: one row a subject, one column a rater. None for fewer than three subjects or no variance.
    """
    x = np.asarray(table, dtype=float)
    n, k = x.shape if x.ndim == 2 else (0, 0)
    if n < 3 or k < 2:
        return None
    total = x.mean()
    rows = k * float(((x.mean(1) - total) ** 2).sum()) / (n - 1)
    columns = n * float(((x.mean(0) - total) ** 2).sum()) / (k - 1)
    rest = float(((x - x.mean(1, keepdims=True) - x.mean(0, keepdims=True) + total) ** 2).sum()) / ((n - 1) * (k - 1))
    under = rows + (k - 1) * rest + k * (columns - rest) / n
    return (rows - rest) / under if under > 0 else None


def summarise(results: Sequence[SiResult]) -> dict[str, Any]:
    """All figures as plain data; None where too few cases allow one."""
    read = [r for r in results if r.mean_dice is not None]
    regions = [r.region_dice for r in results if r.region_dice is not None]
    gap = [r.mean_dice - r.readers for r in read if r.mean_dice is not None and r.readers is not None]
    keys = sorted({k for r in read for k in r.reader_cm3})
    return {
        "cases": len(results),
        "refused": {r.name: r.refused for r in results if r.refused},
        "region_dice": _spread(regions),
        "leak_into_muscle_percent": _spread([r.leak_muscle_percent for r in results]),
        "edema_in_joint_space_percent": _spread([r.leak_joint_percent for r in results]),
        "lesion_dice": _spread([r.mean_dice for r in read]),
        "readers_cross_dice": _spread([r.readers for r in read]),
        "lesion_dice_minus_readers": _spread(gap),
        "lesions_found": f"{sum(r.found for r in read)} of {sum(r.lesions for r in read)}",
        "false_lesions_per_scan": _spread([float(r.false) for r in read]),
        "false_marks_on_clean_slices": f"{sum(r.false_on_clean_slices for r in read)} on "
        f"{sum(r.clean_slices for r in read)} slices",
        "log_volume_difference": {k: _bland_altman(read, k) for k in keys},
        "log_volume_difference_between_readers": _between(read, keys),
        "interval_holds_reader_mean": f"{sum(_holds(r) for r in read)} of {len(read)}",
        "sparcc": _sparcc(read, keys),
        "seconds": _spread([r.seconds for r in results]),
        "peak_memory_mb": _peak_mb(),
    }


def _logs(values: Sequence[float]) -> list[float]:
    return [float(np.log(max(v, FLOOR_CM3))) for v in values]


def _bland_altman(read: Sequence[SiResult], key: str) -> list[float | None] | None:
    """Bias and 95 % limits of ln(ours) - ln(reading)."""
    limits = limits_of_agreement(_logs([r.reader_cm3[key] for r in read]), _logs([r.cm3[0] for r in read]))
    return None if limits is None else [_round(v) for v in limits]


def _between(read: Sequence[SiResult], keys: Sequence[str]) -> list[float | None] | None:
    if len(keys) < 3:
        return None
    first, second = keys[0], next((k for k in keys if k[:2] != keys[0][:2]), keys[-1])
    limits = limits_of_agreement(
        _logs([r.reader_cm3[first] for r in read]), _logs([r.reader_cm3[second] for r in read])
    )
    return None if limits is None else [_round(v) for v in limits]


def _holds(result: SiResult) -> bool:
    mean = float(np.mean(list(result.reader_cm3.values())))
    return result.cm3[1] <= mean <= result.cm3[2]


def _sparcc(read: Sequence[SiResult], keys: Sequence[str]) -> dict[str, Any]:
    whole = [r for r in read if r.sparcc is not None and all(r.reader_sparcc.get(k) is not None for k in keys)]
    ours = [float(r.sparcc or 0) for r in whole]
    theirs = {k: [float(r.reader_sparcc[k] or 0) for r in whole] for k in keys}
    means = [float(np.mean([theirs[k][n] for k in keys])) for n in range(len(whole))]
    pairs = [(a, b) for a, b in product(keys, keys) if a < b and a[:2] != b[:2]]
    return {
        "ours": ours,
        "readings": theirs,
        "icc_2_1_ours_with_reader_mean": _round(icc_2_1(list(zip(ours, means, strict=True)))),
        "icc_2_1_between_readings": _round(icc_2_1([[theirs[k][n] for k in keys] for n in range(len(whole))])),
        "mean_absolute_difference": _round(_mean([abs(a - b) for a, b in zip(ours, means, strict=True)])),
        "readers_mean_absolute_difference": _round(
            _mean([abs(x - y) for a, b in pairs for x, y in zip(theirs[a], theirs[b], strict=True)])
        ),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _spread(values: Sequence[float | None]) -> dict[str, float | None] | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": _round(_mean(known)), "sd": _round(sd), "least": _round(min(known)), "most": _round(max(known))}


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _peak_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)


def line(r: SiResult) -> str:
    """One case in words."""
    if r.refused:
        return f"{r.name}: refused: {r.refused} ({r.seconds:.1f} s)"
    region = "-" if r.region_dice is None else f"{r.region_dice:.3f}"
    lesion = "-" if r.mean_dice is None else f"{r.mean_dice:.3f}"
    readers = "-" if r.readers is None else f"{r.readers:.3f}"
    return (
        f"{r.name} fold {r.fold}: region {region}, lesion {lesion} (readers {readers}), found {r.found}/{r.lesions}, "
        f"false {r.false}, {r.cm3[0]:.1f} cm3 [{r.cm3[1]:.1f}-{r.cm3[2]:.1f}], cut-off {r.cutoff or 0:.2f}, "
        f"SPARCC {r.sparcc}, {r.seconds:.1f} s"
    )


def as_dict(r: SiResult) -> dict[str, Any]:
    """One case as plain data."""
    from dataclasses import asdict

    return asdict(r) | {"mean_dice": r.mean_dice}
