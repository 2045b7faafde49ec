"""Open growth plates of a knee on a fat-suppressed fluid series: bright lines across bone at two heights and more.

Growth cartilage is bright between dark marrow, flat across the limb, and seen in slice after slice. The joint space
gives one such height; a femoral or a tibial plate gives another, one to seven centimetres away. A scar that closed
years ago is dark or too faint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.volume import AnyArray, Volume

_CODE: Final = "growth_plates"
_ALONG_LIMB: Final = 0.7
"""Least cosine between an in-plane axis and the patient's long axis: axial slices cut plates flat."""

_SMOOTHED: Final = (0.6, 1.5)
_BESIDE: Final = (4, 7)
"""Coarse pixels above and below a line that must be dark marrow: a plate is 2 to 3 mm thick."""

_SKIN_MM: Final = 8.0
"""Lines nearer to the skin are skin, veins or fascia."""

_FRAME: Final = 10
"""Coarse pixels at both ends of the limb in which nothing is looked for: the picture's edge is a line too."""

_PEAK: Final = 5
"""Coarse pixels along the limb among which a line is the highest rise."""

_LINK_MM: Final = 5.0
"""Lines of different slices at most this far apart in height are one plate, which is not quite flat."""

_LEAST_SLICES: Final = 4
"""A plate is seen in at least so many slices."""

_APART_MM, _FARTHEST_MM = 12.0, 70.0
"""A plate lies this far from the joint space, least and most."""


@dataclass(frozen=True)
class Line:
    """A bright line across the limb in one slice: at what height, mm from the top of the image."""

    slice_index: int
    height_mm: float


def check_growth_plates(volume: Volume, slices: Slices) -> QcCheck:
    """Whether bright lines cross the bones at more heights than the joint's."""
    axis = long_axis(volume)
    if axis is None or not slices.surrounded:
        why = "slices along a limb are needed"
        value = Measurement.not_assessable("line_heights", "1", why)
        return QcCheck(_CODE, Severity.NOTE, f"growth plates not looked for: {why}", "look for open ones", value)
    lines = find_lines(slices, axis)
    plates = plates_of(lines)
    value = Measurement.of("line_heights", float(len(plates)), "1")
    if not plates:
        text = "no open growth plate seen (a thin or faint one may be missed)"
        return QcCheck(_CODE, Severity.OK, text, value=value)
    seen = tuple(sorted({line.slice_index for plate in plates for line in plate}))
    text = "open growth plate likely: bright lines cross the bone away from the joint"
    meaning = "adult models and scores step back; the lines are no lesions"
    return QcCheck(_CODE, Severity.WARNING, text, meaning, value, seen)


def long_axis(volume: Volume) -> int | None:
    """The in-plane axis along the patient's long axis, or None where slices cut the limb across."""
    cosines = [abs(float(volume.directions[2, axis])) for axis in volume.in_plane_axes]
    best = int(np.argmax(cosines))
    return best if cosines[best] >= _ALONG_LIMB else None


def find_lines(slices: Slices, axis: int) -> tuple[Line, ...]:
    """Every bright line across the limb.

    Args:
        slices: of a fat-suppressed fluid series.
        axis: in-plane axis (0 or 1) along the limb.
    """
    found = []
    for k in range(len(slices.values)):
        plane, body, depth = (np.moveaxis(part[k], axis, 0) for part in (slices.values, slices.body, slices.depth_mm))
        heights = _heights(plane, body, depth, slices.step_mm[1 - axis])
        found += [Line(int(k), height * slices.step_mm[axis]) for height in heights]
    return tuple(found)


def _heights(plane: AnyArray, body: AnyArray, depth: AnyArray, across_mm: float) -> list[float]:
    """Rows at which a bright line runs across one slice, rows along the limb."""
    from scipy import ndimage

    if not body.any():
        return []
    smooth = ndimage.gaussian_filter(plane, _SMOOTHED)
    level = float(np.percentile(smooth[body], 75))
    first, last = _BESIDE
    size, shift = last - first + 1, (first + last) // 2
    beside = ndimage.uniform_filter1d(smooth, size, axis=0)
    brightest = ndimage.maximum_filter1d(smooth, size, axis=0)
    darker = np.maximum(np.roll(beside, shift, 0), np.roll(beside, -shift, 0))
    rise = (smooth - np.maximum(np.roll(brightest, shift, 0), np.roll(brightest, -shift, 0))) / max(level, 1e-6)
    ridge = (rise > threshold(_CODE, "rise")) & (darker < threshold(_CODE, "marrow") * level) & (depth > _SKIN_MM)
    ridge &= rise >= ndimage.maximum_filter1d(rise, _PEAK, axis=0)
    ridge[:_FRAME], ridge[-_FRAME:] = False, False
    labels, _ = ndimage.label(ndimage.binary_dilation(ridge, np.ones((3, 3))))
    heights = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = np.nonzero((labels[place] == label) & ridge[place])
        if len(np.unique(columns)) * across_mm >= threshold(_CODE, "length_mm"):
            heights.append(place[0].start + float(np.median(rows)))
    return heights


def plates_of(lines: tuple[Line, ...]) -> tuple[tuple[Line, ...], ...]:
    """The lines by height, the height of most slices (the joint's or a plate's) left out; empty with only one."""
    heights = [one for one in _by_height(lines) if len({line.slice_index for line in one}) >= _LEAST_SLICES]
    main = max(heights, key=len, default=())
    return tuple(one for one in heights if one is not main and _FARTHEST_MM >= _apart(one, main) >= _APART_MM)


def _by_height(lines: tuple[Line, ...]) -> list[tuple[Line, ...]]:
    """Lines in groups of neighbouring heights."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.height_mm):
        if groups and line.height_mm - groups[-1][-1].height_mm <= _LINK_MM:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [tuple(group) for group in groups]


def _apart(one: tuple[Line, ...], other: tuple[Line, ...]) -> float:
    middle, there = (float(np.median([line.height_mm for line in group])) for group in (one, other))
    return abs(middle - there)
