"""From frames of one kind to a box-shaped grid: sort along the normal, find gaps, jitter and tilt.

Never a silent repair: what is mended carries a :class:`Reason`, what cannot be is refused with its own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.study import limits
from marrowscope.study.frames import Frame
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.types import Reason
from marrowscope.volume import FloatArray

MIN_SLICES: Final = 3
"""Fewer slices do not make a volume whose extent means anything."""

SAME_POSITION_MM: Final = 0.01
"""Two frames closer than this along the normal lie at one place; headers print 6 digits."""

JITTER_TOLERANCE: Final = 0.02
"""Slice positions may be off an even grid by this fraction of the spacing (0.07 mm at 3.5 mm) and are evened out."""

TILT_TOLERANCE_MM: Final = 0.05
"""In-plane drift allowed over a whole stack; at 0.3 mm pixels a sixth of a pixel."""

UNIT_TOLERANCE: Final = 1e-3
"""Row and column cosines must be unit and square to within this."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames in k order on one grid.

    Attributes:
        frames: one a slice, along +normal (row cosines x column cosines).
        affine: 4x4 index (column, row, slice) to LPS mm.
        reasons: what was dropped or evened out.
    """

    frames: tuple[Frame, ...]
    affine: FloatArray
    reasons: tuple[Reason, ...] = ()


def normal_of(frame: Frame) -> FloatArray:
    """Unit normal of a frame, row cosines x column cosines.

    Raises:
        RefusedInputError: ``bad_orientation`` when the cosines are not unit and square.
    """
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE or abs(row @ column) > UNIT_TOLERANCE:
        raise RefusedInputError("bad_orientation", "row and column directions that are not unit and square", "cosines")
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal))


def offsets_of(frames: Sequence[Frame], normal: FloatArray) -> FloatArray:
    """Position of each frame along the normal in mm, shape (n,)."""
    return np.asarray(np.array([f.position for f in frames], dtype=np.float64) @ normal)


def build_stack(frames: Sequence[Frame]) -> Stack:
    """Sort frames of one kind and orientation and fit the grid through them.

    Raises:
        RefusedInputError: ``too_few_slices``, ``same_position``, ``missing_slices``, ``uneven_spacing`` or ``tilted``.
    """
    normal = normal_of(frames[0])
    offsets = offsets_of(frames, normal)
    order = np.argsort(offsets, kind="stable")
    ordered = tuple(frames[i] for i in order)
    if len(ordered) < MIN_SLICES:
        raise RefusedInputError("too_few_slices", f"{len(ordered)} slice(s)", f"at least {MIN_SLICES} parallel slices")
    spacing, reasons = _spacing(offsets[order])
    _refuse_tilt(ordered, normal)
    return Stack(ordered, plausible(_affine(ordered, normal, spacing)), reasons)


def plausible(affine: FloatArray) -> FloatArray:
    """The same 4x4 affine in mm, once its steps and its place can be a patient's.

    Raises:
        RefusedInputError: ``implausible_geometry``.
    """
    steps, place = np.linalg.norm(affine[:3, :3], axis=0), float(np.abs(affine[:3, 3]).max())
    if steps.min() < limits.MIN_STEP_MM or steps.max() > limits.MAX_STEP_MM or place > limits.MAX_PLACE_MM:
        raise RefusedInputError(
            "implausible_geometry",
            f"voxels {' x '.join(f'{step:.3g}' for step in steps)} mm large, {place:.3g} mm from the origin",
            f"{limits.MIN_STEP_MM} to {limits.MAX_STEP_MM:.0f} mm, at most {limits.MAX_PLACE_MM / 1000:.0f} m away",
            "check the unit: millimetres",
        )
    return affine


def _spacing(offsets: FloatArray) -> tuple[float, tuple[Reason, ...]]:
    steps = np.diff(offsets)
    if steps.min() <= SAME_POSITION_MM:
        raise RefusedInputError(
            "same_position", f"{int((steps <= SAME_POSITION_MM).sum()) + 1} slices that share a place",
            "one slice a place",
        )  # fmt: skip
    typical = float(np.median(steps))
    multiples = steps / typical
    wide = multiples > 1 + 10 * JITTER_TOLERANCE
    if wide.any():
        _refuse_gap(steps, typical, wide)
    spacing = float((offsets[-1] - offsets[0]) / (len(offsets) - 1))
    jitter = float(np.abs(offsets - offsets[0] - spacing * np.arange(len(offsets))).max())
    if jitter > JITTER_TOLERANCE * spacing:
        raise RefusedInputError(
            "uneven_spacing",
            f"slices {steps.min():.2f} to {steps.max():.2f} mm apart",
            f"even spacing to within {JITTER_TOLERANCE * spacing:.2f} mm",
        )
    if jitter > SAME_POSITION_MM:
        return spacing, (Reason("jitter_evened", f"slice positions off an even grid by {jitter:.3f} mm, evened out"),)
    return spacing, ()


def _refuse_gap(steps: FloatArray, typical: float, wide: np.ndarray) -> None:
    multiples = steps[wide] / typical
    whole = np.abs(multiples - np.round(multiples)).max() < 10 * JITTER_TOLERANCE
    if whole:
        missing = int(np.round(multiples - 1).sum())
        where = ", ".join(str(int(i) + 1) for i in np.flatnonzero(wide)[:5])
        raise RefusedInputError(
            "missing_slices", f"{missing} slice(s) missing after slice {where} of a stack {typical:.2f} mm apart",
            "every slice", "send the series again from its source",
        )  # fmt: skip
    raise RefusedInputError("uneven_spacing", f"slices {steps.min():.2f} to {steps.max():.2f} mm apart", "even spacing")


def _refuse_tilt(frames: Sequence[Frame], normal: FloatArray) -> None:
    positions = np.array([f.position for f in frames])
    relative = positions - positions[0]
    in_plane = relative - np.outer(relative @ normal, normal)
    drift = float(np.linalg.norm(in_plane, axis=1).max())
    if drift > TILT_TOLERANCE_MM:
        run = float(np.abs(relative[-1] @ normal))
        angle = float(np.degrees(np.arctan2(np.linalg.norm(in_plane[-1]), run)))
        raise RefusedInputError(
            "tilted", f"slices that drift {drift:.1f} mm sideways (a gantry tilt of {angle:.1f} degrees)",
            "slices stacked along their normal", "resample it to a straight stack first",
        )  # fmt: skip


def _affine(frames: Sequence[Frame], normal: FloatArray, spacing: float) -> FloatArray:
    first = frames[0]
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = row / np.linalg.norm(row) * first.spacing[1]
    affine[:3, 1] = column / np.linalg.norm(column) * first.spacing[0]
    affine[:3, 2] = normal * spacing
    affine[:3, 3] = first.position
    return affine
