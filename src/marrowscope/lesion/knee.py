"""Edema of the knee: the model says where, the threshold rules say how far.

What is brighter than normal marrow may be fat that was not suppressed, a slice that grazes cartilage, or red marrow. An
object is therefore believed only where the knee model (``anatomy/knee_model.py``) sees edema with some marrow well
inside its bone. The model does not draw outlines: it was trained on few steps and marks the brightest part, while half
the height between reference and plateau held the volume of simulated lesions. See docs/decisions/0013.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.knee import within
from marrowscope.anatomy.knee_model import EDEMA, MODEL
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion import detect as threshold
from marrowscope.lesion.crop import Crop, crops
from marrowscope.lesion.objects import candidates
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind, LesionObject, Objects
from marrowscope.volume import AnyArray


def detect(exam: Exam, anatomy: Anatomy) -> Objects:
    """Objects of an exam; the plain threshold where the bones came without a probability."""
    rules = threshold.detect(exam, anatomy)
    chance = anatomy.extras.get(EDEMA)
    if chance is None or rules.reference is None:
        return rules
    near = reach(seeds(rules, chance.array, rules.reference.median), exam.image.spacing)
    array = np.zeros(exam.image.shape, dtype=np.uint16)
    objects: list[LesionObject] = []
    places = crops(rules.lesions.volume.array, margin=0)
    smallest = setting("threshold", "minimum_volume") / exam.image.voxel_volume_mm3
    for found in rules.objects:
        crop = places[found.label]
        kept = crop.mask & near[crop.box] if found.kind is LesionKind.EDEMA else crop.mask
        if kept.sum() < smallest:
            continue
        label = len(objects) + 1
        array[crop.box][kept] = label
        objects.append(replace(found, label=label, reasons=(*found.reasons, *_said(found, crop, chance.array))))
    names = {o.label: f"lesion_{o.label}" for o in objects}
    lesions = LabelMap(exam.image.with_array(array), names)
    return replace(
        rules, lesions=lesions, objects=tuple(objects), method=f"{rules.method}, where the {MODEL} model sees edema"
    )


def seeds(rules: Objects, chance: AnyArray, reference: float) -> BoolArray:
    """Where the model sees edema: likely, brighter than normal marrow, and partly well inside the bone.

    Args:
        rules: the threshold's result. chance: the model's probability of edema. reference: normal marrow.
    """
    exam, anatomy, evidence = rules.exam, rules.anatomy, rules.evidence.array
    searched = anatomy.bones.mask() & ~exam.unusable & ~anatomy.uncertain
    likely = chance >= setting("knee", "cutoff")
    marked = np.asarray(searched & likely & (evidence >= setting("knee", "least_contrast")))
    sure = cores(anatomy) & (evidence >= setting("knee", "core_contrast"))
    found = np.zeros(marked.shape, dtype=bool)
    for candidate in candidates(marked, exam.image, reference, anatomy.uncertain):
        if candidate.crop.values(sure).any():
            found[candidate.crop.box] |= candidate.crop.mask
    return found


def reach(found: BoolArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Everything within the reach of a seed; nothing where there is none."""
    if not found.any():
        return found
    distance = ndimage.distance_transform_edt(~found, sampling=spacing)
    return np.asarray(distance <= setting("knee", "reach_mm"))


def _said(found: LesionObject, crop: Crop, chance: AnyArray) -> tuple[str, ...]:
    if found.kind is not LesionKind.EDEMA:
        return ()
    likely = float(np.percentile(crop.values(chance), 90))
    return (f"probability of edema up to {likely:.2f} by the knee model",)


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
