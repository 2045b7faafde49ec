"""Slices made ready for a 2-D network, and its answer put back: orientation by geometry, never by guess.

The working grid has the model's in-plane directions and pixel size; slices stay where they were acquired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.errors import GeometryError
from marrowscope.inference.card import InputContract
from marrowscope.volume import FloatArray, Volume

Float32 = npt.NDArray[np.float32]

_DIRECTION: dict[str, tuple[float, float, float]] = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "S": (0, 0, 1),
    "I": (0, 0, -1),
}

LEAST_COSINE = 0.5
"""An in-plane axis stands for a wanted direction when their cosine reaches this (60 degrees, for oblique slices)."""

SAME_PIXEL = 0.02
"""A spacing within 2 % of the working pixel is taken as it is: resampling would blur more than it corrects."""


@dataclass(frozen=True, eq=False)
class SliceStack:
    """A volume on a model's working grid.

    Attributes:
        grid: the working grid; axes = (first, second, slice).
        array: float32, shape (slices, first, second), padded at the far ends to the contract's multiple.
        source: the grid it came from.
        axes: source axis of each working axis. flips: whether that axis was turned.
    """

    grid: Volume
    array: Float32
    source: Volume
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]


def canonical_slices(volume: Volume, contract: InputContract) -> SliceStack:
    """A volume turned to the contract's directions and pixel size, slice by slice.

    Raises:
        GeometryError: no in-plane axis points along one of the directions (the slices lie in another plane).
    """
    axes, flips = _orientation(volume, contract)
    array = np.transpose(np.asarray(volume.array, dtype=np.float32), axes)
    for axis, flip in enumerate(flips):
        array = np.flip(array, axis) if flip else array
    affine = _turned_affine(volume, axes, flips)
    scale = [_scale(volume.spacing[a], contract.pixel_mm) for a in axes[:2]]
    shape = [max(1, round(n * s)) for n, s in zip(array.shape[:2], scale, strict=True)]
    if scale != [1.0, 1.0]:
        zooms = [n / s for n, s in zip(array.shape[:2], shape, strict=True)]
        array = _resize(array, (shape[0], shape[1]))
        centre = [(z - 1) / 2 for z in zooms]
        affine[:3, 3] += affine[:3, :2] @ centre
        affine[:3, :2] *= zooms
    grid = Volume(array, affine, 2)
    padding = [(-n) % contract.multiple_of for n in array.shape[:2]]
    padded = np.pad(np.moveaxis(array, 2, 0), ((0, 0), (0, padding[0]), (0, padding[1])))
    return SliceStack(grid, np.ascontiguousarray(padded, dtype=np.float32), volume, axes, flips)


def onto_grid(stack: SliceStack, answer: Float32) -> Float32:
    """A network's answer on the grid that the stack came from.

    Args:
        stack: what the network was shown. answer: (slices, first, second), padded as ``stack.array``.

    Returns:
        float32 array of the source grid's shape, linearly interpolated in plane.
    """
    first, second, _ = stack.grid.shape
    array = np.moveaxis(answer[:, :first, :second], 0, 2)
    shape = tuple(stack.source.shape[a] for a in stack.axes)
    if shape[:2] != array.shape[:2]:
        array = _resize(array, (shape[0], shape[1]))
    for axis, flip in enumerate(stack.flips):
        array = np.flip(array, axis) if flip else array
    return np.ascontiguousarray(np.transpose(array, np.argsort(stack.axes)), dtype=np.float32)


def with_neighbours(stack: SliceStack, array: Float32, context_mm: float) -> Float32:
    """Each slice between its neighbours at a fixed distance, interpolated between the slices acquired.

    Args:
        stack: for its slice spacing. array: (slices, first, second). context_mm: distance of the neighbours.

    Returns:
        float32 (slices, 3, first, second); beyond the ends the last slice stands in.
    """
    step = context_mm / stack.grid.spacing[2]
    last = len(array) - 1
    parts = []
    for offset in (-step, 0.0, step):
        position = np.clip(np.arange(len(array)) + offset, 0, last)
        low = np.floor(position + 1e-6).astype(int)
        share = np.clip(position - low, 0, 1).astype(np.float32)[:, None, None]
        high = np.minimum(low + 1, last)
        parts.append(array[low] if share.max() < SAME_PIXEL else (1 - share) * array[low] + share * array[high])
    return np.stack(parts, axis=1)


def _orientation(volume: Volume, contract: InputContract) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    plane = volume.in_plane_axes
    wanted = np.array([_DIRECTION[contract.first], _DIRECTION[contract.second]])
    cosines = wanted @ volume.directions[:, plane]
    order = (0, 1) if abs(cosines[0, 0]) >= abs(cosines[0, 1]) else (1, 0)
    found = [float(cosines[0, order[0]]), float(cosines[1, order[1]])]
    if min(abs(c) for c in found) < LEAST_COSINE:
        raise GeometryError(
            f"slices whose axes point to {volume.axis_codes} ({volume.plane})",
            f"in-plane axes along {contract.first} and {contract.second}",
            "give a series in one of the planes " + ", ".join(contract.planes),
        )
    axes = (plane[order[0]], plane[order[1]], volume.slice_axis)
    return axes, (found[0] < 0, found[1] < 0, bool(_backwards(volume, axes, found)))


def _backwards(volume: Volume, axes: tuple[int, int, int], cosines: list[float]) -> bool:
    """Whether the slices run against first x second, so that the working grid is always right-handed."""
    d = volume.directions
    normal = np.cross(np.sign(cosines[0]) * d[:, axes[0]], np.sign(cosines[1]) * d[:, axes[1]])
    return bool(normal @ d[:, axes[2]] < 0)


def _turned_affine(volume: Volume, axes: tuple[int, ...], flips: tuple[bool, ...]) -> FloatArray:
    affine = np.array(volume.affine)
    affine[:3, :3] = volume.affine[:3, list(axes)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (volume.shape[axes[axis]] - 1)
            affine[:3, axis] *= -1
    return affine


def _scale(spacing: float, pixel_mm: float) -> float:
    scale = spacing / pixel_mm
    return 1.0 if abs(scale - 1) <= SAME_PIXEL else scale


def _resize(array: Float32, shape: tuple[int, int]) -> Float32:
    """In-plane linear resampling, edges aligned; smoothed first when it gets coarser, against aliasing."""
    factors = [shape[0] / array.shape[0], shape[1] / array.shape[1]]
    sigma = [max(0.0, (1 / f - 1) / 2) for f in factors]
    resized = ndimage.gaussian_filter(array, (*sigma, 0)) if max(sigma) > 0.05 else array
    for axis, factor in enumerate(factors):
        resized = linear_along(resized, axis, (np.arange(shape[axis]) + 0.5) / factor - 0.5)
    return resized


def linear_along(array: Float32, axis: int, positions: FloatArray) -> Float32:
    """The array at fractional indices of one axis, linear between them, the ends held.

    Ten times cheaper than a general zoom, and the same numbers.
    """
    held = np.clip(positions, 0, array.shape[axis] - 1)
    low = held.astype(int)
    share = (held - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    below, above = (np.take(array, at, axis) for at in (low, np.minimum(low + 1, array.shape[axis] - 1)))
    return np.asarray(below + share * (above - below), dtype=np.float32)
