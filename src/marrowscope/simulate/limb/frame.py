"""Coordinates around a limb's axis, and smooth fields over angle and height, on the half-resolution grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.simulate.limb.source import FEMUR, TIBIA, Knee
from marrowscope.simulate.signal import Float32Array
from marrowscope.volume import AnyArray, FloatArray

ANGLES = 72
"""Directions around the axis, five degrees apart."""

HALF = np.s_[::2, ::2, ::2]
"""The half-resolution grid: soft tissue needs no finer one."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where each voxel of the half grid lies.

    Attributes:
        x, y, z: mm from the axis to lateral, to the front, and above the joint line.
        radius, angle: polar coordinates of (x, y); angle 0 is in front, pi/2 lateral.
        hull: radius of the bones' smoothed hull in the voxel's direction.
        spacing: mm along i, j, k.
    """

    x: Float32Array
    y: Float32Array
    z: Float32Array
    radius: Float32Array
    angle: Float32Array
    hull: Float32Array
    spacing: FloatArray


def frame(knee: Knee, bones: AnyArray) -> Frame:
    """Coordinates of the half grid; ``bones`` are all bones on the full grid."""
    half = bones[HALF]
    spacing = np.array(knee.spacing) * 2
    ci, cj = _axis(np.isin(knee.labels[HALF], (FEMUR, TIBIA)))
    ni, nj, nk = half.shape
    x = (np.arange(ni)[:, None, None] - ci) * spacing[0] + np.zeros(half.shape)
    y = (np.arange(nj)[None, :, None] - cj) * spacing[1] + np.zeros(half.shape)
    z = (np.arange(nk)[None, None, :] - knee.joint / 2) * spacing[2] + np.zeros(half.shape)
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    bins = ((angle + np.pi) / (2 * np.pi) * ANGLES).astype(int) % ANGLES
    table = np.zeros((nk, ANGLES))
    at = np.nonzero(half)
    np.maximum.at(table, (at[2], bins[at]), radius[at])
    table = ndimage.maximum_filter(table, (17, 13), mode=("nearest", "wrap"))
    table = ndimage.gaussian_filter(table, (5, 3), mode=("nearest", "wrap"))
    x, y, z, radius, angle = (np.asarray(a, np.float32) for a in (x, y, z, radius, angle))
    return Frame(x, y, z, radius, angle, polar(table, angle), spacing)


def _axis(shaft: AnyArray) -> tuple[FloatArray, FloatArray]:
    """Centre (i, j) of the shafts at each height, smoothed."""
    weight = shaft.sum((0, 1)).astype(float) + 1e-6
    ci = (shaft.sum(1) * np.arange(shaft.shape[0])[:, None]).sum(0) / weight
    cj = (shaft.sum(0) * np.arange(shaft.shape[1])[:, None]).sum(0) / weight
    smooth = [ndimage.gaussian_filter1d(c, 14, mode="nearest") for c in (ci, cj)]
    return smooth[0], smooth[1]


def polar(table: AnyArray, angle: AnyArray) -> Float32Array:
    """Values of a (height, angle) table at every voxel."""
    column = (angle + np.pi) / (2 * np.pi) * table.shape[1] - 0.5
    row = np.broadcast_to(np.arange(angle.shape[2], dtype=np.float32)[None, None, :], angle.shape)
    found = ndimage.map_coordinates(table.astype(np.float32), [row, column], order=1, mode="grid-wrap")
    return np.asarray(found, np.float32)


def noise(shape: tuple[int, ...], rng: Generator, nodes: tuple[int, ...]) -> Float32Array:
    """Smooth random field of a shape, about unit spread, drawn at so many ``nodes`` an axis."""
    coarse = rng.standard_normal(nodes).astype(np.float32)
    steps = [np.linspace(0, n - 1, s, dtype=np.float32) for n, s in zip(nodes, shape, strict=True)]
    field = ndimage.map_coordinates(coarse, np.meshgrid(*steps, indexing="ij"), order=1, mode="nearest")
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)
