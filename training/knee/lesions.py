"""Edema, cysts, fracture lines and necrotic rims put into a completed knee map.

The maps' own lesions were drawn on a gradient-echo sequence: their places are taken, their sizes are not.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from training.knee import tissue_plan as tp
from training.knee.complete import Knee

TRUTH_SHARE = 0.35
"""A voxel belongs to the true lesion where edema takes at least this share of the marrow (soft edges end there)."""

KINDS = ("subchondral", "kissing", "insertion", "diffuse", "necrosis", "fracture", "drawn")
ODDS = np.array([0.38, 0.12, 0.12, 0.1, 0.08, 0.1, 0.1])


def _ball(shape: tuple[int, ...], centre: np.ndarray, radii_mm: np.ndarray, spacing: np.ndarray, rng: Generator):
    """Box around a lobed, turned ellipsoid and its level inside the box: 0 at the centre, 1 on the border."""
    reach = np.ceil(radii_mm.max() * 1.7 / spacing).astype(int)
    low = np.maximum(centre - reach, 0).astype(int)
    high = np.minimum(centre + reach + 1, shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
    offset = np.stack([(g - c) * s for g, c, s in zip(axes, centre, spacing, strict=True)], -1)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    level = np.linalg.norm((offset @ turn) / radii_mm, axis=-1)
    wave = rng.standard_normal((4, 4, 4))
    where = [np.linspace(0, 3, n) for n in level.shape]
    lobes = ndimage.map_coordinates(wave, np.meshgrid(*where, indexing="ij"), order=2, mode="nearest")
    return box, level + 0.22 * lobes, offset @ turn


def _surface(knee: Knee, codes: np.ndarray, bone: int, kind: str, rng: Generator) -> np.ndarray | None:
    """A point on the bone's joint surface (or anywhere on its cortex for an insertion)."""
    step = 2
    small = codes[::step, ::step, ::step]
    cortex = small == tp.bone_code(bone, tp.CORTEX)
    if kind != "insertion":
        cartilage = ndimage.binary_dilation(small == 11, iterations=2)
        cortex &= cartilage
    height = (np.arange(small.shape[2]) * step - knee.joint) * knee.spacing[2]
    cortex &= (np.abs(height) < 45)[None, None, :]
    points = np.argwhere(cortex)
    return None if not len(points) else points[rng.integers(len(points))] * step


def _inward(point: np.ndarray, codes: np.ndarray, bone: int, mm: float, spacing: np.ndarray) -> np.ndarray:
    """The point moved towards the local marrow."""
    low = np.maximum(point - 8, 0)
    near = codes[tuple(slice(a, a + 17) for a in low)]
    marrow = np.argwhere(np.isin(near, (tp.bone_code(bone, tp.EPIPHYSIS), tp.bone_code(bone, tp.METAPHYSIS))))
    if not len(marrow):
        return point
    way = (marrow.mean(0) + low - point) * spacing
    return point + way / (np.linalg.norm(way) + 1e-6) * mm / spacing


def _size(kind: str, rng: Generator) -> np.ndarray:
    base = {"diffuse": rng.uniform(14, 30), "fracture": rng.uniform(8, 20), "necrosis": rng.uniform(7, 16)}
    radius = base.get(kind, float(np.exp(rng.uniform(np.log(2.5), np.log(15)))))
    return radius * rng.uniform(0.6, 1.25, 3)


def add_lesions(codes: np.ndarray, knee: Knee, rng: Generator) -> np.ndarray:
    """Draw lesions into a completed map.

    Args:
        codes: completed map; cysts, lines and rims are written into it.
        knee: its source.
        rng: where chance comes from.

    Returns:
        uint8 share of edema in each voxel, 0 to 200 for 0 to 1.
    """
    share = np.zeros(codes.shape, np.float32)
    for _ in range(rng.choice([0, 1, 2, 3, 4], p=[0.3, 0.3, 0.2, 0.12, 0.08])):
        kind = str(rng.choice(KINDS, p=ODDS / ODDS.sum()))
        bone = int(rng.choice([1, 2, 3, 4], p=[0.46, 0.36, 0.15, 0.03]))
        for each in (1, 2) if kind == "kissing" else (bone,):
            _one(codes, share, knee, each, kind, rng)
    for _ in range(rng.choice([0, 1, 2, 4], p=[0.6, 0.2, 0.12, 0.08])):
        _cyst(codes, knee, int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])), rng)
    return np.clip(share * 200, 0, 200).astype(np.uint8)


def _one(codes: np.ndarray, share: np.ndarray, knee: Knee, bone: int, kind: str, rng: Generator) -> None:
    spacing = np.array(knee.spacing)
    point = _surface(knee, codes, bone, kind, rng)
    drawn = np.argwhere(knee.lesion)
    if kind == "drawn" and len(drawn):
        point = drawn[rng.integers(len(drawn))]
        bone = int(tp.plan().bone[codes[tuple(point)]]) or bone
    if point is None:
        return
    radii = _size(kind, rng)
    centre = _inward(point, codes, bone, rng.uniform(0.1, 0.9) * radii.min(), spacing)
    box, level, local = _ball(codes.shape, centre, radii, spacing, rng)
    soft = rng.uniform(0.05, 0.3)
    part = 1 / (1 + np.exp(np.clip((level - 1) / soft, -30, 30)))
    part *= rng.uniform(0.45, 1.0)
    here = codes[box]
    own = np.isin(here, (tp.bone_code(bone, tp.EPIPHYSIS), tp.bone_code(bone, tp.METAPHYSIS)))
    share[box] = np.maximum(share[box], np.where(own, part, 0))
    if kind == "fracture":
        bend = 2 * np.sin(local[..., 0] / 6 + rng.uniform(0, 6))
        line = np.abs(local[..., 2] - bend) < rng.uniform(0.4, 1.0)
        here[own & line & (level < 0.9)] = tp.bone_code(bone, tp.PHYSIS)
    if kind == "necrosis":
        edge = np.abs(level - rng.uniform(0.5, 0.7))
        here[own & (edge < rng.uniform(0.04, 0.09))] = tp.bone_code(bone, tp.PHYSIS)
        share[box][(level < 0.5) & own] *= rng.uniform(0, 0.6)


def _cyst(codes: np.ndarray, knee: Knee, bone: int, rng: Generator) -> None:
    point = _surface(knee, codes, bone, str(rng.choice(["subchondral", "insertion"])), rng)
    if point is None:
        return
    radii = rng.uniform(1.2, 4.5) * rng.uniform(0.7, 1.3, 3)
    centre = _inward(point, codes, bone, float(radii.min()) + 1.0, np.array(knee.spacing))
    box, level, _ = _ball(codes.shape, centre, radii, np.array(knee.spacing), rng)
    here = codes[box]
    own = np.isin(here, (tp.bone_code(bone, tp.EPIPHYSIS), tp.bone_code(bone, tp.METAPHYSIS)))
    here[own & (level < 1)] = tp.bone_code(bone, tp.CYST)
