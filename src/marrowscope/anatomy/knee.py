"""Bones, side, subregions and depth of a knee exam; abstains where what it finds is not a knee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from marrowscope.anatomy import given
from marrowscope.anatomy.knee_model import BONES, EDEMA, OUTLINES, Chances, look
from marrowscope.anatomy.knee_regions import subregions
from marrowscope.anatomy.knee_side import lateral_direction
from marrowscope.anatomy.types import Anatomy, Companion, Exam, elsewhere_code
from marrowscope.errors import GeometryError
from marrowscope.labelmap import BoolArray, LabelMap, box_around
from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study import Role
from marrowscope.volume import AnyArray, Volume

CORTEX_MM = 1.0
"""Cortex and subchondral plate taken off the bone's outline to leave marrow; the plate is 0.5 to 1.5 mm thick."""

SMALLEST_CM3 = {"femur": 25.0, "tibia": 18.0, "patella": 3.0, "fibula": 0.6}
"""Less than this of a bone is not that bone: a third of what the smallest adult knee map shows in 14 cm of view."""

LEAST_SURE = 0.85
"""Mean probability inside the bones below which the result is flagged; held-out simulated knees reach 0.95."""

LEAST_SURE_ON_A_SLICE = 0.8
"""Mean probability of a bone on one slice below which no edema is believed there: such slices graze the bone or show
fluid and cartilage taken for it. Slices with real lesions have 0.86 and more (three clinical exams)."""

LEAST_SURE_PART = 0.75
"""Mean probability below which a part of a slice is no bone (judgement: muscle taken for bone on simulated Dixon images
has 0.71 to 0.8, slices of bone 0.83 and more; no outline of eight real exams changes)."""

SMALLEST_CHANCE = np.float32(1e-6)
"""A probability too small for single precision is this: 0 says that the bone itself is doubted."""

JOINT_REACH_MM = 14.0
"""Bone surface within this of another bone faces the joint: cartilage and meniscus lie between."""

DEPTH_MM = 1.0
"""In-plane step at which depth is worked out: finer tells nothing and costs seconds."""

SHADOW_MM, LEAST_IN_SHADOW = 6.0, 0.4
"""A part of a slice belongs to a bone when this share of it lies within this far of the slice before (judgement: muscle
taken for femur had 0.27 at most on twelve real exams, bone of sixteen simulated knees 0.47 and more)."""

WIDE_SHARE = 0.6
"""From the outermost slice with this share of the largest slice's area a bone only shrinks (judgement: condyles on both
sides of the notch reach 0.65 and more in nine real exams, muscle taken for femur beyond them 0.42)."""

CROSSING = ("femur", "tibia", "patella")
"""Bones that cross the midline of the knee."""

HEARD = (Role.T1, Role.FAT)
"""Companions that are asked for the bones too: they show them where the fluid series grazes a bone or is noisy."""

SIXES = ndimage.generate_binary_structure(3, 1)


def segment(exam: Exam) -> Anatomy:
    """Marrow of femur, tibia, patella and fibula, with subregions of the scores; see :class:`Anatomy`.

    Abstains when femur or tibia is missing, too small, or the femur does not lie above the tibia.
    """
    others = [exam.companions[role] for role in HEARD if role in exam.companions]
    try:
        chances = look(exam.image, [other.placed for other in others])
    except GeometryError as error:
        return given.abstain(exam, error.found, error.do)
    outlines = clean(believable_bones(chances, exam.image.slice_axis), exam.image)
    fault = implausible(outlines, exam.image)
    if fault:
        return given.abstain(exam, fault, "give the bones with --bones FILE")
    found = assemble(exam, outlines, chances)
    return replace(found, qc=(*found.qc, *elsewhere(others, chances.heard)))


def assemble(exam: Exam, outlines: Mapping[str, BoolArray], chances: Chances) -> Anatomy:
    """Everything that follows from the bones' outlines."""
    grid = exam.image
    lateral, side_check = lateral_direction(outlines, grid, exam.side, exam.study.side.value or "")
    marrow = {name: within(mask, grid, CORTEX_MM) for name, mask in outlines.items()}
    bones = LabelMap.from_masks(grid, marrow)
    found = LabelMap.from_masks(grid, dict(outlines))
    checks = (sureness(chances, found.mask()), *missing(outlines), side_check)
    return Anatomy(
        bones=bones,
        regions=subregions(marrow, grid, lateral),
        depth_mm=joint_depth(outlines, grid),
        uncertain=given.rim(bones.mask(), grid.slice_axis),
        qc=checks,
        source=chances.source,
        extras={OUTLINES: found.volume, EDEMA: grid.with_array(believable_edema(chances, outlines, grid.slice_axis))},
    )


def believable_bones(chances: Chances, slice_axis: int) -> AnyArray:
    """The labels without those parts of a slice of which the model is not sure: muscle beside a bone, mostly.

    Returns:
        Shape of the grid, numbers as in ``chances.label``.
    """
    label = chances.label.copy()
    for number in range(1, len(BONES) + 1):
        parts, means = _parts(label == number, chances.sure, slice_axis)
        label[np.isin(parts, np.flatnonzero(means < LEAST_SURE_PART) + 1)] = 0
    return label


def _parts(mask: BoolArray, sure: AnyArray, slice_axis: int) -> tuple[AnyArray, AnyArray]:
    """Connected parts of each slice of a mask, numbered from 1, and the mean probability of each."""
    flat = np.zeros((3, 3, 3), dtype=bool)
    flat[tuple(1 if a == slice_axis else slice(None) for a in range(3))] = True
    parts, count = ndimage.label(mask, structure=flat)
    return parts, np.asarray(ndimage.mean(sure, parts, np.arange(1, count + 1))) if count else np.empty(0)


def believable_edema(chances: Chances, outlines: Mapping[str, BoolArray], slice_axis: int) -> AnyArray:
    """The probability of edema: 0 in each bone on the slices where the model is not sure of it, and only there."""
    edema = np.maximum(chances.edema, SMALLEST_CHANCE)
    along = tuple(a for a in range(3) if a != slice_axis)
    for mask in outlines.values():
        count = mask.sum(axis=along)
        mean = np.where(mask, chances.sure, 0).sum(axis=along) / np.maximum(count, 1)
        doubted = np.expand_dims((count > 0) & (mean < LEAST_SURE_ON_A_SLICE), along)
        edema[mask & doubted] = 0
    return edema


def clean(label: AnyArray, grid: Volume) -> dict[str, BoolArray]:
    """The largest piece of each bone, tapered, holes of each slice filled; the caller leaves out what is too small.

    Pieces of the bones that cross the midline are one where they overlap across up to two slices without the bone:
    a slice spoilt by motion does not cut a bone in two.
    """
    flat = np.ones([1 if a == grid.slice_axis else 3 for a in range(3)], dtype=bool)
    across = np.ones([3 if a == grid.slice_axis else 1 for a in range(3)], dtype=bool)
    outlines = {}
    for number, name in enumerate(BONES, start=1):
        found = np.asarray(label == number)
        outlines[name] = np.zeros(label.shape, dtype=bool)
        if not found.any():
            continue
        box = box_around(found, 1)
        near = ndimage.binary_dilation(found[box], across) if name in CROSSING else found[box]
        joined, _ = ndimage.label(near, structure=SIXES)
        pieces = np.where(found[box], joined, 0)
        largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
        outlines[name][box] = ndimage.binary_fill_holes(tapered(pieces == largest, grid), flat)
    return outlines


def tapered(mask: BoolArray, grid: Volume) -> BoolArray:
    """The mask without what lies outside the bone's own shadow on the outer slices.

    From its outermost wide slice on a bone only shrinks: a part of a slice that mostly lies beside the slice before it
    is muscle or fluid at the end of the stack. Between wide slices it may be narrow: the notch between two condyles.
    """
    slices = np.moveaxis(mask, grid.slice_axis, 0).copy()
    spacing = [grid.spacing[a] for a in grid.in_plane_axes]
    areas = slices.sum(axis=(1, 2))
    wide = np.flatnonzero(areas >= WIDE_SHARE * areas.max())
    for start, outwards in ((wide[-1], range(wide[-1] + 1, len(slices))), (wide[0], range(wide[0] - 1, -1, -1))):
        before = slices[start]
        for n in outwards:
            if not slices[n].any():
                continue
            near = ndimage.distance_transform_edt(~before, sampling=spacing) <= SHADOW_MM
            parts, count = ndimage.label(slices[n])
            inside = ndimage.mean(near, parts, np.arange(1, count + 1))
            slices[n] &= np.isin(parts, 1 + np.flatnonzero(np.asarray(inside) >= LEAST_IN_SHADOW))
            before = slices[n] if slices[n].any() else before
    return np.asarray(np.moveaxis(slices, 0, grid.slice_axis))


def implausible(outlines: dict[str, BoolArray], grid: Volume) -> str:
    """Why this is not a knee, or "". Patella and fibula too small to be believed are emptied in place."""
    for name in BONES:
        volume = float(outlines[name].sum()) * grid.voxel_volume_mm3 / 1000
        if volume >= SMALLEST_CM3[name]:
            continue
        if name in ("femur", "tibia"):
            return f"{volume:.0f} cm3 of {name} (expected {SMALLEST_CM3[name]:.0f} or more)"
        outlines[name][:] = False
    heights = [grid.to_world(np.argwhere(outlines[n]).mean(axis=0))[2] for n in ("femur", "tibia")]
    return "" if heights[0] > heights[1] else "a femur that does not lie above the tibia"


def within(mask: BoolArray, grid: Volume, depth_mm: float) -> BoolArray:
    """Voxels deeper than ``depth_mm`` inside the mask, judged inside each slice; the image's edge is no border."""
    out = np.zeros_like(mask)
    spacing = [grid.spacing[a] for a in grid.in_plane_axes]
    for n in range(mask.shape[grid.slice_axis]):
        where = (slice(None),) * grid.slice_axis + (n,)
        if mask[where].any():
            box = box_around(mask[where], 1)
            padded = np.pad(mask[where][box], 1, mode="edge")
            depth = ndimage.distance_transform_edt(padded, sampling=spacing)
            out[where][box] = np.asarray(depth)[1:-1, 1:-1] > depth_mm
    return out


def joint_depth(outlines: Mapping[str, BoolArray], grid: Volume) -> Volume | None:
    """Distance in mm of each bone voxel from the bone's surface that faces the joint, to about ``DEPTH_MM``."""
    whole = {n: m for n, m in outlines.items() if n != "fibula" and m.any()}
    if len(whole) < 2:
        return None
    steps = [1 if a == grid.slice_axis else max(1, round(DEPTH_MM / grid.spacing[a])) for a in range(3)]
    thin = tuple(slice(None, None, s) for s in steps)
    spacing = [s * n for s, n in zip(grid.spacing, steps, strict=True)]
    small = {n: m[thin] for n, m in whole.items()}
    coarse = np.zeros(next(iter(small.values())).shape, dtype=np.float32)
    margin = int(np.ceil(JOINT_REACH_MM / min(spacing)))
    for name, mask in small.items():
        box = box_around(mask, margin)  # what faces the bone lies within reach of it, and so in its box
        others = np.any([m[box] for n, m in small.items() if n != name], axis=0)
        near = ndimage.distance_transform_edt(~others, sampling=spacing) <= JOINT_REACH_MM
        facing = near & mask[box] & ~ndimage.binary_erosion(mask[box], SIXES, border_value=1)
        if others.any() and facing.any():
            away = ndimage.distance_transform_edt(~facing, sampling=spacing)
            coarse[box] = np.where(ndimage.binary_dilation(mask[box]), away, coarse[box])
    for axis, step in enumerate(steps):
        coarse = coarse.repeat(step, axis)
    fine = coarse[tuple(slice(0, n) for n in grid.shape)].astype(np.float32)
    return grid.with_array(np.where(np.any(list(whole.values()), axis=0), fine, np.float32(0)))


def sureness(chances: Chances, inside: BoolArray) -> QcCheck:
    """How sure the model is inside the bones it found."""
    mean = float(chances.sure[inside].mean())
    value = Measurement.of("bone_probability", mean, "1")
    words = f"mean probability {mean:.2f} inside the bones found"
    if mean >= LEAST_SURE:
        return QcCheck("bones", Severity.OK, words, value=value)
    return QcCheck(
        "bones", Severity.WARNING, words, "look at the bone outlines before trusting any figure", value=value
    )


def elsewhere(others: Sequence[Companion], heard: Sequence[bool]) -> tuple[QcCheck, ...]:
    """A warning for each companion whose bones lie elsewhere than on the fluid series."""
    return tuple(
        QcCheck(
            elsewhere_code(other.series.role),
            Severity.WARNING,
            f"bones on {other.series.role.value} lie elsewhere than on the fluid series, or are not seen there",
            "nothing is measured on that series; the bones follow from the fluid series alone",
        )
        for other, listened in zip(others, heard, strict=True)
        if not listened
    )


def missing(outlines: Mapping[str, BoolArray]) -> tuple[QcCheck, ...]:
    """A note for each bone that was not found."""
    return tuple(
        QcCheck("coverage", Severity.WARNING, f"no {name} found", f"the {name} is not assessable")
        for name in ("patella",)
        if not outlines[name].any()
    )
