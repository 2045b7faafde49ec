"""How a slice is laid on the screen: radiological convention for any acquisition, with true proportions.

Axial slices are seen from the feet (patient's right on the left of the picture, front on top), coronal ones from the
front, sagittal ones from the left (front on the left). An oblique slice follows the named plane it is nearest to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowscope.volume import AnyArray, FloatArray, Volume

RIGHTWARD_DOWNWARD = (
    ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),  # sagittal (normal along x): to posterior, to the feet
    ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),  # coronal: to the patient's left, to the feet
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),  # axial: to the patient's left, to posterior
)
"""LPS directions of the picture's right and down, by the patient axis nearest the slice normal."""

SECOND_LETTER_COSINE = 0.34
"""A picture edge gets a second letter when it leans more than about 20 degrees towards another patient axis."""

_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))


@dataclass(frozen=True)
class Layout:
    """How the slices of one volume become pictures.

    Attributes:
        slice_axis, row_axis, column_axis: index axes of the volume; rows run down, columns to the right.
        flip_rows, flip_columns: whether the array runs against the picture along that axis.
        pixel_mm: height and width of one pixel in mm.
        letters: patient directions at the left, right, top and bottom edge.
    """

    slice_axis: int
    row_axis: int
    column_axis: int
    flip_rows: bool
    flip_columns: bool
    pixel_mm: tuple[float, float]
    letters: tuple[str, str, str, str]


def layout_of(volume: Volume, slice_axis: int | None = None) -> Layout:
    """The layout of slices perpendicular to ``slice_axis`` (default: the acquired slices)."""
    axis = volume.slice_axis if slice_axis is None else slice_axis
    directions = volume.directions
    rightward, downward = (np.array(v) for v in RIGHTWARD_DOWNWARD[int(np.abs(directions[:, axis]).argmax())])
    first, second = (a for a in range(3) if a != axis)
    row, column = _assign(directions, first, second, rightward, downward)
    flip_rows = bool(directions[:, row] @ downward < 0)
    flip_columns = bool(directions[:, column] @ rightward < 0)
    down = directions[:, row] * (-1 if flip_rows else 1)
    right = directions[:, column] * (-1 if flip_columns else 1)
    letters = (edge_letters(-right), edge_letters(right), edge_letters(-down), edge_letters(down))
    return Layout(axis, row, column, flip_rows, flip_columns, (volume.spacing[row], volume.spacing[column]), letters)


def _assign(
    directions: FloatArray, first: int, second: int, rightward: FloatArray, downward: FloatArray
) -> tuple[int, int]:
    """Which of two index axes runs down and which to the right: the pairing that leans least."""
    straight = abs(directions[:, first] @ rightward) + abs(directions[:, second] @ downward)
    crossed = abs(directions[:, second] @ rightward) + abs(directions[:, first] @ downward)
    return (second, first) if straight >= crossed else (first, second)


def edge_letters(direction: FloatArray) -> str:
    """One or two of R L A P I S: where an LPS direction points, its largest part first."""
    order = np.argsort(-np.abs(direction), kind="stable")[:2]
    kept = [a for i, a in enumerate(order) if i == 0 or abs(direction[a]) > SECOND_LETTER_COSINE]
    return "".join(_LETTERS[a][int(direction[a] > 0)] for a in kept)


def slice_picture(array: AnyArray, layout: Layout, index: int) -> AnyArray:
    """One slice as a 2-D array, rows from the top down and columns from left to right of the picture."""
    plane = array[(slice(None),) * layout.slice_axis + (index,)]
    if layout.row_axis > layout.column_axis:
        plane = plane.T
    rows = slice(None, None, -1) if layout.flip_rows else slice(None)
    columns = slice(None, None, -1) if layout.flip_columns else slice(None)
    return np.asarray(plane[rows, columns])
