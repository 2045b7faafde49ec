"""Edema of the knee: a learned probability, held to the rules of the threshold detector.

The probability comes with the bones from one pass of the knee model (``anatomy/knee_model.py``). A voxel is lesion
where the model says so *and* it is brighter than normal marrow, and a lesion needs a core well inside the bone;
kinds, vessels and cysts follow the shared rules.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowscope.anatomy.knee import within
from marrowscope.anatomy.knee_model import EDEMA, MODEL
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion import detect as threshold
from marrowscope.lesion.objects import Candidate, candidates, kind_of
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind, LesionObject, Objects
from marrowscope.volume import AnyArray


def detect(exam: Exam, anatomy: Anatomy) -> Objects:
    """Objects of an exam; the plain threshold where the bones came without a probability."""
    rules = threshold.detect(exam, anatomy)
    chance = anatomy.extras.get(EDEMA)
    if chance is None or rules.reference is None:
        return rules
    searched = anatomy.bones.mask() & ~exam.unusable & ~anatomy.uncertain
    brighter = rules.evidence.array >= setting("knee", "least_contrast")
    marked = np.asarray(searched & brighter & (chance.array >= setting("knee", "cutoff")))
    sure = cores(anatomy) & (rules.evidence.array >= setting("knee", "core_contrast"))
    found = [
        c
        for c in candidates(marked, exam.image, rules.reference.median, anatomy.uncertain)
        if c.crop.values(sure).any()
    ]
    fluid = threshold.fluid_brightness(exam, anatomy, rules.reference)
    kinds = [(c, kind_of(c, rules.reference.median, fluid)) for c in found]
    lesions, objects = _label(exam, kinds, chance.array)
    return replace(
        rules,
        evidence=chance,
        cutoff=setting("knee", "cutoff"),
        cutoff_low=setting("knee", "cutoff_low"),
        cutoff_high=setting("knee", "cutoff_high"),
        lesions=lesions,
        objects=objects,
        kept_out=_kept_out(exam, anatomy, kinds, chance.array),
        method=f"{MODEL} model with threshold rules",
    )


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


def _label(
    exam: Exam, kinds: list[tuple[Candidate, LesionKind | None]], chance: AnyArray
) -> tuple[LabelMap, tuple[LesionObject, ...]]:
    array = np.zeros(exam.image.shape, dtype=np.uint16)
    objects: list[LesionObject] = []
    for candidate, kind in kinds:
        if kind is not None:
            label = len(objects) + 1
            array[candidate.crop.box][candidate.crop.mask] = label
            mean = float(candidate.crop.values(chance).mean())
            objects.append(LesionObject(label, kind, mean, (f"mean probability {mean:.2f} by the knee model",)))
    names = {o.label: f"lesion_{o.label}" for o in objects}
    return LabelMap(exam.image.with_array(array), names), tuple(objects)


def _kept_out(
    exam: Exam, anatomy: Anatomy, kinds: list[tuple[Candidate, LesionKind | None]], chance: AnyArray
) -> LabelMap:
    vessels: BoolArray = np.zeros(exam.image.shape, dtype=bool)
    for candidate, kind in kinds:
        if kind is None:
            vessels[candidate.crop.box] |= candidate.crop.mask
    rim = anatomy.uncertain & (chance >= setting("knee", "cutoff"))
    return LabelMap.from_masks(exam.image, {"rim": rim, "vessel": vessels})
