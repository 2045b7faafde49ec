"""From a fine grid to slices: slice profile, pixel size and partial volume as weights along three axes.

A slice is the fine grid averaged with the weights of its profile, so a voxel holding two tissues shows both.
Weights are sparse and applied one axis after another: exact, quick and the same on any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marrowscope.errors import GeometryError
from marrowscope.simulate.signal import Float32Array
from marrowscope.volume import FloatArray, Volume

SUBSAMPLES = 9
"""Sampling points across one slice or pixel; the fine grid is coarser than a ninth of either."""

PROFILE_REACH = 0.8
"""Half-width, in slice thicknesses, beyond which the slice profile is taken as zero."""

PROFILE_ORDER = 6
"""Steepness of the slice profile 1 / (1 + (2 u)^(2 n)); 6 gives edges of about a tenth of the thickness."""

TURNED_STEP_MM = 0.6
"""Finest step of a grid that is turned onto oblique slices: about one pixel of a routine series."""

ALIGNED_COSINE = 1e-6
"""Grids whose axes differ by less than this (cosine) are sampled axis by axis."""


def grid_volume(shape: tuple[int, int, int], affine: npt.ArrayLike, slice_axis: int = 2) -> Volume:
    """An empty grid: a Volume without content, for its shape and affine only."""
    return Volume(np.broadcast_to(np.uint8(0), shape), np.asarray(affine, dtype=np.float64), slice_axis)


def axis_weights(size: int, centres: npt.NDArray[np.floating], width: float, *, profile: bool) -> object:
    """Weights that average an axis of ``size`` samples into ``len(centres)`` samples.

    Args:
        size: samples on the fine axis; what lies beyond counts as zero.
        centres: centre of each output sample, in fine indices.
        width: full width (at half height) of each output sample, in fine indices.
        profile: weigh by a slice profile; otherwise evenly over the width (a pixel).

    Returns:
        A scipy sparse matrix, shape (len(centres), size); rows add up to 1 inside the axis.
    """
    from scipy import sparse

    reach = PROFILE_REACH if profile else 0.5
    count = SUBSAMPLES if width else 1
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * 2 * reach
    height = 1 / (1 + (2 * np.abs(offsets)) ** (2 * PROFILE_ORDER)) if profile else np.ones(count)
    at = centres[:, None] + offsets[None, :] * width
    lower = np.floor(at).astype(np.int64)
    upper_share = at - lower
    rows = np.broadcast_to(np.arange(len(centres))[:, None], at.shape)
    weight = np.broadcast_to(height / height.sum(), at.shape)
    row = np.concatenate([rows.ravel(), rows.ravel()])
    column = np.concatenate([lower.ravel(), lower.ravel() + 1])
    value = np.concatenate([(weight * (1 - upper_share)).ravel(), (weight * upper_share).ravel()])
    inside = (column >= 0) & (column < size)
    shape = (len(centres), size)
    return sparse.csr_matrix((value[inside].astype(np.float32), (row[inside], column[inside])), shape=shape)


def sample(fine: Volume, grid: Volume, *, slice_mm: float | None = None) -> Float32Array:
    """A fine-grid field as the slices of ``grid`` see it.

    Args:
        fine: values on a fine grid.
        grid: where to sample; its ``slice_axis`` gets the slice profile.
        slice_mm: slice thickness (full width at half height); None averages evenly over the slice spacing,
            which is what truth masks need.

    Returns:
        float32, shape of ``grid``; zero outside the fine grid.
    """
    fine = _along(fine, grid)
    relation = np.linalg.inv(fine.affine) @ grid.affine
    order = [int(a) for a in np.abs(relation[:3, :3]).argmax(axis=0)]
    data = np.asarray(fine.array, dtype=np.float32)
    for axis in sorted(range(3), key=lambda a: grid.shape[a] / data.shape[order[a]]):
        step = relation[order[axis], axis]
        centres = relation[order[axis], 3] + step * np.arange(grid.shape[axis])
        is_slice = axis == grid.slice_axis and slice_mm is not None
        width = abs(step) * (slice_mm / grid.slice_spacing if slice_mm is not None and is_slice else 1.0)
        weights = axis_weights(data.shape[order[axis]], centres, width, profile=is_slice)
        data = _apply(weights, data, order[axis])
    return np.ascontiguousarray(data.transpose(order))


def interpolate_nodes(nodes: Float32Array, shape: tuple[int, int, int]) -> Float32Array:
    """Coarse nodes stretched over a grid of ``shape`` by cubic B-splines: smooth, without kinks at the nodes."""
    data = nodes
    for axis, size in enumerate(shape):
        data = _apply(_spline_weights(nodes.shape[axis], np.linspace(1, nodes.shape[axis] - 2, size)), data, axis)
    return np.ascontiguousarray(data)


def displaced(data: Float32Array, offset: float, axis: int) -> Float32Array:
    """An array moved along one axis by a number of samples (towards higher indices), zeros moving in."""
    size = data.shape[axis]
    weights = axis_weights(size, np.arange(size, dtype=np.float64) - offset, 0.0, profile=False)
    return np.ascontiguousarray(_apply(weights, data, axis))


def stretch(nodes: Float32Array, shape: tuple[int, int, int], step: int) -> Float32Array:
    """Values known at every ``step``-th voxel as an array of ``shape``, by linear interpolation along each axis.

    An axis that ``nodes`` already fills is left as it is; beyond the last node values stay constant.
    """
    data = nodes
    for axis, size in enumerate(shape):
        if nodes.shape[axis] == size:
            continue
        centres = np.minimum(np.arange(size) / step, nodes.shape[axis] - 1)
        data = _apply(axis_weights(nodes.shape[axis], centres, 0.0, profile=False), data, axis)
    return np.ascontiguousarray(data)


def _spline_weights(size: int, at: FloatArray) -> object:
    from scipy import sparse

    first = np.clip(np.floor(at).astype(np.int64), 1, size - 3) - 1
    u = at - first - 1
    basis = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]) / 6
    columns = first + np.arange(4)[:, None]
    rows = np.broadcast_to(np.arange(len(at)), columns.shape)
    return sparse.csr_matrix((basis.ravel().astype(np.float32), (rows.ravel(), columns.ravel())), shape=(len(at), size))


def _apply(weights: object, data: Float32Array, axis: int) -> Float32Array:
    moved = np.moveaxis(data, axis, 0)
    mixed = weights @ np.ascontiguousarray(moved).reshape(moved.shape[0], -1)  # type: ignore[operator]
    return np.moveaxis(np.asarray(mixed, np.float32).reshape(-1, *moved.shape[1:]), 0, axis)


def _along(fine: Volume, grid: Volume) -> Volume:
    """``fine`` itself where its axes run along those of ``grid``, else turned onto such axes at its own step."""
    cosines = np.abs(fine.directions.T @ grid.directions)
    if np.abs(cosines - np.round(cosines)).max() <= ALIGNED_COSINE:
        return fine
    from scipy import ndimage

    corners = _corners(grid)
    step = max(min(fine.spacing), TURNED_STEP_MM)
    along = (corners - grid.affine[:3, 3]) @ grid.directions
    low, high = along.min(axis=0) - grid.slice_spacing, along.max(axis=0) + grid.slice_spacing
    shape = tuple(int(n) for n in np.ceil((high - low) / step).astype(int) + 1)
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * step
    affine[:3, 3] = grid.affine[:3, 3] + grid.directions @ low
    matrix = np.linalg.inv(fine.affine) @ affine
    turned = ndimage.affine_transform(
        np.asarray(fine.array, np.float32), matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=1
    )
    return Volume(turned, affine)


def _corners(grid: Volume) -> FloatArray:
    ends: Sequence[tuple[int, int]] = [(0, n - 1) for n in grid.shape]
    return grid.to_world(np.array(np.meshgrid(*ends)).reshape(3, -1).T)


def truth_mask(fine: Volume, grid: Volume) -> npt.NDArray[np.bool_]:
    """Voxels of ``grid`` at least half filled by the fine mask; slice gaps count to their slice.

    Raises:
        GeometryError: ``fine`` is not boolean.
    """
    if fine.array.dtype != np.bool_:
        raise GeometryError(f"a mask of type {fine.array.dtype}", "boolean")
    return np.asarray(sample(fine, grid) >= 0.5)
