"""Fat and muscle of one T1 slice, told apart by brightness once coil shading is evened out."""

from __future__ import annotations

from typing import Final

import numpy as np

from marrowscope.robust import otsu
from marrowscope.study.qc.morphology import shrunk
from marrowscope.volume import AnyArray

Tissues = tuple[AnyArray, AnyArray]
"""Masks of fat and of muscle, the slice's shape, bool."""

LOCAL_MM: Final = 20.0
"""Fat is compared with muscle within about this distance: coil shading changes over 40 mm and more."""

MIN_PIXELS: Final = 200
"""Coarse pixels of a tissue below which a slice says nothing."""

_FAT_SHARE: Final = 0.3
"""Fat lies at least this share of the way from the cut to the bright class's median: partial volume stays out."""

_MUSCLE_BAND: Final = (0.75, 1.25)
"""Muscle lies within these factors of the dim class's median: cortex and vessels are darker, mixed pixels brighter."""

OTSU_BINS: Final = 256
"""Bins of the histogram that fat and muscle are parted in."""

BLOCK: Final = 4
"""Wide smoothing runs on means of this many pixels a side."""


def fat_and_muscle(plane: AnyArray, body: AnyArray, step_mm: tuple[float, float]) -> Tissues | None:
    """The bright and the middle class of a T1 slice inside the body; None where either is too small to compare.

    Args:
        plane, body: one coarse slice and where the patient is in it, one shape.
        step_mm: the coarse grid's steps.
    """
    if int(body.sum()) < 4 * MIN_PIXELS:
        return None
    wide = [2 * LOCAL_MM / step for step in step_mm]
    mean = smooth(np.where(body, plane, 0), wide) / (smooth(body.astype(np.float32), wide) + 1e-3)
    full = mean.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    full = np.pad(full, [(0, n - m) for n, m in zip(plane.shape, full.shape, strict=True)], mode="edge")
    even = np.where(body, plane / np.maximum(full, 1e-6), 0)
    cut = otsu(even[body], OTSU_BINS)
    bright, dim = float(np.median(even[body & (even > cut)])), float(np.median(even[body & (even <= cut)]))
    low, high = _MUSCLE_BAND
    fat = shrunk(body & (even > cut + _FAT_SHARE * (bright - cut)))
    muscle = shrunk(body & (even > low * dim) & (even < min(cut, high * dim)))
    enough = min(int(fat.sum()), int(muscle.sum())) >= MIN_PIXELS
    return (fat, muscle) if enough else None


def smooth(plane: AnyArray, sigma: list[float]) -> AnyArray:
    """Gaussian smoothing (``sigma`` in pixels) on means of :data:`BLOCK` by :data:`BLOCK` pixels, which it returns."""
    from scipy import ndimage

    rows, columns = (n // BLOCK for n in plane.shape)
    cut = plane[: rows * BLOCK, : columns * BLOCK]
    blocks = cut.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3), dtype=np.float32)
    return np.asarray(ndimage.gaussian_filter(blocks, [s / BLOCK for s in sigma]))
