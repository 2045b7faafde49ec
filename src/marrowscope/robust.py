"""Robust statistics of brightness, shared by every room that has to find a tissue in a histogram."""

from __future__ import annotations

import numpy as np

from marrowscope.volume import AnyArray

MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""


def spread(values: AnyArray) -> float:
    """Standard deviation of the middle of a sample, from its median absolute deviation."""
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))


def lower_spread(values: AnyArray, mode: float) -> float:
    """Standard deviation of a tissue from the side of its mode that edema does not touch; never 0."""
    below = mode - values[values <= mode]
    sd = MAD_TO_SD * float(np.median(below)) if below.size else 0.0
    return max(sd, 1e-3 * abs(mode), 1e-6)


def half_sample_mode(values: AnyArray) -> float:
    """Mode of a sample by repeatedly keeping its densest half (Bickel and Fruehwirth 2006)."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    while ordered.size > 3:
        half = (ordered.size + 1) // 2
        widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
        start = int(np.argmin(widths))
        ordered = ordered[start : start + half]
    return float(np.median(ordered))


def otsu(values: AnyArray, bins: int = 128) -> float:
    """Otsu's threshold (1979): the cut with the largest variance between the two classes."""
    counts, edges = np.histogram(values, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts) / counts.sum()
    mean = np.cumsum(counts * centres) / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean[-1] * weight - mean) ** 2 / (weight * (1 - weight))
    return float(centres[int(np.nanargmax(np.where(np.isfinite(between), between, -1.0)))])
