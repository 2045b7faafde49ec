"""Periodic motion inside the body: ghosts are copies of the strongest edges at one fixed distance.

Motion that repeats while lines are encoded throws weak copies of every edge along the phase encoding, all by the same
distance (Wood & Henkelman, Med Phys 1985;12:143). Skin, cortex and fluid are strong edges; where the weaker
parts of the image, marrow and muscle, correlate with them at one distance far more than at the distances around it,
that is a ghost. Anatomy repeats too, but not by the same few millimetres in every row and slice. No air is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.morphology import grown
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.volume import AnyArray, FloatArray, Volume, direction_letter

_CODE: Final = "motion_inside"
_MOST_SLICES: Final = 8
_MIN_SIDE_MM: Final = 96.0
_EDGE_MM: Final = 0.9
"""Scale of the edges compared: finer ones drown in noise."""

_SOURCE_PERCENT: Final = 93.0
"""The strongest edges, whose copies are looked for."""

_LEFT_OUT_PERCENT: Final = 97.0
"""Edges stronger than this hide any copy and are not searched."""

_ACROSS: Final = 3
"""Pixels averaged across the axis looked along: copies are as wide as what they copy."""

_SHORTEST_MM: Final = 11.0
"""Repeats nearer than this are the two faces of skin, cortex, cartilage and vessels."""

_LONGEST_MM: Final = 60.0
_AROUND_MM: Final = 22.0
_SMOOTHED_PIXELS: Final = 0.7
_FRAME_PIXELS: Final = 4
_WIDENED: Final = 1
_NOTHING: Final = 1e-12
"""A correlation this small comes from an image without edges: nothing repeats in it."""

_CONSEQUENCE: Final = "bands across bone may be ghosts: place, size and brightness of lesions are doubtful"


@dataclass(frozen=True)
class Repeat:
    """The distance at which edges repeat most along one in-plane axis.

    Attributes:
        axis: 0 or 1, in-plane axis of the slices.
        excess: correlation at that distance over the median of the distances around it; 1 = nothing repeats.
        distance_mm: the distance.
    """

    axis: int
    excess: float
    distance_mm: float


def check_motion_inside(volume: Volume, slices: Slices) -> QcCheck:
    """Whether strong edges repeat at one distance along either in-plane axis.

    Args:
        volume: to say along which way of the patient.
        slices: the same on the coarse grid.
    """
    found = [repeat for axis in (0, 1) if (repeat := find_repeat(volume, slices, axis)) is not None]
    if not found:
        why = "the image is too small"
        value = Measurement.not_assessable("edge_repeat", "1", why)
        return QcCheck(_CODE, Severity.NOTE, f"motion inside the body not judged: {why}", "look for ghosts", value)
    worst = max(found, key=lambda repeat: repeat.excess)
    value = Measurement.of("edge_repeat", worst.excess, "1")
    for severity, name in ((Severity.WARNING, "warn"), (Severity.NOTE, "note")):
        if worst.excess > threshold(_CODE, name):
            way = _way(volume, volume.in_plane_axes[worst.axis])
            text = f"ghosts of motion or flow inside the body: edges repeat after {worst.distance_mm:.0f} mm {way}"
            return QcCheck(_CODE, severity, text, _CONSEQUENCE, value)
    return QcCheck(_CODE, Severity.OK, "edges repeat at no fixed distance", value=value)


def find_repeat(volume: Volume, slices: Slices, axis: int) -> Repeat | None:
    """The strongest repeat along an in-plane axis (0 or 1); None where the image is too small."""
    step = volume.spacing[volume.in_plane_axes[axis]]
    planes = np.moveaxis(volume.array, volume.slice_axis, 0)
    size = planes.shape[1 + axis]
    first, around = round(_SHORTEST_MM / step), 2 * round(_AROUND_MM / step / 2) + 1
    if size * step < _MIN_SIDE_MM or not len(slices.filled):
        return None
    from scipy import ndimage

    every = -(-len(slices.filled) // _MOST_SLICES)
    looked = [np.moveaxis(planes[k], axis, 0) for k in slices.filled[::every]]
    most = min(size // 2, round(_LONGEST_MM / step))
    curve = np.mean([_repeats(plane, _EDGE_MM / step, most) for plane in looked], axis=0)
    curve = ndimage.gaussian_filter1d(curve, _SMOOTHED_PIXELS)
    usual = ndimage.median_filter(curve[first:], around, mode="nearest")
    excess = np.divide(curve[first:], usual, out=np.ones_like(usual), where=usual > _NOTHING)
    best = int(excess.argmax())
    return Repeat(axis, float(excess[best]), (first + best) * step)


def _repeats(plane: AnyArray, sigma: float, most: int) -> FloatArray:
    """Squared correlation of strong edges with the rest of one slice, by distance along the first axis, both ways.

    Args:
        plane: one slice.
        sigma: scale of the edges in pixels.
        most: largest distance in pixels.
    """
    from scipy import fft, ndimage

    rows, columns = plane.shape[0], plane.shape[1] // _ACROSS
    pairs = plane[:, : columns * _ACROSS].reshape(rows, columns, _ACROSS).sum(axis=2, dtype=np.float32)
    slope = ndimage.gaussian_filter1d(pairs, sigma, axis=0, order=1, mode="nearest")
    bend = np.float32(sigma) * ndimage.gaussian_filter1d(pairs, sigma, axis=0, order=2, mode="nearest")
    slope[:_FRAME_PIXELS], slope[-_FRAME_PIXELS:], bend[:_FRAME_PIXELS], bend[-_FRAME_PIXELS:] = 0, 0, 0, 0
    edge = np.hypot(slope, bend)
    strong, hiding = np.percentile(edge[::2, ::2], [_SOURCE_PERCENT, _LEFT_OUT_PERCENT])
    rest = ~grown(edge > hiding, _WIDENED)
    size = fft.next_fast_len(edge.shape[0] + most, real=True)
    weak = fft.rfft(np.where(rest, slope, np.float32(0)), size, axis=0)
    scale = float((slope[rest] ** 2).sum()) * float((edge[edge > strong] ** 2).sum())
    found = np.zeros(most)
    for part in (slope, bend):
        source = fft.rfft(np.where(edge > strong, part, np.float32(0)), size, axis=0)
        product = fft.irfft(np.einsum("fx,fx->f", weak, source.conj()), size)
        found += product[:most] ** 2 + np.roll(product[::-1], 1)[:most] ** 2
    return found / max(scale, float(np.finfo(np.float32).tiny))


def _way(volume: Volume, axis: int) -> str:
    end = direction_letter(volume.directions[:, axis])
    return {"R": "left-right", "L": "left-right", "A": "front-back", "P": "front-back"}.get(end, "head-foot")
