"""Sacrum, ilia and lumbar vertebrae from semicoronal slices; the joint line between them, quadrants and depth.

Left and right come from the geometry. The region is the marrow that readers search, the joint space inside it
included; the joint line is where sacrum and ilium meet in it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.anatomy import si_model
from marrowscope.anatomy.given import abstain
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.errors import GeometryError
from marrowscope.inference import InputContract, load_card
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study import Role
from marrowscope.volume import Volume

SMALLEST_PIECE_CM3 = 0.3
"""Pieces of the region below this are dropped; real ones at the coverage's edge are larger."""

LEAST_BONE_CM3 = {"sacrum": 25.0, "left_ilium": 12.0, "right_ilium": 12.0}
"""Smallest volume in view for the joints to be readable: half of the smallest of nine training exams."""

MOST_UNSURE = 0.25
"""Largest share of region voxels with a probability of 0.2-0.8; case 1016 without T1 has 0.27 and a Dice of 0.78."""

JOINT_REACH_MM = 2.0
"""Sacrum and ilium meet where both lie within this of a voxel: the joint space is 2-4 mm wide."""

LIKENESS_TO_T1 = 0.7
"""Correlation of the fluid series with T1 inside the body above which fat is not suppressed; six STIRs: 0.2-0.5."""

BODY_SHARE = 0.1
"""Body = brighter than this share of T1's 99th percentile."""

ENOUGH_VOXELS = 1000
"""Fewer body voxels than this make no correlation."""

SIDES = ("left", "right")
QUADRANT_BONES = ("ilium", "sacrum")


def segment(exam: Exam, fold: int | None = None) -> Anatomy:
    """Bones, quadrants and depth of the sacroiliac joints.

    Args:
        exam: prepared exam. fold: one fold of the networks only (benchmarks).

    Returns:
        Anatomy on the exam's grid; empty with a REFUSE check when the exam is not one the networks can read.
    """
    contract = load_card(si_model.REGION).contract
    if reason := _outside_contract(exam.image, contract) or _unsuppressed(exam):
        return abstain(exam, reason, "the sacroiliac joints are not assessable on this series")
    try:
        logits = si_model.run(exam, fold)
    except GeometryError as error:
        return abstain(exam, error.message, "the sacroiliac joints are not assessable on this series")
    region = _cleaned(logits.region > 0, exam.image)
    masks = _named(exam.image, region, logits)
    unsure = _unsure(logits.region, region)
    if reason := _implausible(exam.image, masks, unsure):
        return abstain(exam, reason, "this does not look like sacroiliac joints; nothing is sized")
    return _anatomy(exam, masks, unsure)


def _anatomy(exam: Exam, masks: dict[str, BoolArray], unsure: float) -> Anatomy:
    joint = {side: _joint(exam.image, masks["sacrum"], masks[f"{side}_ilium"]) for side in SIDES}
    depth = _depth(exam.image, joint["left"] | joint["right"])
    card = load_card(si_model.REGION)
    words = f"sacrum, both ilia and lumbar vertebrae found by {card.id} and {load_card(si_model.BONES).id}"
    check = QcCheck("bones", Severity.OK, words, value=Measurement.of("unsure_share", unsure, "1"))
    return Anatomy(
        bones=LabelMap.from_masks(exam.image, masks),
        regions=quadrants(exam.image, masks, joint),
        depth_mm=depth,
        uncertain=np.zeros(exam.image.shape, dtype=bool),  # readers draw up to the cortex; the network knows the rim
        qc=(check, *_missing_t1(exam)),
        source=card.id,
        extras={f"{side}_joint": exam.image.with_array(mask.astype(np.uint8)) for side, mask in joint.items()},
    )


def _missing_t1(exam: Exam) -> tuple[QcCheck, ...]:
    if exam.companion(Role.T1) is not None:
        return ()
    return (QcCheck("bones_without_t1", Severity.NOTE, "bones found on the fluid series alone: borders less exact"),)


def _outside_contract(image: Volume, contract: InputContract) -> str:
    if image.plane not in contract.planes:
        return f"{image.plane} slices; expected semicoronal slices along the sacrum"
    first, second = (image.spacing[a] for a in image.in_plane_axes)
    low, high = contract.spacing_mm
    if not (low <= first <= high and low <= second <= high):
        return f"pixels of {first:.2f} x {second:.2f} mm; expected {low} to {high} mm"
    low, high = contract.slice_spacing_mm
    if not low <= image.slice_spacing <= high:
        return f"slices {image.slice_spacing:.1f} mm apart; expected {low} to {high} mm"
    return ""


def _unsuppressed(exam: Exam) -> str:
    """Without suppression marrow, fat and muscle are ordered as on T1. Without a T1 the study QC judges alone."""
    t1 = exam.companion(Role.T1)
    if t1 is None or not t1.covered.any():
        return ""
    values = t1.volume.array
    body = t1.covered & (values > BODY_SHARE * np.percentile(values[t1.covered], 99))
    fluid = exam.fluid.volume.array
    if body.sum() < ENOUGH_VOXELS or np.ptp(fluid[body]) == 0:
        return ""
    likeness = float(np.corrcoef(values[body], fluid[body])[0, 1])
    if likeness > LIKENESS_TO_T1:
        return f"a fluid series that looks like T1 (correlation {likeness:.2f}): no fat suppression"
    return ""


def _cleaned(region: BoolArray, grid: Volume) -> BoolArray:
    labels, _ = ndimage.label(region)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep = sizes * grid.voxel_volume_mm3 / 1000 >= SMALLEST_PIECE_CM3
    flat = _flat_structure(grid)
    return np.asarray(ndimage.binary_closing(keep[labels], flat) | keep[labels])


def _flat_structure(grid: Volume, radius: int = 1) -> BoolArray:
    """In-plane square neighbourhood; slices are never joined."""
    shape = [2 * radius + 1] * 3
    shape[grid.slice_axis] = 1
    return np.ones(shape, dtype=bool)


def _named(grid: Volume, region: BoolArray, logits: si_model.Logits) -> dict[str, BoolArray]:
    best = np.argmax(np.stack(logits.bones), axis=0)
    sacrum = region & (best == 0)
    left = _left_of(grid, sacrum if sacrum.any() else region)
    ilium = region & (best == 1)
    return {
        "sacrum": sacrum,
        "left_ilium": ilium & left,
        "right_ilium": ilium & ~left,
        "lumbar_body": region & (best == 2),
    }


def _left_of(grid: Volume, bone: BoolArray) -> BoolArray:
    """Voxels to the patient's left of the plane through the middle of a midline bone, by geometry."""
    index = np.indices(grid.shape, dtype=np.float32)
    x = sum(index[a] * np.float32(grid.affine[0, a]) for a in range(3))
    if not bone.any():
        return np.asarray(x > np.median(x))
    return np.asarray(x > np.mean(np.percentile(x[bone], (1, 99))))


def _unsure(logit: npt.NDArray[np.float32], region: BoolArray) -> float:
    """Share of the region whose probability lies between 0.2 and 0.8 (|logit| < 1.39)."""
    near = np.abs(logit) < np.log(4)
    return float((near & region).sum() / max(1, region.sum()))


def _implausible(grid: Volume, masks: dict[str, BoolArray], unsure: float) -> str:
    for code, least in LEAST_BONE_CM3.items():
        volume = float(masks[code].sum()) * grid.voxel_volume_mm3 / 1000
        if volume < least:
            return f"{volume:.0f} cm3 of {code.replace('_', ' ')} in view; expected at least {least:.0f} cm3"
    if unsure > MOST_UNSURE:
        return f"the bone network is unsure of {100 * unsure:.0f} % of what it found"
    return ""


def _joint(grid: Volume, sacrum: BoolArray, ilium: BoolArray) -> BoolArray:
    """Voxels of either bone where the two meet, slice by slice."""
    reach = max(1, round(JOINT_REACH_MM / min(grid.spacing[a] for a in grid.in_plane_axes)))
    square = _flat_structure(grid, reach).shape
    near = [ndimage.maximum_filter(bone, square, mode="constant") for bone in (sacrum, ilium)]  # as a dilation, sooner
    return np.asarray((sacrum | ilium) & near[0] & near[1])


def _depth(grid: Volume, joint: BoolArray) -> Volume | None:
    """Distance in mm from the joint line inside each slice; NaN on slices without a joint. None without any."""
    if not joint.any():
        return None
    depth = np.full(grid.shape, np.nan, dtype=np.float32)
    into, line = np.moveaxis(depth, grid.slice_axis, 0), np.moveaxis(joint, grid.slice_axis, 0)
    spacing = [grid.spacing[a] for a in grid.in_plane_axes]
    for k in np.nonzero(line.any(axis=(1, 2)))[0]:
        into[k] = ndimage.distance_transform_edt(~line[k], sampling=spacing)
    return grid.with_array(depth)


def quadrants(grid: Volume, bones: dict[str, BoolArray], joint: dict[str, BoolArray]) -> LabelMap:
    """Upper and lower ilium and sacrum of each side, on slices where that side's joint is seen.

    The border is half way up the visible joint of the slice, across the patient's head direction.
    """
    head = np.argmax(np.abs(grid.affine[2, list(grid.in_plane_axes)]))
    axis = grid.in_plane_axes[int(head)]
    upward = 1.0 if grid.affine[2, axis] > 0 else -1.0
    rows = np.arange(grid.shape[axis], dtype=float).reshape([-1 if a == axis else 1 for a in range(3)])
    left = _left_of(grid, bones["sacrum"])
    masks: dict[str, BoolArray] = {}
    for side in SIDES:
        middle = _middle_rows(joint[side], axis, grid.slice_axis)
        above = np.greater(upward * rows, upward * middle)
        seen = np.isfinite(middle)
        half = left if side == "left" else ~left
        for bone in QUADRANT_BONES:
            own = bones[f"{side}_ilium"] if bone == "ilium" else bones["sacrum"] & half
            masks[f"{side}_{bone}_upper"] = own & seen & above
            masks[f"{side}_{bone}_lower"] = own & seen & ~above
    return LabelMap.from_masks(grid, masks)


def _middle_rows(joint: BoolArray, axis: int, slice_axis: int) -> npt.NDArray[np.float64]:
    """Middle row of the joint on every slice, shaped to broadcast; NaN where there is none."""
    other = next(a for a in range(3) if a not in (axis, slice_axis))
    plane = np.asarray(joint.any(axis=other))
    used = plane if axis < slice_axis else plane.T
    middle = np.full(used.shape[1], np.nan)
    for k in np.nonzero(used.any(axis=0))[0]:
        rows = np.nonzero(used[:, k])[0]
        middle[k] = (rows[0] + rows[-1]) / 2
    return middle.reshape([-1 if a == slice_axis else 1 for a in range(3)])
