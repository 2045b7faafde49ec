"""Edema of the knee: found and sized by the threshold rules, believed on the word of a second witness.

What is brighter than normal marrow may be fat that was not suppressed, a slice that grazes cartilage, or red marrow. An
object therefore needs some marrow well inside its bone and one more witness: the knee model's probability of edema
(``anatomy/knee_model.py``), or T1, where water that takes the place of fat is dark. The model does not draw outlines:
on simulated knees it was trained away from, it saw lesions too small or not at all, while half the height between
reference and plateau held their volume.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowscope.anatomy.knee import within
from marrowscope.anatomy.knee_model import EDEMA, MODEL
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion import detect as threshold
from marrowscope.lesion.background import t1_ratio
from marrowscope.lesion.crop import Crop, crops
from marrowscope.lesion.reference import interior_marrow
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind, LesionObject, Objects
from marrowscope.volume import AnyArray, Volume


def detect(exam: Exam, anatomy: Anatomy) -> Objects:
    """Objects of an exam; the plain threshold where the bones came without a probability."""
    rules = threshold.detect(exam, anatomy)
    chance = anatomy.extras.get(EDEMA)
    if chance is None or rules.reference is None:
        return rules
    t1 = t1_ratio(exam, anatomy, interior_marrow(exam, anatomy))
    deep = cores(anatomy)
    sure = deep & (rules.evidence.array >= setting("knee", "core_contrast"))
    array = np.zeros(exam.image.shape, dtype=np.uint16)
    objects: list[LesionObject] = []
    places = crops(rules.lesions.volume.array, margin=0)
    for found in rules.objects:
        crop = places[found.label]
        plain = float(np.percentile(crop.values(rules.evidence.array), 90)) >= setting("knee", "t1_contrast")
        inside = float(crop.values(deep).mean()) >= setting("knee", "t1_core_share")
        reasons = witnesses(crop, chance.array, t1, t1_counts=plain and inside)
        if found.kind is LesionKind.EDEMA and not (reasons and crop.values(sure).any()):
            continue
        label = len(objects) + 1
        array[crop.box][crop.mask] = label
        objects.append(replace(found, label=label, reasons=(*found.reasons, *reasons)))
    names = {o.label: f"lesion_{o.label}" for o in objects}
    lesions = LabelMap(exam.image.with_array(array), names)
    return replace(rules, lesions=lesions, objects=tuple(objects), method=f"{rules.method}, {MODEL} model and T1")


def witnesses(crop: Crop, chance: AnyArray, t1: Volume | None, *, t1_counts: bool) -> tuple[str, ...]:
    """Who else speaks for an object, in words; empty when nobody does.

    Args:
        crop: the object. chance: the model's probability of edema. t1: T1 over normal marrow, where there is T1.
        t1_counts: whether the object is bright and deep enough for T1 to speak for it.
    """
    found = []
    likely = float(np.percentile(crop.values(chance), 90))
    if likely >= setting("knee", "cutoff"):
        found.append(f"probability of edema up to {likely:.2f} by the knee model")
    if t1 is not None:
        dark = float(np.median(crop.values(t1.array)))
        if t1_counts and dark <= setting("knee", "t1_dark"):
            found.append(f"T1 is {dark:.2f} times that of normal marrow")
        elif dark >= setting("threshold", "t1_kept"):
            return ()  # T1 shows the fat in place: the model alone does not outweigh it
    return tuple(found)


def cores(anatomy: Anatomy) -> BoolArray:
    """Marrow well inside its bone: a lesion needs some of it.

    Cartilage and fluid beside the bone shine into its outermost millimetres, and a slice that only grazes a bone
    mixes it with what lies beside it.
    """
    grid, axis = anatomy.bones.volume, anatomy.bones.volume.slice_axis
    inside = np.zeros(grid.shape, dtype=bool)
    for code in anatomy.bones.codes:
        bone = anatomy.bones.mask(code)
        deep = within(bone, grid, setting("knee", "core_depth"))
        inside |= deep & _neighbour(bone, axis, 1) & _neighbour(bone, axis, -1)
    return inside


def _neighbour(mask: BoolArray, axis: int, step: int) -> BoolArray:
    """The mask of the next slice at each slice; beyond the stack there is none."""
    moved = np.roll(mask, step, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, 1) if step > 0 else slice(-1, None)
    moved[tuple(edge)] = False
    return moved
