"""Menisci, joint fluid, cruciates, tendons, capsule and collateral ligaments, painted over soft tissue (half grid)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.frame import HALF, Frame, noise
from marrowscope.simulate.limb.source import PATELLA, TIBIA, Knee
from marrowscope.simulate.tissue_map import LabelArray
from marrowscope.volume import AnyArray, FloatArray

GAP_MM = 8.0
"""Where the distances to femur and tibia add up to less, the place belongs to the joint space."""

BUNDLES = ((1, 0.8, plan.CRUCIATE), (-1, -0.9, plan.TENDON))
"""Anterior (grey) and posterior (dark) cruciate: side of the notch, slope front to back per height, tissue."""


def joint_space(codes: LabelArray, knee: Knee, f: Frame, bones: AnyArray, rng: Generator) -> None:
    """Paint the joint into ``codes``."""
    labels = knee.labels[HALF]
    free = np.asarray(bones[HALF] == 0)
    femur, tibia, patella = (
        np.asarray(ndimage.distance_transform_edt(~np.isin(labels, pair), sampling=f.spacing))
        for pair in ((1, 2), (3, 4), (5, 6))
    )
    _menisci(codes, f, free & (femur + tibia < GAP_MM * rng.uniform(0.8, 1.4)), rng)
    _notch(codes, f, free, rng)
    codes[free & (patella < rng.uniform(2, 5)) & (femur < rng.uniform(2, 5))] = plan.FLUID
    _fluid(codes, f, free, femur, rng)
    _tendons(codes, knee, f, free, rng)
    for distance in (femur, tibia):
        _sheet(codes, f, free, distance, rng)
    for side in (-1, 1):
        _collateral(codes, f, free, side, rng)


def _menisci(codes: LabelArray, f: Frame, between: BoolArray, rng: Generator) -> None:
    gap = between & (np.abs(f.z) < 25)
    codes[gap] = rng.choice([plan.FLUID, plan.SYNOVIUM, plan.CARTILAGE])
    inner = np.hypot((np.abs(f.x) - 24) / 12, (f.y + 2) / 15) < rng.uniform(0.5, 1.0)
    codes[gap & (np.abs(f.x) > 10) & ~inner & (f.radius < f.hull + 2)] = plan.MENISCUS


def _notch(codes: LabelArray, f: Frame, free: BoolArray, rng: Generator) -> None:
    notch = free & (np.abs(f.x) < 11) & (f.z > -10) & (f.z < 22) & (f.y < 14) & (f.radius < f.hull - 4)
    filling = (plan.DEEP_FAT, plan.SYNOVIUM, plan.FAT_PAD, plan.FLUID)
    codes[notch] = rng.choice(filling, p=[0.4, 0.3, 0.2, 0.1])
    for side, slope, tissue in BUNDLES:
        line = f.y + side * 4 + slope * f.z * 0.9
        codes[notch & (np.abs(line) < rng.uniform(3, 6)) & (f.x * side > -7)] = tissue


def _fluid(codes: LabelArray, f: Frame, free: BoolArray, femur: FloatArray, rng: Generator) -> None:
    """Effusion in the suprapatellar recess, none to much, and a film of fluid over the condyles."""
    thickness = float(rng.choice([0.0, rng.uniform(1, 3), rng.uniform(3, 14)], p=[0.3, 0.45, 0.25]))
    recess = free & (f.z > 12) & (f.z < rng.uniform(40, 75)) & (f.y > 6) & (np.abs(f.x) < rng.uniform(15, 34))
    start = rng.uniform(0.5, 5)
    codes[recess & (femur > start) & (femur < start + thickness)] = plan.FLUID
    film = free & (femur < rng.uniform(0.5, 2.5)) & (f.z < 30) & (f.y > -40)
    if rng.random() < 0.4:
        codes[film & (noise(codes.shape, rng, (6, 6, 6)) > 0.3)] = plan.FLUID


def _sheet(codes: LabelArray, f: Frame, free: BoolArray, distance: FloatArray, rng: Generator) -> None:
    """Periosteum and capsule hugging a bone in patches."""
    patch = noise(codes.shape, rng, (6, 6, 6)) > rng.uniform(-0.5, 1.2)
    sheet = free & (distance < rng.uniform(0.8, 2.4)) & patch & (np.abs(f.z) < 60) & (codes != plan.FLUID)
    codes[sheet] = rng.choice([plan.TENDON, plan.FASCIA, plan.LIGAMENT, plan.SYNOVIUM])


def _collateral(codes: LabelArray, f: Frame, free: BoolArray, side: int, rng: Generator) -> None:
    wide = np.abs(np.abs(f.angle * side - np.pi / 2)) < rng.uniform(0.15, 0.5)
    off, start = f.radius - f.hull, rng.uniform(-5, 2)
    band = wide & (off > start) & (off < start + rng.uniform(1.5, 4)) & (f.z > -60) & (f.z < 45)
    codes[band & free] = rng.choice([plan.TENDON, plan.LIGAMENT])


def _tendons(codes: LabelArray, knee: Knee, f: Frame, free: BoolArray, rng: Generator) -> None:
    """Quadriceps tendon, patellar tendon and its end on the tibia, as flat bands."""
    labels = knee.labels[HALF]
    patella = np.argwhere(labels == PATELLA)
    level = max(int(knee.joint / 2 - rng.uniform(38, 52) / f.spacing[2]), 1)
    section = np.argwhere(labels[:, :, level] == TIBIA)
    if len(patella) < 20 or not len(section):
        return
    low, high = np.percentile(patella[:, 2], (8, 92))
    pole, top = patella[patella[:, 2] <= low].mean(0), patella[patella[:, 2] >= high].mean(0)
    front = np.array([section[:, 0].mean(), np.percentile(section[:, 1], 99), level])
    up = top + np.array([rng.normal(0, 2), -rng.uniform(0, 10), 45])
    down = front + np.array([0, -rng.uniform(0, 3), -20])
    for start, end, wide, thick in ((pole, front, 13, 2.8), (front, down, 10, 2.0), (top, up, 15, 3.6)):
        band = _band(f, start, end, wide * rng.uniform(0.8, 1.2), thick * rng.uniform(0.7, 1.3))
        codes[band & free] = plan.TENDON


def _band(f: Frame, start: FloatArray, end: FloatArray, wide: float, thick: float) -> BoolArray:
    """A flat band between two points (indices), half-widths in mm."""
    ni, nj, nk = f.x.shape
    k = np.arange(nk)
    along = np.clip((k - start[2]) / (end[2] - start[2] + 1e-6), 0, 1)
    ci, cj = (start[a] + along * (end[a] - start[a]) for a in (0, 1))
    span = (k >= min(start[2], end[2])) & (k <= max(start[2], end[2]))
    u = (np.arange(ni)[:, None, None] - ci) * f.spacing[0]
    v = (np.arange(nj)[None, :, None] - cj) * f.spacing[1]
    return np.asarray((np.abs(u) < wide) & (np.abs(v) < thick) & span)
