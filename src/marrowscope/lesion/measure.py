"""Measurements of lesions, bones and the whole exam: value, unit, doubt, or the reason there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.types import Anatomy, Companion, Exam
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.crop import Crop, crops
from marrowscope.lesion.objects import CONNECTIVITY
from marrowscope.lesion.reference import muscle_brightness
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import THRESHOLD, LesionKind, Objects, Verdict
from marrowscope.measurement import Measurement, Severity
from marrowscope.study import Role

MM3_PER_CM3 = 1000.0
PLAUSIBLE = "plausible thresholds"
READ = "plausible thresholds, widened until they held the mean volume of the readings of each of five patients"
SIMULATED = "holding 9 of 10 simulated lesions of this size"
GROWTH_VOXELS = 3
"""The lenient threshold may add this many voxels around a lesion: further is another object."""

LARGEST_BLOCKED_SHARE = 0.1
"""From this share of marrow left out on, a sum over the bone would read as if nothing were there."""

NOT_SEARCHED = "no reference marrow: lesions were not searched for"


_t1_muscles: WeakKeyDictionary[Exam, WeakKeyDictionary[Anatomy, float | None]] = WeakKeyDictionary()
"""Muscle on T1 of exams at hand: no edit changes it, and it takes a third of the time that concluding anew may take."""


@dataclass(frozen=True, eq=False)
class Context:
    """What every lesion of one exam is compared with, worked out once.

    Attributes:
        crops: every lesion in its box.
        t1_muscle: brightness of muscle on T1, or None. t1_reference: that of reference marrow, or None.
    """

    objects: Objects
    crops: Mapping[int, Crop]
    t1_muscle: float | None
    t1_reference: float | None

    @classmethod
    def of(cls, objects: Objects) -> Self:
        """The comparators that this exam offers."""
        boxes = crops(objects.lesions.volume.array, GROWTH_VOXELS + 1)
        t1 = objects.exam.companion(Role.T1)
        if t1 is None:
            return cls(objects, boxes, None, None)
        muscle = _t1_muscle(objects.exam, objects.anatomy, t1)
        if objects.reference is None:
            return cls(objects, boxes, muscle, None)
        normal = t1.volume.array[objects.reference.mask.mask() & t1.covered]
        return cls(objects, boxes, muscle, float(np.median(normal)) if normal.size else None)


def _t1_muscle(exam: Exam, anatomy: Anatomy, t1: Companion) -> float | None:
    known = _t1_muscles.setdefault(exam, WeakKeyDictionary())
    if anatomy not in known:
        known[anatomy] = muscle_brightness(exam, anatomy, on=t1.volume.array)
    return known[anatomy]


def lesion_measurements(context: Context, label: int) -> tuple[Measurement, ...]:
    """Everything the exam allows for one lesion.

    Args:
        context: of detection's (or the edited) result. label: the lesion's value in its label map.
    """
    objects = context.objects
    mask = context.crops[label]
    exam = objects.exam
    return (
        _volume(objects, label, mask),
        _extent(exam, mask),
        *_depth(objects, mask),
        _brightness(objects, mask),
        _over_muscle(objects, mask),
        _t1_over("t1_over_muscle", context, mask, context.t1_muscle, "muscle could not be found on T1"),
        _t1_over("t1_over_reference", context, mask, context.t1_reference, "T1 does not cover reference marrow"),
        _opposed_drop(exam, mask),
        _fat_fraction(exam, mask),
        _adc(exam, mask),
    )


def _volume(objects: Objects, label: int, crop: Crop) -> Measurement:
    """Volume with an interval: between plausible thresholds, or as simulated lesions of this size truly were, where
    they were found by brightness and nobody drew on them."""
    edited = any(o.label == label and o.verdict is Verdict.EDITED for o in objects.objects)
    if edited or not objects.method.startswith(THRESHOLD):
        return _between_thresholds(objects, crop)
    value = crop.voxels * objects.exam.image.voxel_volume_mm3 / MM3_PER_CM3
    sizes = [s for s in ("middle", "large") if value >= setting("volume_interval", s, "from_cm3")]
    low, high = (setting("volume_interval", ["small", *sizes][-1], end) for end in ("low", "high"))
    return Measurement.of("volume", value, "cm3", (low * value, high * value), SIMULATED)


def _widened(between: Measurement) -> Measurement:
    """The interval between thresholds, its ends' ratios to the value raised to a power that holds readers' volumes.

    Fitted on whole exams: a single small lesion's ratios are far larger, so it keeps its plain thresholds.
    """
    if between.value is None or between.low is None or between.high is None:
        return between
    power = setting("volume_interval", "learned", "power")
    low, high = (between.value * (end / between.value) ** power for end in (between.low, between.high))
    return Measurement.of(between.code, between.value, between.unit, (low, high), READ)


def _between_thresholds(objects: Objects, crop: Crop) -> Measurement:
    """Volume with the voxels left at the strict, or joined at the lenient, plausible threshold."""
    box, mask = crop.box, crop.mask
    evidence = objects.evidence.array[box]
    room = (objects.anatomy.bones.volume.array[box] > 0) & ((evidence >= objects.cutoff_low) | mask)
    room &= (objects.lesions.volume.array[box] == 0) | mask
    near = ndimage.binary_dilation(mask, CONNECTIVITY, iterations=GROWTH_VOXELS) & room
    lenient = ndimage.binary_propagation(mask, structure=CONNECTIVITY, mask=near)
    strict = mask & (evidence >= objects.cutoff_high)
    voxel = objects.exam.image.voxel_volume_mm3 / MM3_PER_CM3
    value, low, high = (float(m.sum()) * voxel for m in (mask, strict, lenient))
    return Measurement.of("volume", value, "cm3", (min(value, low), max(value, high)), PLAUSIBLE)


def _extent(exam: Exam, mask: Crop) -> Measurement:
    """Length along the principal axis, one voxel included."""
    points = mask.world(exam.image)
    span = 0.0
    if len(points) > 1:
        _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        along = points @ axes[0]
        span = float(along.max() - along.min())
    return Measurement.of("greatest_extent", span + min(exam.image.spacing), "mm")


def _depth(objects: Objects, mask: Crop) -> tuple[Measurement, ...]:
    """How near the joint surface the lesion begins and how deep it reaches."""
    depth = objects.anatomy.depth_mm
    codes = ("least_depth_from_joint", "depth_from_joint")
    if depth is None:
        why = "the joint surface was not found at this site"
        return tuple(Measurement.not_assessable(c, "mm", why) for c in codes)
    inside = mask.values(depth.array)
    inside = inside[np.isfinite(inside)]
    if not inside.size:
        why = "the joint is not seen on the slices of this lesion"
        return tuple(Measurement.not_assessable(c, "mm", why) for c in codes)
    ends = (float(inside.min()), float(inside.max()))
    return tuple(Measurement.of(c, value, "mm") for c, value in zip(codes, ends, strict=True))


def _brightness(objects: Objects, mask: Crop) -> Measurement:
    if objects.reference is None or objects.reference.median <= 0:
        return Measurement.not_assessable("fluid_over_reference", "1", "no reference marrow")
    value = float(np.median(mask.values(objects.exam.image.array))) / objects.reference.median
    return Measurement.of("fluid_over_reference", value, "1")


def _over_muscle(objects: Objects, mask: Crop) -> Measurement:
    muscle = objects.reference.muscle if objects.reference else None
    if not muscle:
        return Measurement.not_assessable("fluid_over_muscle", "1", "muscle could not be found (needs T1)")
    return Measurement.of("fluid_over_muscle", float(np.median(mask.values(objects.exam.image.array))) / muscle, "1")


def _t1_over(code: str, context: Context, mask: Crop, unit: float | None, why: str) -> Measurement:
    t1 = context.objects.exam.companion(Role.T1)
    if t1 is None or not mask.values(t1.covered).any():
        return Measurement.not_assessable(code, "1", "no usable T1 series covers the lesion")
    if context.objects.anatomy.misplaced(Role.T1):
        return Measurement.not_assessable(code, "1", "T1 shows the bones elsewhere than the fluid series does")
    if not unit:
        return Measurement.not_assessable(code, "1", why)
    return Measurement.of(code, float(np.median(mask.values(t1.volume.array)[mask.values(t1.covered)])) / unit, "1")


def _opposed_drop(exam: Exam, mask: Crop) -> Measurement:
    inside, opposed = exam.companion(Role.IN_PHASE), exam.companion(Role.OPPOSED_PHASE)
    if inside is None or opposed is None:
        return Measurement.not_assessable("opposed_phase_drop", "%", "needs in-phase and opposed-phase images")
    before = float(np.median(mask.values(inside.volume.array)))
    if before <= 0:
        return Measurement.not_assessable("opposed_phase_drop", "%", "the lesion is not covered")
    return Measurement.of(
        "opposed_phase_drop", 100 * (1 - float(np.median(mask.values(opposed.volume.array))) / before), "%"
    )


def _fat_fraction(exam: Exam, mask: Crop) -> Measurement:
    fat, water = exam.companion(Role.FAT), exam.companion(Role.WATER)
    if fat is None or water is None:
        return Measurement.not_assessable("fat_fraction", "%", "needs Dixon fat and water images")
    f, w = float(np.median(mask.values(fat.volume.array))), float(np.median(mask.values(water.volume.array)))
    if f + w <= 0:
        return Measurement.not_assessable("fat_fraction", "%", "the lesion is not covered")
    return Measurement.of("fat_fraction", 100 * f / (f + w), "%")


def _adc(exam: Exam, mask: Crop) -> Measurement:
    adc = exam.companion(Role.ADC)
    if adc is None:
        return Measurement.not_assessable("adc", "10*-6.mm2/s", "needs an ADC map")
    return Measurement.of("adc", float(np.median(mask.values(adc.volume.array))), "10*-6.mm2/s")


def counted(objects: Objects) -> BoolArray:
    """Every edema voxel that counts: edema objects nobody rejected."""
    labels = [o.label for o in objects.objects if o.kind is LesionKind.EDEMA and o.verdict is not Verdict.REJECTED]
    return np.isin(objects.lesions.volume.array, labels)


def bone_measurements(objects: Objects, code: str) -> tuple[Measurement, ...]:
    """Volume of a bone's searched marrow, of the edema in it, and its share."""
    bone = objects.anatomy.bones.mask(code)
    voxel = objects.exam.image.voxel_volume_mm3 / MM3_PER_CM3
    edema = float((bone & counted(objects)).sum())
    total = float(bone.sum())
    volume = Measurement.of("marrow_volume", total * voxel, "cm3")
    why = (
        "no usable marrow of this bone in view" if objects.reference is None or not total else untrusted(objects, bone)
    )
    if why:
        missing = (
            Measurement.not_assessable("edema_volume", "cm3", why),
            Measurement.not_assessable("edema_share", "%", why),
        )
        return (volume, *missing)
    share = Measurement.of("edema_share", 100 * edema / total, "%")
    return volume, Measurement.of("edema_volume", edema * voxel, "cm3"), share


def blocked_share(objects: Objects, marrow: BoolArray) -> float:
    """Share of the marrow that lies in failed suppression, beside metal, or outside coverage."""
    return float((marrow & objects.exam.unusable).sum()) / max(1.0, float(marrow.sum()))


def untrusted(objects: Objects, marrow: BoolArray) -> str:
    """Why edema of this marrow (one bone, or all) cannot be summed, or ""."""
    share = blocked_share(objects, marrow)
    if share >= LARGEST_BLOCKED_SHARE:
        lost = "fat suppression failed or metal is near"
        return f"in {100 * share:.0f} % of this marrow {lost}: what is found elsewhere is not the whole"
    metal = any(c.code == "metal" and c.severity is Severity.WARNING for c in objects.exam.qc)
    if metal and objects.exam.fluid.left_out is None:
        return "metal is in view and its place on this series is not known: brightness near it is no edema"
    return ""


def total_measurements(objects: Objects) -> tuple[Measurement, ...]:
    """Exam-wide edema volume (with interval) and number of edema lesions."""
    searched = objects.reference is not None
    why = untrusted(objects, objects.anatomy.bones.mask()) if searched else NOT_SEARCHED
    if why:
        return (
            Measurement.not_assessable("edema_volume", "cm3", why),
            Measurement.not_assessable("lesion_count", "1", why),
        )
    boxes = crops(objects.lesions.volume.array, GROWTH_VOXELS + 1)
    counted = [o for o in objects.objects if o.kind is LesionKind.EDEMA and o.verdict is not Verdict.REJECTED]
    drawn, found = (
        [_volume(objects, o.label, boxes[o.label]) for o in counted if (o.verdict is Verdict.EDITED) is by_person]
        for by_person in (True, False)
    )
    if found and not objects.method.startswith(THRESHOLD):
        found = [_widened(_sum(found))]
    return _sum([*drawn, *found]), Measurement.of("lesion_count", float(len(counted)), "1")


def _sum(parts: Sequence[Measurement]) -> Measurement:
    """The volume of several lesions; the ends of their intervals are summed as well."""
    value = sum(m.value or 0.0 for m in parts)
    interval = (sum(m.low or 0.0 for m in parts), sum(m.high or 0.0 for m in parts))
    basis = "; ".join(sorted({m.interval_basis for m in parts})) or PLAUSIBLE
    return Measurement.of("edema_volume", value, "cm3", interval, basis)
