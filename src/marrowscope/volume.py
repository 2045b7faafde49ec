"""Geometry in one small class: an array indexed (i, j, k) with an affine to LPS millimetres.

DICOM's patient frame (PS3.3 C.7.6.2.1.1) is used everywhere inside: +x to the patient's left, +y to
posterior, +z to the head. NIfTI's RAS is converted once, at the edge, by :func:`ras_to_lps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowscope.errors import GeometryError

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

GRID_TOLERANCE_MM = 1e-3
"""Two grids are the same when no voxel centre moves by more than this; header round-off is ~1e-5 mm."""

ORTHOGONALITY_TOLERANCE = 1e-3
"""Largest |cosine| between two index axes of a box-shaped grid; DICOM prints cosines with 6 digits."""

HALF_VOXEL = 0.5 + 1e-6
"""A voxel reaches this far from its centre; the millionth absorbs round-off of two affines."""

SAME_VOXEL = 1e-3
"""Points no farther than this from voxel centres, in voxels, lie on them: single precision over 500 voxels is 1e-4."""

COSINE_DIGITS = 6
"""Direction cosines that agree to these digits are a tie, which the first axis wins whatever the round-off."""

OBLIQUE_COSINE = 0.8
"""A plane is named axial, coronal or sagittal when its normal's largest cosine reaches this (~37 degrees)."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
_PLANE_BY_AXIS = ("sagittal", "coronal", "axial")


def ras_to_lps(affine: npt.ArrayLike) -> FloatArray:
    """A 4x4 index-to-RAS affine (NIfTI) as index-to-LPS, or back (the map is its own inverse)."""
    return _LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D array on a grid in LPS millimetres.

    Attributes:
        array: shape (ni, nj, nk), any dtype; never written to after construction.
        affine: 4x4, index (i, j, k, 1) to LPS mm.
        slice_axis: the index axis along which slices were acquired (0, 1 or 2).

    Raises:
        GeometryError: the array is not 3-D, or the affine is not finite, invertible and box-shaped.
    """

    array: AnyArray
    affine: FloatArray
    slice_axis: int = 2

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if self.array.ndim != 3:
            raise GeometryError(f"an array with {self.array.ndim} axes", "3 axes (i, j, k)", "split it into volumes")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError("an affine that is not a finite 4x4 homogeneous matrix", "index to LPS mm")
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        if (steps <= 0).any():
            raise GeometryError("a grid with a zero step", "three positive spacings in mm")
        unit = affine[:3, :3] / steps
        worst = float(np.abs(unit.T @ unit - np.eye(3)).max())
        if worst > ORTHOGONALITY_TOLERANCE:
            raise GeometryError(
                f"a sheared grid (axes off square by a cosine of {worst:.4f})",
                f"axes square to within {ORTHOGONALITY_TOLERANCE}",
                "resample it to a box-shaped grid first",
            )
        if self.slice_axis not in (0, 1, 2):
            raise GeometryError(f"slice axis {self.slice_axis}", "0, 1 or 2")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(ni, nj, nk)."""
        ni, nj, nk = self.array.shape
        return int(ni), int(nj), int(nk)

    @cached_property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j, k in mm."""
        a, b, c = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(a), float(b), float(c)

    @property
    def slice_spacing(self) -> float:
        """Distance between neighbouring slices in mm."""
        return self.spacing[self.slice_axis]

    @property
    def in_plane_axes(self) -> tuple[int, int]:
        """The two index axes inside a slice, in index order."""
        first, second = (a for a in range(3) if a != self.slice_axis)
        return first, second

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres (slice gaps counted in)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def directions(self) -> FloatArray:
        """3x3, one unit LPS vector a column for the axes i, j, k."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing))

    @property
    def axis_codes(self) -> str:
        """Three letters: where each index axis points, e.g. ``"LPS"``; each patient axis is named once.

        In a doubly oblique grid two index axes can be nearest to one patient axis: the nearer one takes it.
        """
        cosines = np.round(self.directions, COSINE_DIGITS)
        letters, free = [""] * 3, [0, 1, 2]
        for a in np.argsort(-np.abs(cosines).max(axis=0), kind="stable"):
            axis = free[int(np.abs(cosines[free, a]).argmax())]
            letters[a] = _AXIS_LETTERS[axis][int(cosines[axis, a] > 0)]
            free.remove(axis)
        return "".join(letters)

    @property
    def plane(self) -> str:
        """``axial``, ``coronal``, ``sagittal`` or ``oblique``, by the normal of the slices."""
        normal = np.abs(self.directions[:, self.slice_axis])
        axis = int(normal.argmax())
        return _PLANE_BY_AXIS[axis] if normal[axis] >= OBLIQUE_COSINE else "oblique"

    @property
    def affine_ras(self) -> FloatArray:
        """4x4 index-to-RAS affine, as NIfTI stores it."""
        return ras_to_lps(self.affine)

    def to_world(self, index: npt.ArrayLike) -> FloatArray:
        """LPS mm of continuous indices, shape (..., 3)."""
        return np.asarray(np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, world: npt.ArrayLike) -> FloatArray:
        """Continuous indices of LPS mm points, shape (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(np.asarray(world, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3])

    def same_grid(self, other: Volume, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
        """Whether both grids have one shape and no voxel centre differs by more than the tolerance."""
        if self.shape != other.shape:
            return False
        corners = _corners(self.shape)
        return float(np.abs(self.to_world(corners) - other.to_world(corners)).max()) <= tolerance_mm

    def same_voxels(self, other: Volume, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
        """Whether both grids have the same voxel centres, in whatever axis order and direction."""
        whole = np.rint(np.linalg.inv(self.affine) @ other.affine)
        corners = np.c_[_corners(other.shape), np.ones(8)]
        ends = corners @ whole.T
        off = np.abs(ends @ self.affine.T - corners @ other.affine.T).max()
        ordered = (np.abs(whole[:3, :3]).sum(axis=0) == 1).all()
        onto = {tuple(end) for end in ends[:, :3]} == {tuple(corner) for corner in _corners(self.shape)}
        return bool(ordered) and onto and float(off) <= tolerance_mm

    def with_array(self, array: AnyArray) -> Volume:
        """The same grid holding another array of the same shape.

        Raises:
            GeometryError: the shapes differ.
        """
        if array.shape != self.array.shape:
            raise GeometryError(f"an array of shape {array.shape}", f"this grid's shape {self.array.shape}")
        return replace(self, array=array)


def _corners(shape: tuple[int, int, int]) -> FloatArray:
    """Indices of the eight corner voxels, shape (8, 3)."""
    return np.array(np.meshgrid(*[(0.0, n - 1.0) for n in shape])).reshape(3, -1).T


def direction_letter(vector: npt.ArrayLike) -> str:
    """The patient direction (R L A P I S) an LPS vector points to most."""
    v = np.asarray(vector, dtype=np.float64)
    axis = int(np.abs(v).argmax())
    return _AXIS_LETTERS[axis][int(v[axis] > 0)]


def resample(volume: Volume, grid: Volume, *, order: int = 1, outside: float = 0.0) -> Volume:
    """``volume`` sampled at the voxel centres of ``grid``.

    Args:
        volume: what is sampled.
        grid: where; only its shape and affine are used.
        order: spline order, 0 for labels, 1 for images.
        outside: value given to points beyond ``volume``.

    Returns:
        A Volume on ``grid`` with ``volume``'s dtype for order 0, float32 otherwise.
    """
    from scipy import ndimage

    matrix = _whole_steps(np.linalg.inv(volume.affine) @ grid.affine, grid)
    source = volume.array if order == 0 else volume.array.astype(np.float32)
    sampled = ndimage.affine_transform(
        source, matrix[:3, :3], matrix[:3, 3], output_shape=grid.shape, order=order, mode="nearest"
    )
    sampled[~covered(volume, grid)] = outside
    return replace(grid, array=np.asarray(sampled))


def _whole_steps(matrix: FloatArray, grid: Volume) -> FloatArray:
    """The index-to-index matrix without the round-off of its affines, where it leads from voxel centre to voxel centre.

    So a volume stored in another axis order is sampled without blending neighbours, and gives the same values.
    """
    whole = np.rint(matrix)
    farthest = np.array([*(n - 1 for n in grid.shape), 1])
    off = float((np.abs(matrix - whole) @ farthest)[:3].max())
    return whole if off <= SAME_VOXEL else matrix


def covered(volume: Volume, grid: Volume) -> npt.NDArray[np.bool_]:
    """Where voxel centres of ``grid`` lie inside ``volume``, whose box reaches half a voxel beyond its centres."""
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    axes = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    inside = np.ones(grid.shape, dtype=np.bool_)
    for row, count in enumerate(volume.shape):
        index = sum(matrix[row, c] * axes[c] for c in range(3)) + matrix[row, 3]
        inside &= (index > -HALF_VOXEL) & (index < count - 1 + HALF_VOXEL)
    return inside
