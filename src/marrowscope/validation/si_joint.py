"""A sacroiliac case through the whole chain, by a fold that never saw it, against each of its readings."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.si_joint import segment
from marrowscope.anatomy.si_model import BONES, REGION
from marrowscope.assessment.pipeline import prepare
from marrowscope.errors import ModelError
from marrowscope.inference import load_card
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.measure import counted, total_measurements
from marrowscope.lesion.objects import CONNECTIVITY
from marrowscope.lesion.si_joint import MODEL, detect
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Severity
from marrowscope.robust import otsu
from marrowscope.scoring.sij import Scene, csf_brightness, make_scene
from marrowscope.scoring.sparcc_sij import estimate, of_scene
from marrowscope.study import Role
from marrowscope.validation.agreement import dice
from marrowscope.validation.si_cases import Case, mask

OVERLAP_SHARE = 0.2
"""A reader's lesion is found, and a mark of ours is true, when this share of it overlaps."""

SMALLEST_CM3 = 0.02
"""Objects below this (17 voxels) are not counted as lesions, ours or readers'."""

BODY_SHARE = 0.1
"""The body on T1 lies above this share of the 99th percentile; Otsu's cut inside it parts muscle from fat."""

JOINT_DARK_SHARE = 0.5
"""Joint space on T1 is darker than this share of reference marrow."""


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


def fold_for(case: Case) -> int | None:
    """The fold that never saw any image of the case; None (the ensemble) for a case no card lists.

    Raises:
        ModelError: every fold was trained on it.
    """
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
    started = time.perf_counter()
    exam = prepare(case.study(), "si_joint")
    anatomy = segment(exam, fold)
    refusals = [c.message for c in anatomy.qc if c.severity is Severity.REFUSE]
    if refusals:
        return SiResult(case.name, fold, time.perf_counter() - started, refusals[0])
    objects = detect(exam, anatomy, fold)
    return _compared(case, objects, fold, time.perf_counter() - started)


def _compared(case: Case, objects: Objects, fold: int | None, seconds: float) -> SiResult:

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

    if case.region is None:
        return None, None
    truth, ours = mask(case.region), objects.anatomy.bones.mask()
    t1 = objects.exam.companion(Role.T1)
    if t1 is None:
        return dice(truth, ours), None
    values = t1.volume.array
    dark = values < otsu(values[values > BODY_SHARE * np.percentile(values, 99)])
    return dice(truth, ours), 100 * float((ours & ~truth & dark).sum() / max(1, ours.sum()))


def _in_joint_space(objects: Objects, ours: BoolArray) -> float | None:
    """Share of our edema that lies on the joint line where T1 is darker than half of reference marrow, %."""
    t1 = objects.exam.companion(Role.T1)
    if t1 is None or objects.reference is None or not ours.any():
        return None
    joint = np.any([objects.anatomy.extras[f"{s}_joint"].array > 0 for s in ("left", "right")], axis=0)
    dark = t1.volume.array < JOINT_DARK_SHARE * np.median(t1.volume.array[objects.reference.mask.mask()])
    return 100 * float((ours & joint & dark).sum() / ours.sum())


def matched(readings: dict[str, BoolArray], ours: BoolArray, voxel_cm3: float) -> tuple[int, int, int]:
    """Lesions that most readings share: how many we found, how many there are; and marks of ours on no reading."""
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
    if not readings:
        return 0, 0
    marked = np.any(list(readings.values()), axis=0)
    clean = [k for k in range(ours.shape[axis]) if not np.take(marked, k, axis).any()]
    return len(clean), sum(int(ndimage.label(np.take(ours, k, axis), np.ones((3, 3)))[1]) for k in clean)


def scene_of(objects: Objects, edema: BoolArray) -> Scene | None:
    """A reader's mask in our quadrants, as our own edema would be seen; None where the exam has no joint line."""
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
    seen = scene_of(objects, edema)
    return None if seen is None else of_scene(seen).total.value
