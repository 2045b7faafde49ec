"""A knee label map grown to a whole limb."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.bone import fibula, fill_bones
from marrowscope.simulate.limb.frame import frame
from marrowscope.simulate.limb.joint import joint_space
from marrowscope.simulate.limb.soft import soft_tissue
from marrowscope.simulate.limb.source import Knee
from marrowscope.simulate.tissue_map import LabelArray

BONE_NUMBER = np.array([0, 1, 0, 2, 0, 3, 0], np.uint8)
"""Bone number of each source label; cartilage is none."""

CARTILAGE_LABELS = (2, 4, 6)


def complete(knee: Knee, rng: Generator) -> LabelArray:
    """Codes (see :mod:`.plan`) of the whole limb on the padded grid of ``knee``; another limb with every draw.

    Everything but femur, tibia, patella and their cartilage is grown by rule, with sizes drawn at random: the aim
    is variety that covers real limbs, not one true limb.
    """
    bones = BONE_NUMBER[knee.labels]
    bones[fibula(knee, rng) & (bones == 0)] = 4
    f = frame(knee, bones)
    half = soft_tissue(f, rng)
    joint_space(half, knee, f, bones, rng)
    whole = half.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    codes = np.ascontiguousarray(whole[tuple(slice(0, n) for n in bones.shape)])
    codes[np.isin(knee.labels, CARTILAGE_LABELS)] = plan.CARTILAGE
    fill_bones(codes, knee, bones, rng)
    return codes
