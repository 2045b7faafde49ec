"""One series from a tissue map: sampling, fat suppression, chemical shift, shading, faults and noise, in that order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from marrowscope.simulate import artefacts
from marrowscope.simulate.artefacts import Generator, Implant
from marrowscope.simulate.protocols import SeriesProtocol
from marrowscope.simulate.sampling import displaced, grid_volume, sample, stretch
from marrowscope.simulate.signal import Float32Array, Suppression, signal_table
from marrowscope.simulate.tissue_map import TissueMap, pools
from marrowscope.simulate.tissues import PROTON_MHZ_PER_T, TissueTable
from marrowscope.volume import Volume

IMPLANT_DEPHASING_PPM = 20.0
"""Field error of an implant at which a voxel's spins cancel even in a spin echo with wide slices (judgement)."""

LOST_SUPPRESSION_PPM = 3.5
"""Field error at the far end of the stack where suppression is lost on purpose; about the water-fat shift."""

NODE_STEP = 4
"""Pixels between nodes of slowly changing fields (shim, flip, coil): 2 mm, far finer than any of them changes."""

FIELD_LENGTH_MM = 60.0
"""Distance over which shim and transmit errors change (after shimming, second order and above remain)."""


class Image(StrEnum):
    """What a series shows of water and fat."""

    SUM = "sum"
    WATER = "water"
    FAT = "fat"
    OPPOSED = "opposed"


@dataclass(frozen=True)
class Imperfections:
    """What the scanner gets wrong in one series.

    Attributes:
        noise: standard deviation relative to muscle in the same series.
        residual: share of fat left by a spectral pulse at exact field and flip.
        shim_ppm, flip: standard deviation of the smooth field and transmit errors.
        shading: strength of the coil shading, 0 = none.
        lost_suppression: 0 = as good as the shim; 1 = suppression lost over about half the field of view.
        motion_px: peak displacement by periodic motion, pixels; 0 = still.
        implants: metal parts.
    """

    noise: float = 0.0
    residual: float = 0.0
    shim_ppm: float = 0.0
    flip: float = 0.0
    shading: float = 0.0
    lost_suppression: float = 0.0
    motion_px: float = 0.0
    implants: tuple[Implant, ...] = ()


def acquire(
    tissues: TissueMap,
    table: TissueTable,
    protocol: SeriesProtocol,
    grid: Volume,
    *,
    imperfections: Imperfections,
    rng: Generator,
    image: Image = Image.SUM,
) -> Float32Array:
    """The magnitude image of one series, in units of the signal of pure water at full magnetisation.

    Args:
        tissues: what fills the fine grid.
        table: properties of the tissues at the protocol's field.
        protocol: timing, bandwidth, read-out axis, slice thickness.
        grid: where the slices lie, index (column, row, slice).
        imperfections: what the scanner gets wrong.
        rng: draws field errors, motion and noise.
        image: SUM for every series but a Dixon one, which yields WATER, FAT and OPPOSED too.

    Returns:
        float32, shape of ``grid``, not negative.
    """
    signals = signal_table(protocol.sequence, table)
    fine_water, fine_fat = pools(tissues, signals)
    thickness = protocol.thickness_mm
    water = sample(Volume(fine_water, tissues.affine), grid, slice_mm=thickness)
    fat = sample(Volume(fine_fat, tissues.affine), grid, slice_mm=thickness)
    if protocol.sequence.suppression is Suppression.SPECTRAL:
        kept_water, kept_fat = _suppress(grid, table, imperfections, rng)
        water *= kept_water
        fat *= kept_fat
    fat = displaced(fat, table.fat_shift_hz / protocol.bandwidth_hz, protocol.frequency_axis)
    magnitude = _bend(_combine(water, fat, image), protocol, grid, imperfections)
    if imperfections.shading:
        tilt = rng.uniform(-0.15, 0.15, 3)
        centre = grid.to_world((np.array(grid.shape) - 1) / 2)
        shading = artefacts.coil_shading(_thinned(grid), centre, imperfections.shading, tilt)
        magnitude *= stretch(shading, grid.shape, NODE_STEP)
    if imperfections.motion_px:
        magnitude = artefacts.motion_ghosts(
            magnitude, protocol.phase_axis, amplitude_px=imperfections.motion_px, rng=rng
        )
    return artefacts.rician(magnitude, imperfections.noise * muscle_signal(signals, table), rng)


def _thinned(grid: Volume) -> Volume:
    """Every ``NODE_STEP``-th pixel of every slice: enough for what changes slowly."""
    columns, rows, slices = grid.shape
    shape = (-(-columns // NODE_STEP), -(-rows // NODE_STEP), slices)
    return grid_volume(shape, grid.affine @ np.diag([NODE_STEP, NODE_STEP, 1.0, 1.0]))


def _suppress(
    grid: Volume, table: TissueTable, imperfections: Imperfections, rng: Generator
) -> tuple[Float32Array, Float32Array]:
    """Shares of water and fat that a spectral pulse keeps, over the slices."""
    # An implant's field changes from pixel to pixel; shim and flip errors do not.
    nodes = grid if imperfections.implants else _thinned(grid)
    field = field_error_ppm(nodes, imperfections, rng)
    flip = artefacts.smooth_field(nodes, rng, FIELD_LENGTH_MM) * np.float32(imperfections.flip)
    fat = artefacts.suppression_residual(field, flip, imperfections.residual)
    water = artefacts.water_kept(field, table.fat_shift_ppm)
    return stretch(water, grid.shape, NODE_STEP), stretch(fat, grid.shape, NODE_STEP)


def field_error_ppm(grid: Volume, imperfections: Imperfections, rng: Generator) -> Float32Array:
    """Field error over the slices in ppm: shim, a lost shim towards one end, and implants."""
    field = artefacts.smooth_field(grid, rng, FIELD_LENGTH_MM) * np.float32(imperfections.shim_ppm)
    if imperfections.lost_suppression:
        direction = rng.standard_normal(3) * np.array([0.6, 0.6, 1.0])
        index = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in grid.shape], indexing="ij", sparse=True)
        world = grid.directions.T @ (direction / np.linalg.norm(direction))
        ramp = sum(np.float32(w) * i for w, i in zip(world, index, strict=True))
        # One-sided: the error rises from the middle of the field of view to its end.
        field = field + np.float32(LOST_SUPPRESSION_PPM * imperfections.lost_suppression) * np.clip(
            ramp + 0.15, 0, None
        )
    for implant in imperfections.implants:
        field = field + artefacts.implant_field_ppm(grid, implant)
    return np.asarray(field, dtype=np.float32)


def muscle_signal(signals: Float32Array, table: TissueTable) -> float:
    """Magnitude of muscle in a series: the yardstick of its noise."""
    return float(abs(signals[table.label("muscle")].sum()))


def _combine(water: Float32Array, fat: Float32Array, image: Image) -> Float32Array:
    sign = {Image.SUM: (1, 1), Image.WATER: (1, 0), Image.FAT: (0, 1), Image.OPPOSED: (1, -1)}[image]
    return np.abs(np.float32(sign[0]) * water + np.float32(sign[1]) * fat)


def _bend(
    magnitude: Float32Array, protocol: SeriesProtocol, grid: Volume, imperfections: Imperfections
) -> Float32Array:
    """Implants: signal lost where the field changes too fast, the rest displaced along the read-out."""
    if not imperfections.implants:
        return magnitude
    field = sum(artefacts.implant_field_ppm(grid, implant) for implant in imperfections.implants)
    kept = np.exp(-((np.asarray(field) / IMPLANT_DEPHASING_PPM) ** 2))
    hertz = np.asarray(field) * np.float32(protocol.field_t * PROTON_MHZ_PER_T)
    pixels = hertz / np.float32(protocol.bandwidth_hz)
    return artefacts.distort(magnitude * kept.astype(np.float32), pixels, protocol.frequency_axis)
