"""Open growth plates: thin bright sheets that cross a bone away from its joint. Growth cartilage is no edema."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.types import Anatomy
from marrowscope.labelmap import BoolArray, box_around
from marrowscope.lesion.objects import CONNECTIVITY, opened_in_slices, within_reach
from marrowscope.lesion.settings import setting
from marrowscope.study.qc.physis import long_axis

GROWTH_PLATE = "growth_plate"
"""Name under which detection keeps the sheets it left out."""


def without_plates(bright: BoolArray, anatomy: Anatomy) -> tuple[BoolArray, BoolArray]:
    """Bright marrow without the growth plates in it, their blur and what bends out of them; and the plates.

    Args:
        bright: marrow brighter than normal. anatomy: as for :func:`growth_plates`.
    """
    plates, spacing = growth_plates(bright, anatomy), anatomy.bones.volume.spacing
    if not plates.any():
        return bright, plates
    rest = bright & ~within_reach(plates, spacing, setting("growth_plate", "beside"))
    near = within_reach(plates, spacing, setting("growth_plate", "near"))
    parts, count = ndimage.label(rest, CONNECTIVITY)
    shares = np.asarray(ndimage.mean(near, parts, np.arange(1, count + 1)))
    part_of_plate = np.append(False, shares >= setting("growth_plate", "near_share"))
    return np.asarray(rest & ~part_of_plate[parts]), plates


def growth_plates(bright: BoolArray, anatomy: Anatomy) -> BoolArray:
    """The sheets, as far as they are bright and thin; nothing on slices that cut the limb across.

    Edema around a plate is thicker than the plate and stays.

    Args:
        bright: marrow brighter than normal. anatomy: its bones and, where known, the depth from the joint.
    """
    grid, found = anatomy.bones.volume, np.zeros(bright.shape, dtype=bool)
    along = long_axis(grid)
    if along is None or not bright.any():
        return found
    thin = bright & ~opened_in_slices(bright, grid, setting("growth_plate", "most_thickness"))
    for code in anatomy.bones.codes:
        bone = anatomy.bones.mask(code)
        if not bone.any():
            continue
        box = box_around(bone, 1)
        parts, count = ndimage.label(np.asarray(ndimage.binary_dilation((thin & bone)[box])) & bone[box], CONNECTIVITY)
        for number in range(1, count + 1):
            part = _flat(np.asarray(parts == number) & thin[box], along, grid.spacing)
            if part.any() and _crosses(part, bone[box], along) and _away(part, box, anatomy):
                found[box] |= part
    return found


def _flat(part: BoolArray, along: int, spacing: tuple[float, float, float]) -> BoolArray:
    """The part without what hangs on it above and below: lesions and red marrow that touch the plate.

    Its height over the cross-section is found in rounds, each on what lies nearer to the one before: the median of all,
    then means over wider and narrower neighbourhoods.
    """
    heights = np.arange(part.shape[along], dtype=float) * spacing[along]
    shape = [-1 if a == along else 1 for a in range(3)]
    level = np.full(part.any(axis=along).shape, float(np.median(heights[np.nonzero(part)[along]])))
    across = [s for a, s in enumerate(spacing) if a != along]

    def near(far: float) -> BoolArray:
        return np.asarray(part & (np.abs(heights.reshape(shape) - np.expand_dims(level, along)) <= far))

    most = setting("growth_plate", "most_bend")
    for far, wide in ((np.inf, "wide"), (setting("growth_plate", "far"), "wide"), (most, "narrow")):
        kept = near(far)
        sigma = [setting("growth_plate", wide) / s for s in across]
        weight = ndimage.gaussian_filter(kept.sum(axis=along).astype(float), sigma)
        total = ndimage.gaussian_filter((kept * heights.reshape(shape)).sum(axis=along), sigma)
        level = np.where(weight > 0, total / np.maximum(weight, 1e-12), level)
    return near(most)


def _crosses(part: BoolArray, bone: BoolArray, along: int) -> bool:
    """Whether the part, seen along the limb, covers enough of the bone at its heights."""
    others = tuple(a for a in range(3) if a != along)
    heights = np.flatnonzero(part.any(axis=others))
    section = np.take(bone, np.arange(heights[0], heights[-1] + 1), axis=along).any(axis=along)
    return bool(part.any(axis=along).sum() >= setting("growth_plate", "least_share") * section.sum())


def _away(part: BoolArray, box: tuple[slice, ...], anatomy: Anatomy) -> bool:
    """Whether the part lies away from the joint surface; so does any part where depth is not known (0: the fibula)."""
    if anatomy.depth_mm is None:
        return True
    depth = anatomy.depth_mm.array[box][part]
    return not depth.any() or bool(np.median(depth) >= setting("growth_plate", "least_depth"))
