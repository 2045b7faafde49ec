"""A drawn segment on the fluid grid: voxel for voxel where it was drawn on that grid, else resampled with a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.errors import GeometryError
from marrowscope.labelmap import BoolArray
from marrowscope.study.frames import Frame
from marrowscope.study.segmentation import Segment, SegmentPlane
from marrowscope.volume import FloatArray, Volume, resample

ON_GRID_VOXELS: Final = 0.05
"""A frame lies on a grid when no pixel centre is off a voxel centre by more than this: far under half a voxel, far over
the round-off of decimal strings."""

SAME_PLANE: Final = 1e-3
"""Largest difference of direction cosines between frames of one stack; DICOM prints them with 4 to 6 digits."""

EVEN: Final = 0.1
"""Largest deviation of frame positions from an even stack, in steps."""

LOST: Final = 0.02
"""Share of a segment that may lie outside the fluid series; more means it belongs elsewhere."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A segment on a grid.

    Attributes:
        segment: what was drawn. mask: bool on the grid. note: how it came there; empty when voxel for voxel.
    """

    segment: Segment
    mask: BoolArray
    note: str


def place(segment: Segment, grid: Volume) -> Placed:
    """The segment on the grid.

    Raises:
        GeometryError: more than :data:`LOST` of it lies outside, or its frames are no even stack.
    """
    indices = [_on_grid(plane, grid) for plane in segment.planes]
    if all(index is not None for index in indices):
        return Placed(segment, _filled(segment, np.concatenate([i for i in indices if i is not None]), grid), "")
    drawn = _stack(segment.planes)
    mask = resample(drawn, grid, order=0).array.astype(bool)
    before, after = (float(m.sum()) * g.voxel_volume_mm3 / 1000 for m, g in ((drawn.array, drawn), (mask, grid)))
    _refuse_outside(segment, drawn.to_world(np.argwhere(drawn.array)), grid)
    note = (
        f"drawn on another grid ({' x '.join(f'{s:.2f}' for s in drawn.spacing)} mm, {drawn.plane}): "
        f"nearest voxels taken, {before:.3f} cm3 became {after:.3f}"
    )
    return Placed(segment, mask, note)


def _affine(frame: Frame, step: float) -> FloatArray:
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * frame.spacing[1], column * frame.spacing[0]
    affine[:3, 2] = np.cross(row, column) * step
    affine[:3, 3] = frame.position
    return affine


def _on_grid(plane: SegmentPlane, grid: Volume) -> np.ndarray | None:
    """Grid indices of the plane's pixels, shape (n, 3); None when its pixel centres are no voxel centres."""
    frame = plane.frame
    to_index = np.linalg.inv(grid.affine) @ _affine(frame, 1.0)
    corners = np.array([(c, r, 0, 1) for c in (0, frame.columns - 1) for r in (0, frame.rows - 1)]) @ to_index.T
    whole = np.rint(to_index[:3])
    ideal = np.array([(c, r, 0, 1) for c in (0, frame.columns - 1) for r in (0, frame.rows - 1)]) @ whole.T
    if np.abs(corners[:, :3] - ideal).max() > ON_GRID_VOXELS or not _unit_steps(whole[:, :2]):
        return None
    row, column = np.nonzero(plane.pixels)
    index: np.ndarray = (np.c_[column, row, np.zeros_like(row), np.ones_like(row)] @ whole.T).astype(np.int64)
    return index


def _unit_steps(steps: FloatArray) -> bool:
    """Whether each pixel axis moves by one voxel along one grid axis of its own."""
    return bool((np.abs(steps).sum(axis=0) == 1).all() and (np.abs(steps).sum(axis=1) <= 1).all())


def _filled(segment: Segment, index: np.ndarray, grid: Volume) -> BoolArray:
    inside = ((index >= 0) & (index < np.array(grid.shape))).all(axis=1)
    _check_lost(segment, int((~inside).sum()), len(index))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[tuple(index[inside].T)] = True
    return mask


def _refuse_outside(segment: Segment, mm: FloatArray, grid: Volume) -> None:
    index = np.rint(grid.to_index(mm))
    outside = ~((index >= 0) & (index < np.array(grid.shape))).all(axis=1)
    _check_lost(segment, int(outside.sum()), len(index))


def _check_lost(segment: Segment, lost: int, of: int) -> None:
    if lost > LOST * of:
        raise GeometryError(
            f"segment {segment.number}, of which {100 * lost / of:.0f} % lies outside the fluid series",
            f"at most {100 * LOST:.0f} %",
            "give a segmentation drawn on this study",
        )


def _stack(planes: Sequence[SegmentPlane]) -> Volume:
    """The segment on its own even stack; frames between that it lacks are empty."""
    first = planes[0].frame
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    for plane in planes:
        _refuse_other_plane(plane.frame, first, normal)
    depths = np.array([np.dot(p.frame.position, normal) for p in planes])
    step = _step(depths - depths.min(), planes[0])
    numbers = np.rint((depths - depths.min()) / step).astype(int)
    lowest = planes[int(depths.argmin())].frame
    array = np.zeros((first.columns, first.rows, int(numbers.max()) + 1), dtype=np.uint8)
    for plane, k in zip(planes, numbers.tolist(), strict=True):
        array[:, :, k] |= plane.pixels.T.astype(np.uint8)
    return Volume(array, _affine(lowest, step))


def _step(depths: FloatArray, plane: SegmentPlane) -> float:
    """mm from frame to frame: as stated, else the smallest distance met, else the thickness; whichever is even."""
    apart = np.diff(np.unique(np.round(depths, 4)))
    tried = [
        s for s in (plane.step_mm, float(apart.min(initial=np.inf)), plane.frame.thickness_mm) if s and np.isfinite(s)
    ]
    for step in tried:
        if np.abs(depths / step - np.rint(depths / step)).max() <= EVEN:
            return step
    raise GeometryError(
        "frames that are not evenly apart, or one frame without a thickness",
        "an even stack with Slice Thickness or Spacing Between Slices",
        "export the segmentation on one image series",
    )


def _refuse_other_plane(frame: Frame, first: Frame, normal: FloatArray) -> None:
    shift = np.array(frame.position) - np.array(first.position)
    sideways = shift - np.dot(shift, normal) * normal
    same = (frame.rows, frame.columns, frame.spacing) == (first.rows, first.columns, first.spacing)
    turned = np.abs(np.array(frame.orientation) - np.array(first.orientation)).max()
    if not same or turned > SAME_PLANE or np.abs(sideways).max() > ON_GRID_VOXELS * min(first.spacing):
        raise GeometryError("frames that are no one stack (turned, shifted or of another size)", "parallel frames")
