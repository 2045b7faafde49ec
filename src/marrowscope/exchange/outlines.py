"""Outlines of a slice's mask as closed polylines along pixel edges: exactly the mask, nothing smoothed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def outlines(mask: npt.NDArray[np.bool_]) -> list[FloatArray]:
    """Closed polylines around every part and hole of a mask.

    Args:
        mask: (column, row) bool array.

    Returns:
        Arrays of shape (n, 2), (column, row) of pixel corners, 0 at the image's left and upper edge; first = last.
    """
    edges = _directed_edges(mask)
    lines = []
    while edges:
        start, here = next(iter(edges)), next(iter(edges))
        points = [start]
        while True:
            following = edges[here].pop()
            if not edges[here]:
                del edges[here]
            points.append(following)
            here = following
            if here == start:
                break
        lines.append(_corners(points))
    return lines


def _directed_edges(mask: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Pixel edges between inside and outside, each with the inside on the same hand."""
    padded = np.pad(mask, 1)
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add(a: tuple[int, int], b: tuple[int, int]) -> None:
        edges.setdefault(a, []).append(b)

    for i, j in np.argwhere(padded).tolist():
        c, r = i - 1, j - 1
        if not padded[i, j - 1]:
            add((c, r), (c + 1, r))
        if not padded[i + 1, j]:
            add((c + 1, r), (c + 1, r + 1))
        if not padded[i, j + 1]:
            add((c + 1, r + 1), (c, r + 1))
        if not padded[i - 1, j]:
            add((c, r + 1), (c, r))
    return edges


def _corners(points: list[tuple[int, int]]) -> FloatArray:
    """The polyline without points in the middle of straight runs."""
    line = np.array(points, dtype=np.float64)
    steps = np.diff(line, axis=0)
    keep = np.concatenate(([True], (steps[1:] != steps[:-1]).any(axis=1), [True]))
    return line[keep]
