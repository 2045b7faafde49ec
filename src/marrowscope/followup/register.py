"""Rigid registration bone by bone, from the masks alone, so that two results folders are enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from marrowscope.followup.types import BoneFit
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.volume import FloatArray, Volume, covered, resample

SAMPLE_POINTS = 2500
"""Surface points of a bone that the fit uses: enough for 0.1 mm, few enough for a second."""

LARGEST_TURN_DEG, LARGEST_SHIFT_MM = 45.0, 80.0
"""Beyond it the fit is taken for failed: positioning in a coil varies less."""


@dataclass(frozen=True, eq=False)
class BoneTransform:
    """Maps LPS mm of the prior visit to the current one (4x4), with its quality."""

    matrix: FloatArray
    fit: BoneFit


def register_bone(code: str, prior: LabelMap, current: LabelMap) -> BoneTransform | None:
    """The rigid transform that lays the prior's bone surface on the current one, or None when it fails.

    Least squares of the prior's surface points' signed distance to the current surface, less their own (a voxel
    centre lies inside its surface), robust (soft L1) so that a field of view cut elsewhere does not pull.
    """
    before, now = prior.mask(code), current.mask(code)
    if not before.any() or not now.any():
        return None
    points = _surface_points(before, prior.volume)
    own = _at(_signed_distance(before, prior.volume), points)
    distance = _signed_distance(now, current.volume)
    centre = points.mean(axis=0)
    start = np.zeros(6)
    start[3:] = _centroid(now, current.volume) - _centroid(before, prior.volume)

    def residuals(p: FloatArray) -> FloatArray:
        moved = Rotation.from_rotvec(p[:3]).apply(points - centre) + centre + p[3:]
        return _at(distance, moved) - own

    fitted = optimize.least_squares(residuals, start, loss="soft_l1", f_scale=1.0, x_scale=[0.02] * 3 + [1.0] * 3)
    turn, shift = np.degrees(np.linalg.norm(fitted.x[:3])), np.linalg.norm(fitted.x[3:])
    if turn > LARGEST_TURN_DEG or shift > LARGEST_SHIFT_MM:
        return None
    matrix = _matrix(fitted.x, centre)
    return BoneTransform(matrix, _quality(code, prior, current, matrix))


def moved_mask(mask: BoolArray, on: Volume, matrix: FloatArray, grid: Volume) -> BoolArray:
    """A prior mask carried by a transform onto the current grid (nearest voxel)."""
    carried = Volume(mask.astype(np.uint8), matrix @ on.affine, on.slice_axis)
    return np.asarray(resample(carried, grid, order=0).array > 0)


def _quality(code: str, prior: LabelMap, current: LabelMap, matrix: FloatArray) -> BoneFit:
    now = current.mask(code)
    plain = moved_mask(prior.mask(code), prior.volume, np.eye(4), current.volume)
    moved = moved_mask(prior.mask(code), prior.volume, matrix, current.volume)
    box = Volume(np.zeros(prior.volume.shape, np.uint8), matrix @ prior.volume.affine)
    seen = covered(box, current.volume)
    share = float((now & seen).sum() / now.sum())
    return BoneFit(code, _dice(plain, now & seen), _dice(moved, now & seen), round(share, 3))


def _dice(a: BoolArray, b: BoolArray) -> float:
    total = float(a.sum() + b.sum())
    return round(2 * float((a & b).sum()) / total, 4) if total else 0.0


def _surface_points(mask: BoolArray, on: Volume) -> FloatArray:
    """Evenly drawn surface voxels inside the image, LPS mm: where the field of view cuts the bone is no surface."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1, 1:-1] = True
    surface = mask & inner & ~ndimage.binary_erosion(mask, border_value=1)
    index = np.argwhere(surface)
    step = max(1, len(index) // SAMPLE_POINTS)
    return on.to_world(index[::step])


def _centroid(mask: BoolArray, on: Volume) -> FloatArray:
    return np.asarray(on.to_world(np.argwhere(mask).mean(axis=0)))


def _signed_distance(mask: BoolArray, on: Volume) -> Volume:
    inside = ndimage.distance_transform_edt(mask, sampling=on.spacing)
    outside = ndimage.distance_transform_edt(~mask, sampling=on.spacing)
    return on.with_array((outside - inside).astype(np.float32))


def _at(field: Volume, points: FloatArray) -> FloatArray:
    index = field.to_index(points).T
    return np.asarray(ndimage.map_coordinates(field.array, index, order=1, mode="nearest"), dtype=np.float64)


def _matrix(p: FloatArray, centre: FloatArray) -> FloatArray:
    turn = Rotation.from_rotvec(p[:3]).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre + p[3:] - turn @ centre
    return matrix
