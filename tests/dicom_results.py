"""An assessed DICOM series with lesions at known voxels, for tests of exchange."""

from __future__ import annotations

import numpy as np

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.assessment import conclude
from marrowscope.assessment.pipeline import Assessed
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.edits import Edit, apply_edits
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Reference
from marrowscope.study import Series, Study


def assessed(study: Study, series: Series, site: str = "knee", side: str = "left") -> Assessed:
    """The series with two boxes of "edema" in one "femur" of two regions: geometry is what is tried, not detection."""
    image = series.volume.with_array(series.volume.array.astype(np.float32))
    ni, nj, nk = image.shape
    bone, lesions = np.zeros(image.shape, bool), np.zeros(image.shape, np.uint16)
    bone[ni // 8 : ni // 2, nj // 4 : 3 * nj // 4, :] = True
    lesions[ni // 4 : ni // 4 + 5, nj // 3 : nj // 3 + 9, : max(1, nk // 2)] = 1
    lesions[ni // 3 : ni // 3 + 3, nj // 2 : nj // 2 + 4, nk - 1 :] = 2
    nothing = np.zeros(image.shape, bool)
    exam = Exam(study, series, image, {}, site, side, (), nothing)
    bones = LabelMap.from_masks(image, {"femur": bone})
    half = np.arange(nj)[None, :, None] < nj // 2
    halves = {"femur_posterior_medial": bone & half, "femur_posterior_lateral": bone & ~half}
    anatomy = Anatomy(bones, LabelMap.from_masks(image, halves), None, nothing, (), "given mask")
    reference = Reference(100.0, 5.0, None, True, "", LabelMap.from_masks(image, {"reference": bone & (lesions == 0)}))
    names = {1: "lesion_1", 2: "lesion_2"}
    objects = Objects(
        exam, anatomy, reference, image, 1.0, 0.5, 1.5, LabelMap(image.with_array(lesions), names),
        (LesionObject(1, LesionKind.EDEMA, 0.9), LesionObject(2, LesionKind.CYST, 0.5)),
        LabelMap.empty(image), "test boxes",
    )  # fmt: skip
    return Assessed(conclude(objects), objects)


def concluded(was: Assessed, edits: tuple[Edit, ...]) -> Assessed:
    """The same after edits: its assessment, and its objects as they then are."""
    assert was.objects is not None
    return Assessed(conclude(was.objects, edits=edits), apply_edits(was.objects, edits))


def map_of(objects: Objects, code: str) -> LabelMap:
    """The label map that holds a segment of that code."""
    maps = (objects.lesions, objects.anatomy.bones, objects.anatomy.regions)
    return next(m for m in maps if code in m.codes)
