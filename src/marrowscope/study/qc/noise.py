"""Motion ghosts and signal-to-noise, from the air around the body and from the finest detail inside it."""

from __future__ import annotations

from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.robust import MAD_TO_SD
from marrowscope.study.qc.morphology import grown, shrunk
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.volume import AnyArray, Volume

_EVERY: Final = 2
"""Every second slice is looked at: ghosts do not stop between neighbours."""

_SKIN_PIXELS: Final = 8
_FRAME_PIXELS: Final = 6
_MIN_AIR_PIXELS: Final = 1500
_GHOST_SIGMA: Final = (2.0, 10.0)
"""Ghosts are broader than noise and narrower than coil shading: a band pass in coarse pixels."""

_NOISE_PASSED: Final = 0.3
"""Share of pure noise that the band pass lets through on the coarse grid (measured on air without ghosts)."""

_MIN_OVER_NOISE: Final = 5.5
"""Below this the body's edge drowns in noise, and what is left of it outside the mask would pass for ghosts."""

_RAYLEIGH: Final = 0.655
"""Standard deviation of magnitude noise in air over that of the noise itself (Gudbjartsson 1995)."""


def check_motion(slices: Slices) -> QcCheck:
    """Ghosts: structure in the air around a limb, over the body's signal.

    Only ghosts that reach the air are seen: not those of a limb whose phase encoding runs along it, nor very strong
    ones that touch the limb and are taken for it.
    """
    looked = slices.filled[::_EVERY] if slices.surrounded else ()
    ratios = {int(k): ratio for k in looked if (ratio := ghost_ratio(slices, int(k))) is not None}
    if not ratios:
        why = "no air around the body in view, or too much noise in it"
        value = Measurement.not_assessable("ghost_ratio", "1", why)
        return QcCheck("motion", Severity.NOTE, f"motion not judged: {why}", "look for ghosts yourself", value)
    worst = float(np.percentile(list(ratios.values()), 75))
    value = Measurement.of("ghost_ratio", worst, "1")
    bad = tuple(sorted(k for k, ratio in ratios.items() if ratio > threshold("motion", "note")))
    for severity, name in ((Severity.WARNING, "warn"), (Severity.NOTE, "note")):
        if worst > threshold("motion", name):
            text = f"ghosts of motion or flow, {100 * worst:.0f} % of the body's signal"
            return QcCheck("motion", severity, text, "bright bands in bone may be ghosts", value, bad)
    return QcCheck("motion", Severity.OK, f"ghosts at {100 * worst:.0f} % of the body's signal", value=value)


def ghost_ratio(slices: Slices, k: int) -> float | None:
    """Band-passed structure in the air of one slice over the body's median; None where there is too little air."""
    from scipy import ndimage

    air = ~grown(slices.body[k], _SKIN_PIXELS)
    n = _FRAME_PIXELS
    air[:n], air[-n:], air[:, :n], air[:, -n:] = False, False, False, False
    if int(air.sum()) < _MIN_AIR_PIXELS or not slices.body[k].any():
        return None
    plane = np.where(air, slices.values[k], np.median(slices.values[k][air]))
    fine, wide = (ndimage.gaussian_filter(plane, sigma) for sigma in _GHOST_SIGMA)
    core = shrunk(air, 4)
    signal = float(np.median(slices.values[k][slices.body[k]]))
    if signal <= _MIN_OVER_NOISE * (slices.noise or 0.0) or int(core.sum()) < _MIN_AIR_PIXELS // 2:
        return None
    ghosts, noise = float((fine - wide)[core].std()), float((plane - fine)[core].std())
    return float(np.sqrt(max(0.0, ghosts**2 - (_NOISE_PASSED * noise) ** 2)) / signal)


def check_snr(volume: Volume, slices: Slices) -> QcCheck:
    """Upper quartile of the body over noise: the air's where a limb is in view, else that of the finest detail."""
    if not slices.body.any():
        value = Measurement.not_assessable("snr", "1", "no body found in the image")
        return QcCheck("snr", Severity.WARNING, "no body found in the image", "nothing can be measured", value)
    air = (slices.noise or 0.0) / _RAYLEIGH if slices.surrounded else 0.0
    noise = air if air > 0 else detail_noise(volume)
    signal = float(np.percentile(slices.values[slices.body], 75))
    if noise <= 0:
        value = Measurement.not_assessable("snr", "1", "no noise left: the image was filtered or interpolated")
        return QcCheck("snr", Severity.OK, "noise could not be estimated: filtered or interpolated", value=value)
    ratio = signal / noise
    value = Measurement.of("snr", ratio, "1")
    for severity, name in ((Severity.WARNING, "warn"), (Severity.NOTE, "note")):
        if ratio < threshold("snr", name):
            text = f"noisy: signal is {ratio:.1f} times noise"
            return QcCheck("snr", severity, text, "small lesions may be lost", value)
    return QcCheck("snr", Severity.OK, f"signal is {ratio:.0f} times noise", value=value)


def detail_noise(volume: Volume) -> float:
    """Noise standard deviation from the diagonal Haar detail, median over the brighter half of the pixels."""
    planes = np.moveaxis(volume.array, volume.slice_axis, 0)
    middle = planes[len(planes) // 4 : max(len(planes) // 4 + 1, 3 * len(planes) // 4)].astype(np.float32)
    even = middle[:, : middle.shape[1] // 2 * 2, : middle.shape[2] // 2 * 2]
    a, b, c, d = even[:, ::2, ::2], even[:, ::2, 1::2], even[:, 1::2, ::2], even[:, 1::2, 1::2]
    detail, level = (a - b - c + d) / 2, (a + b + c + d) / 4
    return float(MAD_TO_SD * np.median(np.abs(detail[level > np.median(level)]))) if _varies(level) else 0.0


def _varies(level: AnyArray) -> bool:
    return level.size > 0 and float(level.max()) > float(level.min())
