"""Normal marrow found automatically, and checked against muscle before anything is judged by it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap, box_around
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import Objects, Reference
from marrowscope.measurement import QcCheck, Severity
from marrowscope.robust import half_sample_mode, lower_spread, otsu
from marrowscope.study import Role
from marrowscope.volume import AnyArray

REFERENCE_HALF_WIDTH_SD = 1.5
"""Reference voxels lie this close to the mode of marrow brightness."""

BODY_SHARE = 0.15
"""Body = brighter than this share of the 99th percentile on T1, or on the fluid image without T1."""


def find_reference(exam: Exam, anatomy: Anatomy, interior: BoolArray | None = None) -> Reference | None:
    """The main mode of marrow brightness away from the cortex, or None when too little marrow is left.

    Args:
        exam, anatomy: what is searched. interior: :func:`interior_marrow` of both, where the caller has it already.

    The mode (half-sample mode, Bickel and Fruehwirth 2006) is robust up to about half of the marrow being
    edematous; beyond that the comparison with muscle is what tells.
    """
    interior = interior_marrow(exam, anatomy) if interior is None else interior
    values = exam.image.array[interior]
    if values.size < setting("reference", "minimum_voxels"):
        return None
    mode = half_sample_mode(values)
    spread = lower_spread(values, mode)
    mask = interior & (np.abs(exam.image.array - mode) <= REFERENCE_HALF_WIDTH_SD * spread)
    chosen = exam.image.array[mask]
    muscle = muscle_brightness(exam, anatomy)
    trusted, reason = _judge(float(np.median(chosen)), muscle)
    label = LabelMap.from_masks(exam.image, {"reference": mask})
    return Reference(float(np.median(chosen)), spread, muscle, trusted, reason, label)


def reference_check(reference: Reference) -> QcCheck:
    """What a reader is told of the reference: whether to trust it, and why."""
    return QcCheck("reference_marrow", Severity.OK if reference.trusted else Severity.WARNING, reference.reason)


def without_reference(exam: Exam, anatomy: Anatomy, method: str) -> Objects:
    """No objects and a REFUSE check: there is too little marrow to judge lesions against."""
    empty = LabelMap.empty(exam.image)
    why = "too little usable marrow for a reference"
    return Objects(
        exam=exam,
        anatomy=anatomy,
        reference=None,
        evidence=exam.image,
        cutoff=np.inf,
        cutoff_low=np.inf,
        cutoff_high=np.inf,
        lesions=empty,
        objects=(),
        kept_out=empty,
        method=method,
        qc=(QcCheck("reference_marrow", Severity.REFUSE, why, "lesions are not assessable"),),
    )


def interior_marrow(exam: Exam, anatomy: Anatomy) -> BoolArray:
    """Usable marrow away from the cortex, or all of it when little is left."""
    marrow = anatomy.bones.mask() & ~exam.unusable
    spacing = np.array(exam.image.spacing)
    spacing[exam.image.slice_axis] = 1e3  # depth is judged inside the slice: slices are millimetres apart
    bones = anatomy.bones.mask()
    depth = np.zeros(bones.shape)
    if bones.any():
        box = box_around(bones, 1)
        depth[box] = ndimage.distance_transform_edt(bones[box], sampling=spacing)
    for limit in (setting("reference", "interior_mm"), 0.0):
        interior = np.asarray(marrow & (depth > limit))
        if interior.sum() >= setting("reference", "minimum_voxels"):
            return interior
    return np.asarray(marrow)


def muscle_brightness(exam: Exam, anatomy: Anatomy, on: AnyArray | None = None) -> float | None:
    """Brightness of muscle: tissue outside bone that is dark on T1 (needs T1), its main mode.

    Args:
        exam, anatomy: what was searched. on: the image it is read on, the fluid image by default.

    None without T1: on the fluid series alone muscle cannot be told from other soft tissue with certainty.
    """
    t1 = exam.companion(Role.T1)
    if t1 is None:
        return None
    outside = t1.covered & ~ndimage.binary_dilation(anatomy.bones.mask(), iterations=2)
    brightness = t1.volume.array
    body = outside & (brightness > BODY_SHARE * np.percentile(brightness[outside], 99))
    if body.sum() < setting("reference", "minimum_voxels"):
        return None
    limit = otsu(brightness[body])
    muscle = ndimage.binary_erosion(body & (brightness < limit), iterations=1)
    if muscle.sum() < setting("reference", "minimum_voxels"):
        return None
    return half_sample_mode((exam.image.array if on is None else on)[muscle])


def _judge(reference: float, muscle: float | None) -> tuple[bool, str]:
    if muscle is None:
        return False, "reference marrow could not be compared with muscle (no T1, or no muscle in view)"
    ratio = reference / max(muscle, 1e-6)
    if ratio > setting("reference", "muscle_ratio_limit"):
        return False, f"reference marrow is {ratio:.1f} times as bright as muscle: it may itself be abnormal"
    return True, f"reference marrow is {ratio:.2f} times as bright as muscle"
