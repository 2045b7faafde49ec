"""A simulated examination of a real knee map through the whole chain, against its truth; and all of them in figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.knee import CORTEX_MM, within
from marrowscope.anatomy.knee_model import BONES, MODEL, OUTLINES
from marrowscope.anatomy.knee_regions import subregions
from marrowscope.anatomy.knee_side import LATERAL_BY_SIDE
from marrowscope.assessment.pipeline import detect, prepare
from marrowscope.errors import UsageError
from marrowscope.inference.card import load_card
from marrowscope.knowledge.scores import score
from marrowscope.lesion.measure import counted
from marrowscope.lesion.objects import CONNECTIVITY
from marrowscope.lesion.types import Objects
from marrowscope.scoring.moaks_bml import estimate
from marrowscope.validation.agreement import concordance, dice, limits_of_agreement, weighted_kappa
from marrowscope.validation.figures import peak_mb, rounded
from marrowscope.validation.knee_cases import Case, subject_of
from marrowscope.volume import AnyArray

SIZE_CLASSES_CM3 = ((0.1, 0.5), (0.5, 2.0), (2.0, float("inf")))
"""Small, middle and large lesions; under 0.1 cm3 (a handful of voxels) none is counted as missed."""

FOUND_SHARE = 0.2
"""A true lesion is found when this share of it is marked; a mark is false when less than this share is true."""

FLOOR_CM3 = 0.03
"""Smallest object the detector keeps: the logarithm of a volume starts here."""

GRADES = 4


@dataclass(frozen=True)
class KneeResult:
    """One case: overlaps, volumes, lesions found and missed, grades, cost."""

    name: str
    dice: dict[str, float | None]
    lesion_dice: float | None
    true_cm3: float
    found_cm3: float
    lesions: list[tuple[float, bool]]
    false_lesions: int
    true_grades: list[int]
    found_grades: list[int]
    seconds: float


def unseen_maps(data: Path, *, every: bool) -> list[Path]:
    """The maps of a folder whose subjects the model never saw (all of them if ``every``).

    Raises:
        UsageError: none is left.
    """
    paths = sorted(data.glob("*.nii.gz")) + sorted(data.glob("*.nii"))
    seen = set(load_card(MODEL).settings["trained_subjects"])
    chosen = [p for p in paths if every or subject_of(p) not in seen]
    if not chosen:
        found = f"{len(paths)} maps in {data.name}, all of subjects the model was trained on" if paths else "no maps"
        raise UsageError(found, "knee label maps of other subjects", "give --all to bench on training subjects too")
    return chosen


def judge(case: Case) -> KneeResult:
    """Run prepare and detect on a case and compare with its truth."""
    started = time.perf_counter()
    objects = detect(prepare(case.study))
    seconds = time.perf_counter() - started
    voxel = objects.exam.image.voxel_volume_mm3 / 1000
    found = counted(objects)
    lesions, false = matched(case.lesions, found, voxel)
    true_grades, found_grades = grades(case, objects)
    return KneeResult(
        case.name,
        bone_dice(case, objects),
        dice(case.lesions, found),
        float(case.lesions.sum()) * voxel,
        float(found.sum()) * voxel,
        lesions,
        false,
        true_grades,
        found_grades,
        seconds,
    )


def bone_dice(case: Case, objects: Objects) -> dict[str, float | None]:
    """Overlap of each bone's outline (cortex counted in) with the truth; 0 for a bone that was not found."""
    outlines = objects.anatomy.extras.get(OUTLINES)
    empty = np.zeros(objects.exam.image.shape, np.uint16)
    labels = empty if outlines is None else outlines.array
    return {name: dice(case.bones[name], labels == n) for n, name in enumerate(BONES, start=1)}


def matched(truth: AnyArray, found: AnyArray, voxel_cm3: float) -> tuple[list[tuple[float, bool]], int]:
    """(volume, found or not) of every true lesion of the smallest class or more; number of false marks."""
    true_labels, true_count = ndimage.label(truth, structure=CONNECTIVITY)
    marks, mark_count = ndimage.label(found, structure=CONNECTIVITY)
    lesions = []
    for n in range(1, true_count + 1):
        mask = true_labels == n
        if (volume := float(mask.sum()) * voxel_cm3) >= SIZE_CLASSES_CM3[0][0]:
            lesions.append((volume, bool((mask & found).sum() >= FOUND_SHARE * mask.sum())))
    false = [n for n in range(1, mark_count + 1) if truth[marks == n].mean() < FOUND_SHARE]
    return lesions, len(false)


def grades(case: Case, objects: Objects) -> tuple[list[int], list[int]]:
    """MOAKS size grades of all subregions: from true bones and lesions, and as estimated (missing ones left out)."""
    grid, definition = objects.exam.image, score("moaks_bml")
    marrow = {name: within(mask, grid, CORTEX_MM) for name, mask in case.bones.items()}
    regions = subregions(marrow, grid, LATERAL_BY_SIDE[case.limb.side])
    cells = {c.id: c.value for c in estimate(objects).cells}
    true, found = [], []
    for code in definition.regions:
        region, value = regions.mask(code), cells[f"{code}.size"]
        if region.any() and value is not None:
            share = 100 * float((region & case.lesions).sum()) / float(region.sum())
            true.append(definition.scale("size").grade(share))
            found.append(int(value))
    return true, found


def summarise(results: Sequence[KneeResult]) -> dict[str, Any]:
    """All figures of the bench as plain data; None where too few cases allow one."""
    volumes = [r.true_cm3 for r in results], [r.found_cm3 for r in results]
    logs = [np.log(np.maximum(v, FLOOR_CM3)) for v in volumes]
    with_lesion = [r for r in results if r.true_cm3 >= SIZE_CLASSES_CM3[0][0]]
    true, found = ([g for r in results for g in getattr(r, key)] for key in ("true_grades", "found_grades"))
    names = results[0].dice
    bones = {n: [d for r in results if (d := r.dice[n]) is not None] for n in names}
    return {
        "examinations": len(results),
        "bone_dice": {n: {"mean": rounded(np.mean(v)), "least": rounded(min(v))} for n, v in bones.items() if v},
        "lesion_dice_mean": rounded(np.mean([r.lesion_dice or 0.0 for r in with_lesion])) if with_lesion else None,
        "concordance_of_log_volumes": rounded(concordance(*logs)),
        "bland_altman_found_minus_true_cm3": [
            rounded(v) for v in limits_of_agreement([r.true_cm3 for r in results], [r.found_cm3 for r in results]) or ()
        ],
        "sensitivity": {f"{low:g}-{high:g} cm3": _share(results, low, high) for low, high in SIZE_CLASSES_CM3},
        "false_lesions_per_knee": rounded(np.mean([r.false_lesions for r in results])),
        "moaks_size_weighted_kappa": rounded(weighted_kappa(true, found, GRADES)),
        "seconds_median": rounded(np.median([r.seconds for r in results])),
        "peak_memory_mb": peak_mb(),
    }


def _share(results: Sequence[KneeResult], low: float, high: float) -> str:
    hits = [hit for r in results for volume, hit in r.lesions if low <= volume < high]
    return f"{sum(hits)} of {len(hits)}"


def line(result: KneeResult) -> str:
    """One case in one line."""
    bones = " ".join(f"{n} {d:.3f}" for n, d in result.dice.items() if d is not None)
    lesions = f"{result.true_cm3:.2f} cm3 true, {result.found_cm3:.2f} found, {result.false_lesions} false"
    return f"{result.name}: {bones}; {lesions}; {result.seconds:.1f} s"
