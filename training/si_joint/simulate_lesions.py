"""Lesions put into real marrow: five patients show too few large bright ones to learn from.

Sizes (6-45 mm across the longest half-axis), brightness (1.35-3.2 times reference), soft edges and lost T1 fat are
drawn broadly, before any result on the held-out patient is seen.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from marrowscope.lesion.si_features import Marrow, reference_of

SLICE_MM = 3.3
PIXEL_MM = 0.6


def simulate(m: Marrow, rng: np.random.Generator) -> tuple[Marrow, np.ndarray]:
    """One to three lesions in an exam; returns the changed exam and where they are."""
    mode, _ = reference_of(m.stir, m.region)
    stir, t1, extra = m.stir.copy(), m.t1.copy(), np.zeros(m.region.shape, bool)
    index = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in m.region.shape], indexing="ij")
    for _ in range(rng.integers(1, 4)):
        place = _place(m, rng)
        if place is None:
            continue
        inside, centre = place
        radius = np.exp(rng.uniform(np.log(6), np.log(45)))
        stretch = np.exp(rng.normal(0, 0.35, 3)) * (PIXEL_MM, PIXEL_MM, SLICE_MM)
        d = np.sqrt(sum(((g - c) * s) ** 2 for g, c, s in zip(index, centre, stretch, strict=True)))
        coarse = rng.normal(0, 1, (9, 9, 7)).astype(np.float32)
        warp = ndimage.zoom(coarse, [a / b for a, b in zip(d.shape, coarse.shape, strict=True)], order=1)
        soft = inside / (1 + np.exp(np.clip((d + 0.25 * radius * warp - radius) / rng.uniform(0.6, 3), -30, 30)))
        soft = ndimage.gaussian_filter(soft.astype(np.float32), (1, 1, 0.2))
        level = np.exp(rng.uniform(np.log(1.35), np.log(3.2)))
        noise = rng.normal(0, 1, d.shape).astype(np.float32)
        texture = 1 + 0.6 * ndimage.gaussian_filter(noise, (2, 2, 0))
        if rng.random() < 0.5:
            stir = stir * (1 - soft) + np.maximum(stir, 0.35 * stir + 0.65 * mode * level * texture) * soft
        else:
            stir = stir * (1 + (level - 1) * soft * texture)
        t1 = t1 * (1 - rng.uniform(0.1, 0.5) * soft)
        extra |= (soft > 0.5) & m.region
    return Marrow(stir.astype(np.float32), t1.astype(np.float32), m.region, m.bone), extra


def _place(m: Marrow, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    bone = rng.choice([1, 2, 3], p=[0.4, 0.5, 0.1])
    half = (np.arange(m.region.shape[0]) > m.region.shape[0] / 2) == (rng.random() < 0.5)
    inside = m.bone == bone if bone == 3 else (m.bone == bone) & half[:, None, None]
    near = inside
    if bone != 3 and rng.random() < 0.7:
        other = ndimage.binary_dilation(m.bone == 3 - bone, iterations=20)
        near = inside & other
    seeds = np.argwhere(near if near.sum() > 50 else inside)
    return (inside, seeds[rng.integers(len(seeds))]) if len(seeds) else None
