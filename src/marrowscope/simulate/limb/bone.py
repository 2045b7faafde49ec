"""The fibula, and what a bone is made of: cortex, growth plate, marrow of epiphysis and metaphysis (full grid)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.frame import noise
from marrowscope.simulate.limb.source import FEMUR, TIBIA, Knee
from marrowscope.simulate.tissue_map import LabelArray
from marrowscope.volume import AnyArray


def fibula(knee: Knee, rng: Generator) -> BoolArray:
    """A tapering tube behind and lateral to the tibia; its head lies 8 to 18 mm below the joint line."""
    tibia = knee.labels == TIBIA
    dx, dy, dz = knee.spacing
    section = np.argwhere(tibia[:, :, int(knee.joint - 22 / dz)])
    if not len(section):
        return np.zeros_like(tibia)
    top = knee.joint - rng.uniform(8, 18) / dz
    k = np.arange(tibia.shape[2])
    depth = np.clip((top - k) * dz, 0, None)
    down = np.clip(depth / 80, 0, 1)
    head, shaft = rng.uniform(8, 12), rng.uniform(5, 7.5)
    size = (shaft + (head - shaft) * np.exp(-(((depth - 9) / 14) ** 2))) * np.sqrt(np.clip(depth / 7, 0, 1))
    across = np.percentile(section[:, 0], 98) + (rng.uniform(-7, 2) + rng.uniform(-6, 2) * down) / dx
    behind = np.percentile(section[:, 1], 25) - (rng.uniform(0, 8) + rng.uniform(-4, 8) * down) / dy
    u = (np.arange(tibia.shape[0])[:, None, None] - across) * dx
    v = (np.arange(tibia.shape[1])[None, :, None] - behind) * dy
    wobble = 1 + 0.18 * np.cos(3 * (np.arctan2(v, u) - rng.uniform(0, np.pi)))
    mask = (np.hypot(u, v) < size * wobble) & (k <= top)
    near = ndimage.binary_dilation(tibia | (knee.labels == FEMUR), iterations=2)
    return np.asarray(mask & ~near)


def fill_bones(codes: LabelArray, knee: Knee, bones: AnyArray, rng: Generator) -> None:
    """Write the parts of every bone into ``codes``; cortex is thin at the joint and thick along the shaft."""
    height = (np.arange(codes.shape[2]) - knee.joint) * knee.spacing[2]
    shaft_mm, joint_mm = rng.uniform(1.6, 4.2), rng.uniform(0.4, 1.0)
    reach = np.clip((np.abs(height) - rng.uniform(22, 34)) / rng.uniform(28, 45), 0, 1)
    thickness = joint_mm + (shaft_mm - joint_mm) * reach**1.3
    wave = noise(codes.shape[:2], rng, (6, 6)) * rng.uniform(0.5, 2.5)
    level = {1: rng.uniform(22, 32), 2: -rng.uniform(14, 22), 4: -rng.uniform(18, 26)}
    plate_mm = float(rng.choice([0.0, rng.uniform(0.7, 1.3), rng.uniform(1.2, 2.5)], p=[0.35, 0.5, 0.15]))
    for bone in range(1, len(plan.BONES) + 1):
        box = ndimage.find_objects((bones == bone).astype(np.uint8))
        if not box or box[0] is None:
            continue
        mask = bones[box[0]] == bone
        padded = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=knee.spacing)
        depth = np.asarray(padded)[1:-1, 1:-1, 1:-1]
        part = codes[box[0]]
        part[mask] = plan.bone_code(bone, plan.EPIPHYSIS)
        if bone in level:
            beyond = height[box[0][2]][None, None, :] - level[bone] - wave[box[0][:2]][..., None]
            far = beyond > 0 if bone == 1 else beyond < 0
            part[mask & far] = plan.bone_code(bone, plan.METAPHYSIS)
            part[mask & (np.abs(beyond) < plate_mm / 2)] = plan.bone_code(bone, plan.PHYSIS)
        own = thickness[box[0][2]] if bone < 3 else np.full(mask.shape[2], rng.uniform(0.7, 1.8))
        part[mask & (depth <= own)] = plan.bone_code(bone, plan.CORTEX)
