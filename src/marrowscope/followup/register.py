"""Rigid registration bone by bone, from the masks alone, so that two results folders are enough."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from marrowscope.followup.types import BoneFit
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.volume import FloatArray, Volume, covered, resample

SAMPLE_POINTS = 2500
"""Surface points of a bone that the fit uses: enough for 0.1 mm, few enough for a second."""

FEWEST_POINTS = 50
"""Fewer surface points do not hold six parameters."""

MARGIN_MM = 20.0
"""Room around a bone in which distances to it are worked out; a start by the centroids is nearer than that."""

KEPT_FITS = 8
"""Fits remembered by the two label maps themselves: an edit of lesions leaves the bones, so nothing is fitted again."""

SOFT_FROM_MM = 1.0
"""Points further than this from the other surface pull by their distance, no longer by its square (judgement)."""

STEP_SCALE = (0.02, 0.02, 0.02, 1.0, 1.0, 1.0)
"""Turns (radians) and shifts (mm) that move a surface about as far: 0.02 rad is 1 mm, 50 mm from the middle."""

EDGE_VOXELS = 0.5
"""A surface voxel nearer than this to the outermost layer's centres lies in that layer: the field of view's cut."""

LARGEST_TURN_DEG, LARGEST_SHIFT_MM = 45.0, 80.0
"""Beyond it the fit is taken for failed: positioning in a coil varies less."""


@dataclass(frozen=True, eq=False)
class BoneTransform:
    """Maps LPS mm of the prior visit to the current one (4x4), with its quality."""

    matrix: FloatArray
    fit: BoneFit


@lru_cache(maxsize=KEPT_FITS)
def register_bone(code: str, prior: LabelMap, current: LabelMap) -> BoneTransform | None:
    """The rigid transform that lays the prior's bone surface on the current one, or None when it fails.

    Least squares of the prior's surface points' signed distance to the current surface, less their own (a voxel
    centre lies inside its surface), robust (soft L1) so that a field of view cut elsewhere does not pull.
    """
    before, now = _cropped(prior.mask(code), prior.volume), _cropped(current.mask(code), current.volume)
    if before is None or now is None:
        return None
    points = _surface_points(before, prior.volume)
    if len(points) < FEWEST_POINTS:
        return None
    own = _at(_signed_distance(before), points)
    distance = _signed_distance(now)
    centre = points.mean(axis=0)
    start = np.zeros(6)
    start[3:] = _centroid(now) - _centroid(before)

    def residuals(p: FloatArray) -> FloatArray:
        moved = Rotation.from_rotvec(p[:3]).apply(points - centre) + centre + p[3:]
        return _at(distance, moved) - own

    fitted = optimize.least_squares(residuals, start, loss="soft_l1", f_scale=SOFT_FROM_MM, x_scale=STEP_SCALE)
    turn, shift = float(np.degrees(np.linalg.norm(fitted.x[:3]))), float(np.linalg.norm(fitted.x[3:]))
    if turn > LARGEST_TURN_DEG or shift > LARGEST_SHIFT_MM:
        return None
    matrix = _matrix(fitted.x, centre)
    left = float(np.median(np.abs(residuals(fitted.x))))
    return BoneTransform(matrix, _quality(code, before, now, prior.volume, matrix, (turn, shift, left)))


def _cropped(mask: BoolArray, on: Volume) -> Volume | None:
    """A mask in its own box with a margin, on its own affine; None when it is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return None
    reach = [int(np.ceil(MARGIN_MM / s)) for s in on.spacing]
    box = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(boxes[0], reach, strict=True))
    affine = on.affine.copy()
    affine[:3, 3] = on.to_world([s.start for s in box])
    return Volume(mask[box], affine, on.slice_axis)


def moved_mask(mask: BoolArray, on: Volume, matrix: FloatArray, grid: Volume) -> BoolArray:
    """A prior mask carried by a transform onto the current grid (nearest voxel)."""
    carried = Volume(mask.astype(np.uint8), matrix @ on.affine, on.slice_axis)
    return np.asarray(resample(carried, grid, order=0).array > 0)


def _quality(
    code: str, before: Volume, now: Volume, view: Volume, matrix: FloatArray, moved: tuple[float, float, float]
) -> BoneFit:
    """Overlap before and after, how far the bone moved, and the share of it now that the prior's view holds."""
    turn, shift, left = moved
    plain = moved_mask(before.array, before, np.eye(4), now)
    laid = moved_mask(before.array, before, matrix, now)
    box = Volume(np.broadcast_to(np.uint8(0), view.shape), matrix @ view.affine)
    seen = now.array & covered(box, now)
    rows = tuple(tuple(round(float(v), 6) for v in row) for row in matrix)
    share = round(float(seen.sum() / now.array.sum()), 3)
    quality = (_dice(plain, seen), _dice(laid, seen), round(left, 3), round(turn, 2), round(shift, 2), share)
    return BoneFit(code, *quality, rows)


def _dice(a: BoolArray, b: BoolArray) -> float:
    total = float(a.sum() + b.sum())
    return round(2 * float((a & b).sum()) / total, 4) if total else 0.0


def _surface_points(mask: Volume, view: Volume) -> FloatArray:
    """Evenly drawn surface voxels inside the image, LPS mm: where the field of view cuts the bone is no surface."""
    surface = mask.array & ~ndimage.binary_erosion(mask.array, border_value=1)
    points = mask.to_world(np.argwhere(surface))
    at = view.to_index(points)
    inner = points[((at > EDGE_VOXELS) & (at < np.array(view.shape) - 1 - EDGE_VOXELS)).all(axis=1)]
    return inner[:: max(1, len(inner) // SAMPLE_POINTS)]


def _centroid(mask: Volume) -> FloatArray:
    return np.asarray(mask.to_world(np.argwhere(mask.array).mean(axis=0)))


def _signed_distance(mask: Volume) -> Volume:
    inside = ndimage.distance_transform_edt(mask.array, sampling=mask.spacing)
    outside = ndimage.distance_transform_edt(~mask.array, sampling=mask.spacing)
    return mask.with_array((outside - inside).astype(np.float32))


def _at(field: Volume, points: FloatArray) -> FloatArray:
    index = field.to_index(points).T
    return np.asarray(ndimage.map_coordinates(field.array, index, order=1, mode="nearest"), dtype=np.float64)


def _matrix(p: FloatArray, centre: FloatArray) -> FloatArray:
    turn = Rotation.from_rotvec(p[:3]).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre + p[3:] - turn @ centre
    return matrix
