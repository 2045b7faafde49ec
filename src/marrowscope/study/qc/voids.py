"""Metal voids as boxes in the patient, and which voxels of another series lie within a margin of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from marrowscope.study.qc.metal import Void
from marrowscope.study.qc.slices import Slices
from marrowscope.volume import AnyArray, FloatArray, Volume


@dataclass(frozen=True, eq=False)
class Box:
    """A box in LPS mm: its middle, its unit axes as rows, and half its size along each."""

    middle: FloatArray
    axes: FloatArray
    half_mm: FloatArray

    def corners(self, margin_mm: float) -> FloatArray:
        """The eight corners of the box grown by a margin, shape (8, 3)."""
        signs = np.array(list(product((-1.0, 1.0), repeat=3)))
        return np.asarray(self.middle + (signs * (self.half_mm + margin_mm)) @ self.axes)

    def distance_mm(self, points: FloatArray) -> FloatArray:
        """Distance of points, shape (..., 3), from the box; 0 inside."""
        outside = np.maximum(np.abs((points - self.middle) @ self.axes.T) - self.half_mm, 0)
        return np.asarray(np.linalg.norm(outside, axis=-1))


def boxes_of(voids: Iterable[Void], slices: Slices, volume: Volume) -> tuple[Box, ...]:
    """The voids of a volume's coarse slices as boxes in the patient."""
    order = (volume.slice_axis, *volume.in_plane_axes)
    spacing = np.array([volume.spacing[axis] for axis in order])
    axes = np.array([volume.affine[:3, axis] for axis in order]) / spacing[:, None]
    fine = [volume.shape[axis] for axis in volume.in_plane_axes]
    scale = [(n - 1) / max(m - 1, 1) for n, m in zip(fine, slices.values.shape[1:], strict=True)]
    found = []
    for void in voids:
        middle, half = [float(void.slice_index)], [0.5]
        for part, factor in zip(void.place, scale, strict=True):
            middle.append((part.start + part.stop - 1) / 2 * factor)
            half.append((part.stop - part.start) / 2 * factor)
        index = np.empty(3)
        index[list(order)] = middle
        found.append(Box(np.asarray(volume.to_world(index)), axes, np.array(half) * spacing))
    return tuple(found)


def near(boxes: Iterable[Box], volume: Volume, margin_mm: float) -> AnyArray:
    """Voxels of a volume within a margin of any box, bool, the volume's shape."""
    mask = np.zeros(volume.shape, dtype=bool)
    to_index = np.linalg.inv(volume.affine)
    for box in boxes:
        reach = box.corners(margin_mm) @ to_index[:3, :3].T + to_index[:3, 3]
        low = np.clip(np.floor(reach.min(axis=0)).astype(int), 0, volume.shape)
        high = np.clip(np.ceil(reach.max(axis=0)).astype(int) + 1, 0, volume.shape)
        if (high <= low).any():
            continue
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
        points = grid @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        mask[part] |= box.distance_mm(points) <= margin_mm
    return mask
