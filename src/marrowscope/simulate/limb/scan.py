"""An examination of a limb grown around a real knee: series with known bones and lesions.

Everything a scanner adds comes from :mod:`marrowscope.simulate.scanner`; this module only turns a completed limb
into its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.complete import complete
from marrowscope.simulate.limb.frame import noise
from marrowscope.simulate.limb.lesions import TRUTH_SHARE, add_lesions
from marrowscope.simulate.limb.source import Knee
from marrowscope.simulate.protocols import SeriesProtocol
from marrowscope.simulate.sampling import truth_mask
from marrowscope.simulate.scanner import Imperfections, acquire
from marrowscope.simulate.signal import Float32Array
from marrowscope.simulate.tissue_map import LabelArray, TissueMap
from marrowscope.simulate.tissues import TissueTable
from marrowscope.volume import AnyArray, FloatArray, Volume

BRIGHT_LEVEL, BRIGHT_SHARE = 1400.0, 99.9
"""The 99.9th percentile of a series is stored near this value, as 12-bit scanners do."""

GRAIN = 0.06
"""Spread of the grain of trabeculae and septa, relative to the signal (judgement)."""


@dataclass(frozen=True, eq=False)
class Limb:
    """A completed limb with lesions.

    Attributes:
        codes: see :mod:`.plan`, on the fine grid. share: edema's share of the marrow, 0 to 1.
        affine: index to LPS mm; the joint's middle is the origin.
        side: ``left`` or ``right``.
    """

    codes: LabelArray
    share: Float32Array
    affine: FloatArray
    side: str

    @property
    def bones(self) -> Volume:
        """Bone numbers (1 femur, 2 tibia, 3 patella, 4 fibula; cortex counted in) on the fine grid."""
        return Volume(plan.bone_of_code()[self.codes], self.affine)

    @property
    def lesions(self) -> Volume:
        """Where edema takes at least ``TRUTH_SHARE`` of the marrow, on the fine grid."""
        return Volume((self.share >= TRUTH_SHARE) & plan.marrow_of_code()[self.codes], self.affine)


def grow(knee: Knee, side: str, rng: Generator, most_lesions: int = 4) -> Limb:
    """A limb around a map's bones, mirrored for a left knee."""
    codes = complete(knee, rng)
    share = add_lesions(codes, knee, rng, most_lesions)
    lateral = -1.0 if side == "right" else 1.0  # LPS x of the map's first axis
    steps = np.array([lateral, -1.0, 1.0]) * knee.spacing
    middle = np.array([codes.shape[0] / 2, codes.shape[1] * 0.53, knee.joint])
    affine = np.eye(4)
    affine[:3, :3] = np.diag(steps)
    affine[:3, 3] = -steps * middle
    return Limb(codes, share, affine, side)


def tissue_map(limb: Limb, table: TissueTable, rng: Generator) -> TissueMap:
    """The limb as the simulated scanner reads it: tissues, edema and red marrow in layers, grain."""
    row = np.array([table.label(name) for name in plan.tissue_names()], np.uint8)
    labels = row[limb.codes]
    marrow = table.label("yellow_marrow")
    share = limb.share * rng.uniform(0.8, 1.0)
    patches = np.clip(noise(limb.codes.shape, rng, (14, 14, 14)) - rng.uniform(0.3, 2.5), 0, 1) * rng.uniform(0, 0.8)
    shafts = np.isin(limb.codes, [plan.bone_code(b, plan.METAPHYSIS) for b in (1, 2, 4)])
    red = np.where(shafts, patches * (1 - share), 0).astype(np.float32)
    grain = (1 + GRAIN * rng.standard_normal(labels.shape, dtype=np.float32)).astype(np.float32)
    plain = replace(TissueMap.from_labels(labels, limb.affine), texture=grain)
    edema = plain.layer(table.label("marrow_edema"), marrow, np.asarray(share, np.float32))
    return plain.with_layers(edema, plain.layer(table.label("red_marrow"), marrow, red))


def scan(
    tissues: TissueMap,
    table: TissueTable,
    protocol: SeriesProtocol,
    faults: Imperfections,
    grid: Volume,
    rng: Generator,
) -> Volume:
    """One series as stored: uint16 on ``grid``."""
    image = acquire(tissues, table, protocol, grid, imperfections=faults, rng=rng)
    scale = BRIGHT_LEVEL / max(float(np.percentile(image, BRIGHT_SHARE)), 1e-9)
    return grid.with_array(np.clip(np.round(image * scale), 0, 4095).astype(np.uint16))


def truth_on(limb: Limb, grid: Volume) -> tuple[Mapping[str, AnyArray], AnyArray]:
    """True bones by name and true lesions on a series' grid: voxels at least half filled."""
    bones, lesions = limb.bones, limb.lesions
    masks = {name: truth_mask(bones.with_array(bones.array == n), grid) for n, name in enumerate(plan.BONES, start=1)}
    return masks, truth_mask(lesions, grid)
