"""What a real scanner adds: coil shading, failed suppression, chemical shift, noise, ghosts, metal.

Pure functions over slices shaped (ni, nj, nk) with named index axes; randomness comes in as a generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowscope.simulate.signal import Float32Array
from marrowscope.volume import Volume

Generator = np.random.Generator

SUPPRESSION_WINDOW_PPM = 1.6
"""Off-resonance at which a fat-selective pulse (bandwidth about the 3.4 ppm shift) has lost half its effect."""

SUPPRESSION_EDGE_PPM = 0.35
"""Width over which the pulse's effect fades, ppm (a Gaussian or SLR pulse of 8-15 ms)."""

DISTORTION_PARTS = 8
"""Parts a pixel is split into before it is displaced; signal beside metal is stretched by less than this."""

STILL_PX = 0.25
"""Displacements below this many pixels are left out of the distortion."""

GHOST_LINES = 8.0
"""Phase-encoding lines between two breaths or beats, as one period of periodic motion."""


def suppression_residual(off_resonance_ppm: npt.ArrayLike, flip_error: npt.ArrayLike, residual: float) -> Float32Array:
    """Share of the fat signal that a spectral pulse leaves.

    Args:
        off_resonance_ppm: local field error; fat leaves the pulse's band on both sides.
        flip_error: relative error of the transmit field, 0 = exact; it leaves 1 - cos(pi/2 (1 + error)).
        residual: share left at exact field and flip.
    """
    from scipy.special import expit

    off = np.abs(np.asarray(off_resonance_ppm, dtype=np.float32))
    missed = expit((off - SUPPRESSION_WINDOW_PPM) / SUPPRESSION_EDGE_PPM)
    flip = np.abs(np.sin(np.pi / 2 * np.asarray(flip_error, dtype=np.float32)))
    left = 1 - (1 - missed) * (1 - np.minimum(flip, 1.0))
    return np.asarray(residual + (1 - residual) * left, dtype=np.float32)


def water_kept(off_resonance_ppm: npt.ArrayLike, fat_shift_ppm: float) -> Float32Array:
    """Share of the water signal kept: where the field shifts water into the fat band, water is suppressed instead."""
    from scipy.special import expit

    distance = np.asarray(off_resonance_ppm, dtype=np.float32) + np.float32(fat_shift_ppm)
    hit = expit((SUPPRESSION_WINDOW_PPM - np.abs(distance)) / SUPPRESSION_EDGE_PPM)
    return np.asarray(1 - hit, dtype=np.float32)


def smooth_field(grid: Volume, rng: Generator, length_mm: float | tuple[float, ...]) -> Float32Array:
    """A random smooth field over a grid: zero mean, unit standard deviation, drawn every ``length_mm`` (or three)."""
    from marrowscope.simulate.sampling import interpolate_nodes

    lengths = length_mm if isinstance(length_mm, tuple) else (length_mm,) * 3
    sizes = zip(grid.shape, grid.spacing, lengths, strict=True)
    nodes = [max(4, int(np.ceil(n * s / length)) + 3) for n, s, length in sizes]
    field = interpolate_nodes(rng.standard_normal(nodes, dtype=np.float32), grid.shape)
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field


def coil_shading(grid: Volume, centre_mm: npt.ArrayLike, strength: float, tilt: npt.ArrayLike) -> Float32Array:
    """Receive sensitivity of a knee coil: brighter towards the ring, falling off at its ends.

    Args:
        grid: where.
        centre_mm: centre of the coil, LPS mm.
        strength: 0 = none; 0.3 = the ends of a 160 mm field lose about 30 %.
        tilt: LPS vector; relative change of sensitivity per 100 mm along it.
    """
    index = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in grid.shape], indexing="ij", sparse=True)
    world = [sum(np.float32(grid.affine[r, c]) * index[c] for c in range(3)) + grid.affine[r, 3] for r in range(3)]
    x, y, z = (w - np.float32(c) for w, c in zip(world, np.asarray(centre_mm, dtype=np.float64), strict=True))
    ring = 1 + strength * 0.5 * (x * x + y * y) / np.float32(60.0**2)
    ends = np.exp(-strength * (z / np.float32(80.0)) ** 2 * 1.2)
    lean = 1 + sum(np.float32(t) * w for t, w in zip(np.asarray(tilt, dtype=np.float64), (x, y, z), strict=True)) / 100
    return np.asarray(ring * ends * np.clip(lean, 0.2, 3.0), dtype=np.float32)


def rician(image: Float32Array, sigma: float, rng: Generator) -> Float32Array:
    """Magnitude of the image with complex Gaussian noise of standard deviation ``sigma`` in each channel."""
    if sigma == 0:
        return np.abs(image)
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def motion_ghosts(
    image: Float32Array,
    axis: int,
    *,
    amplitude_px: float,
    rng: Generator,
    slices: slice = slice(None),
    slice_axis: int = 2,
) -> Float32Array:
    """Periodic motion along the phase axis: each phase-encoding line sees the object displaced.

    Args:
        image: magnitude slices.
        axis: phase-encoding index axis.
        amplitude_px: peak displacement in pixels.
        rng: draws the phase of the motion in each slice.
        slices: the slices affected.
        slice_axis: index axis of the slices.

    Returns:
        The magnitude with ghosts and blur along ``axis``.
    """
    out = image.copy()
    from scipy import fft

    moved, source = np.moveaxis(out, (slice_axis, axis), (0, 1)), np.moveaxis(image, (slice_axis, axis), (0, 1))
    lines = source.shape[1]
    frequency = np.fft.fftfreq(lines)
    order = np.arange(lines)
    for k in range(source.shape[0])[slices]:
        start, jitter = rng.uniform(0, 2 * np.pi), np.cumsum(rng.normal(0, 0.05, lines))
        displacement = amplitude_px * np.sin(2 * np.pi * order / GHOST_LINES + start + jitter)
        ramp = np.exp(-2j * np.pi * frequency * displacement).astype(np.complex64)
        moved[k] = np.abs(fft.ifft(fft.fft(source[k], axis=0) * ramp[:, None], axis=0))
    return out


@dataclass(frozen=True)
class Implant:
    """A metal part that bends the field like a small magnetised sphere.

    Attributes:
        centre_mm: LPS mm.
        radius_mm: of the metal itself.
        susceptibility_ppm: difference to tissue; titanium about 180, cobalt-chrome about 900, steel thousands
            (Schenck, Med Phys 1996;23:815-850).
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    susceptibility_ppm: float


def implant_field_ppm(grid: Volume, implant: Implant) -> Float32Array:
    """Field error around an implant in ppm: the dipole field of a sphere, main field along z (Schenck 1996)."""
    index = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in grid.shape], indexing="ij", sparse=True)
    x, y, z = (
        sum(np.float32(grid.affine[r, c]) * index[c] for c in range(3)) + np.float32(grid.affine[r, 3] - centre)
        for r, centre in enumerate(implant.centre_mm)
    )
    square = np.maximum(x * x + y * y + z * z, np.float32(implant.radius_mm**2))
    moment = implant.susceptibility_ppm / 3 * implant.radius_mm**3
    return np.asarray(moment * (3 * z * z - square) / square**2.5, dtype=np.float32)


def distort(image: Float32Array, shift_px: Float32Array, axis: int) -> Float32Array:
    """Signal moved along the frequency axis by a displacement map: voids where it leaves, pile-up where it gathers.

    Args:
        image: signal at true places.
        shift_px: displacement of each voxel in pixels, towards higher indices.
        axis: frequency index axis.

    Returns:
        Same shape; the total signal is kept but for what leaves the field of view.
    """
    out = image.copy()
    near = np.abs(shift_px) > STILL_PX
    if not near.any():
        return out
    lines = near.any(axis=axis)
    source, shift = np.moveaxis(image, axis, -1)[lines], np.moveaxis(shift_px, axis, -1)[lines]
    np.moveaxis(out, axis, -1)[lines] = _scatter(source, shift)
    return out


def _scatter(source: Float32Array, shift: Float32Array) -> Float32Array:
    """Rows of (n, size) forward-mapped, each pixel split into parts so that stretched signal leaves no gaps."""
    from scipy import ndimage

    count, size = source.shape
    parts = (np.arange(DISTORTION_PARTS) + 0.5) / DISTORTION_PARTS - 0.5
    fine = (np.arange(size)[:, None] + parts).ravel()
    rows = np.repeat(np.arange(count), fine.size)
    moved = ndimage.map_coordinates(shift, [rows, np.tile(fine, count)], order=1, mode="nearest")
    target = np.tile(fine, count) + moved
    weight = np.repeat(source.ravel(), DISTORTION_PARTS) / DISTORTION_PARTS
    lower = np.floor(target).astype(np.int64)
    upper_share = target - lower
    out = np.zeros(source.size)
    for place, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        inside = (place >= 0) & (place < size)
        out += np.bincount((rows * size + place)[inside], (weight * share)[inside], minlength=source.size)
    return out.reshape(source.shape).astype(np.float32)
