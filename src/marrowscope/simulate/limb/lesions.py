"""Edema, cysts, fracture lines and necrotic rims put into a completed limb.

A source map's own lesions were drawn on a gradient-echo sequence, which misses edema and enlarges cysts: their
places are taken, their sizes are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.source import Knee
from marrowscope.simulate.signal import Float32Array
from marrowscope.simulate.tissue_map import Box, LabelArray
from marrowscope.volume import AnyArray, FloatArray

TRUTH_SHARE = 0.35
"""A voxel belongs to the true lesion where edema takes at least this share of the marrow (soft edges end there)."""

SCORED_HEIGHT_MM = 45.0
"""Lesions are seeded within this of the joint line."""


class Kind(StrEnum):
    """How a lesion is spread."""

    SUBCHONDRAL = "subchondral"
    KISSING = "kissing"
    INSERTION = "insertion"
    DIFFUSE = "diffuse"
    NECROSIS = "necrosis"
    FRACTURE = "fracture"
    DRAWN = "drawn"


ODDS = {
    Kind.SUBCHONDRAL: 0.38,
    Kind.KISSING: 0.12,
    Kind.INSERTION: 0.12,
    Kind.DIFFUSE: 0.1,
    Kind.NECROSIS: 0.08,
    Kind.FRACTURE: 0.1,
    Kind.DRAWN: 0.1,
}
"""How often each kind is drawn (judgement: enough of each to learn from, not how often patients have it)."""

RADIUS_MM = {Kind.DIFFUSE: (14.0, 30.0), Kind.FRACTURE: (8.0, 20.0), Kind.NECROSIS: (7.0, 16.0)}
OTHER_RADIUS_MM = (2.5, 15.0)
"""Ranges of the middle radius; the others are drawn evenly in its logarithm."""


@dataclass(frozen=True, eq=False)
class _Ball:
    """A lobed, turned ellipsoid: its box, level (1 on the border), and coordinates along its axes in mm."""

    box: Box
    level: FloatArray
    local: FloatArray


def add_lesions(codes: LabelArray, knee: Knee, rng: Generator, most: int = 4) -> Float32Array:
    """Draw lesions into a completed limb.

    Args:
        codes: the limb; cysts, lines and rims are written into it.
        knee: its source.
        rng: where chance comes from.
        most: largest number of lesions; 0 = none, and no cysts.

    Returns:
        float32 share of the marrow that is edema, 0 to 1, shape of ``codes``.
    """
    share = np.zeros(codes.shape, np.float32)
    if not most:
        return share
    kinds = list(ODDS)
    for _ in range(min(most, int(rng.choice(5, p=[0.3, 0.3, 0.2, 0.12, 0.08])))):
        kind = kinds[int(rng.choice(len(kinds), p=list(ODDS.values())))]
        bone = 1 + int(rng.choice(4, p=[0.46, 0.36, 0.15, 0.03]))
        for each in (1, 2) if kind is Kind.KISSING else (bone,):
            _edema(codes, share, knee, each, kind, rng)
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.6, 0.2, 0.12, 0.08]))):
        _cyst(codes, knee, 1 + int(rng.choice(3, p=[0.4, 0.4, 0.2])), rng)
    return share


def _ball(shape: tuple[int, ...], centre: AnyArray, radii: FloatArray, spacing: FloatArray, rng: Generator) -> _Ball:
    reach = np.ceil(radii.max() * 1.7 / spacing)
    low = np.maximum(centre - reach, 0).astype(int)
    high = np.minimum(centre + reach + 1, shape).astype(int)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    axes = np.meshgrid(*ranges, indexing="ij")
    offset = np.stack([(g - c) * s for g, c, s in zip(axes, centre, spacing, strict=True)], -1)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    local = offset @ turn
    level = np.linalg.norm(local / radii, axis=-1)
    where = np.meshgrid(*[np.linspace(0, 3, n) for n in level.shape], indexing="ij")
    lobes = ndimage.map_coordinates(rng.standard_normal((4, 4, 4)), where, order=2, mode="nearest")
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return _Ball((i, j, k), level + 0.22 * lobes, local)


def _surface(codes: LabelArray, knee: Knee, bone: int, *, joint: bool, rng: Generator) -> AnyArray | None:
    """A point of the bone's cortex, under cartilage if ``joint``; None where there is none."""
    step = 2
    small = codes[::step, ::step, ::step]
    cortex = small == plan.bone_code(bone, plan.CORTEX)
    if joint:
        cortex &= ndimage.binary_dilation(small == plan.CARTILAGE, iterations=2)
    height = (np.arange(small.shape[2]) * step - knee.joint) * knee.spacing[2]
    points = np.argwhere(cortex & (np.abs(height) < SCORED_HEIGHT_MM)[None, None, :])
    return points[rng.integers(len(points))] * step if len(points) else None


def _inward(point: AnyArray, codes: LabelArray, bone: int, mm: float, spacing: FloatArray) -> AnyArray:
    """The point moved towards the marrow around it."""
    low = np.maximum(point - 8, 0)
    near = codes[tuple(slice(int(a), int(a) + 17) for a in low)]
    marrow = np.argwhere(np.isin(near, plan.marrow_codes(bone)))
    if not len(marrow):
        return point
    way = (marrow.mean(0) + low - point) * spacing
    return np.asarray(point + way / (np.linalg.norm(way) + 1e-6) * mm / spacing)


def _radii(kind: Kind, rng: Generator) -> FloatArray:
    low, high = RADIUS_MM.get(kind, OTHER_RADIUS_MM)
    middle = rng.uniform(low, high) if kind in RADIUS_MM else np.exp(rng.uniform(np.log(low), np.log(high)))
    return np.asarray(middle * rng.uniform(0.6, 1.25, 3))


def _edema(codes: LabelArray, share: Float32Array, knee: Knee, bone: int, kind: Kind, rng: Generator) -> None:
    spacing = np.array(knee.spacing)
    point = _surface(codes, knee, bone, joint=kind is not Kind.INSERTION, rng=rng)
    drawn = np.argwhere(knee.lesion)
    if kind is Kind.DRAWN and len(drawn):
        point = drawn[rng.integers(len(drawn))]
        bone = int(plan.bone_of_code()[codes[tuple(point)]]) or bone
    if point is None:
        return
    radii = _radii(kind, rng)
    centre = _inward(point, codes, bone, rng.uniform(0.1, 0.9) * float(radii.min()), spacing)
    ball = _ball(codes.shape, centre, radii, spacing, rng)
    part = 1 / (1 + np.exp(np.clip((ball.level - 1) / rng.uniform(0.05, 0.3), -30, 30)))
    part *= rng.uniform(0.6, 1.0)  # below about half, edema is hardly seen
    here = codes[ball.box]
    own = np.isin(here, plan.marrow_codes(bone))
    share[ball.box] = np.maximum(share[ball.box], np.where(own, part, 0))
    if kind is Kind.FRACTURE:
        bend = 2 * np.sin(ball.local[..., 0] / 6 + rng.uniform(0, 6))
        line = np.abs(ball.local[..., 2] - bend) < rng.uniform(0.4, 1.0)
        here[own & line & (ball.level < 0.9)] = plan.bone_code(bone, plan.PHYSIS)
    if kind is Kind.NECROSIS:
        rim = np.abs(ball.level - rng.uniform(0.5, 0.7)) < rng.uniform(0.04, 0.09)
        here[own & rim] = plan.bone_code(bone, plan.PHYSIS)
        share[ball.box][(ball.level < 0.5) & own] *= rng.uniform(0, 0.6)


def _cyst(codes: LabelArray, knee: Knee, bone: int, rng: Generator) -> None:
    point = _surface(codes, knee, bone, joint=bool(rng.random() < 0.5), rng=rng)
    if point is None:
        return
    spacing = np.array(knee.spacing)
    radii = rng.uniform(1.2, 4.5) * rng.uniform(0.7, 1.3, 3)
    ball = _ball(codes.shape, _inward(point, codes, bone, float(radii.min()) + 1.0, spacing), radii, spacing, rng)
    here = codes[ball.box]
    here[np.isin(here, plan.marrow_codes(bone)) & (ball.level < 1)] = plan.bone_code(bone, plan.CYST)
