"""What lies inside a bone besides yellow marrow: growth plates, red marrow, vessels, cysts, trabeculae.

None of it is edema, much of it looks like edema: these are the mimics a reader learns to leave alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from marrowscope.simulate.anatomy import Anatomy, Bone, knee_data, occupancy
from marrowscope.simulate.artefacts import Generator, smooth_field
from marrowscope.simulate.sampling import grid_volume
from marrowscope.simulate.signal import Float32Array
from marrowscope.simulate.tissue_map import Layer, TissueMap
from marrowscope.simulate.tissues import TissueTable

OPEN_PHYSIS_AGE = 15
"""Growth plates around the knee are open below this age in years (girls earlier, boys to 17; judgement)."""

SCAR_AGE = 55
"""The growth-plate scar is drawn fainter beyond this age in years (judgement)."""

SCAR_HALF_MM, OPEN_HALF_MM = 0.55, 1.3
"""Half-thickness of a growth-plate scar and of an open plate, mm (judgement)."""


@dataclass(eq=False)
class MarrowContents:
    """Shares of the marrow of one bone taken by other tissues; a later one displaces the earlier.

    Attributes:
        bone: whose marrow.
        shares: tissue name to share of the marrow, shape of the bone's box; they add up to at most 1.
    """

    bone: Bone
    shares: dict[str, Float32Array] = field(default_factory=dict)

    def put(self, tissue: str, share: Float32Array) -> None:
        """Fill a share of the marrow (0 to 1) with a tissue."""
        share = np.clip(share, 0, 1).astype(np.float32)
        for name in self.shares:
            self.shares[name] = self.shares[name] * (1 - share)
        self.shares[tissue] = self.shares.get(tissue, np.float32(0)) + share

    def layers(self, tissues: TissueMap, table: TissueTable) -> tuple[Layer, ...]:
        """The contents as layers over this bone's yellow marrow; a neighbour's that reaches into its box is spared."""
        marrow, own = table.label("yellow_marrow"), self.bone.marrow > 0
        return tuple(
            tissues.layer(table.label(t), marrow, np.where(own, share, np.float32(0)), self.bone.box)
            for t, share in self.shares.items()
        )


@dataclass(frozen=True)
class Mimics:
    """What looks like edema and is not.

    Attributes:
        red_marrow: 0 = none, 1 = much, in the metaphyses, as patchy islands.
        cysts: number of subchondral cysts.
        nutrient_vessels: number of vessels crossing the metaphyses.
    """

    red_marrow: float = 0.0
    cysts: int = 0
    nutrient_vessels: int = 0


def fill_marrow(anatomy: Anatomy, mimics: Mimics, rng: Generator) -> dict[str, MarrowContents]:
    """The contents of every bone, before any disease."""
    contents = {name: MarrowContents(bone) for name, bone in anatomy.bones.items()}
    noise = {name: _noise(anatomy, bone, rng, 9.0) for name, bone in anatomy.bones.items()}
    for name in ("femur", "tibia", "fibula"):
        if mimics.red_marrow:
            contents[name].put("red_marrow", red_marrow(anatomy, name, mimics.red_marrow, noise[name]))
    for name in knee_data()["physes"]:
        tissue, share = physis(anatomy, name, noise[name])
        contents[name].put(tissue, share)
    for _ in range(mimics.nutrient_vessels):
        name = str(rng.choice(["femur", "tibia"]))
        contents[name].put("venous_blood", vessel(anatomy, name, rng))
    for _ in range(mimics.cysts):
        name = str(rng.choice(["femur", "tibia"]))
        contents[name].put("fluid", cyst(anatomy, name, rng))
    return contents


def physis(anatomy: Anatomy, name: str, noise: Float32Array) -> tuple[str, Float32Array]:
    """Growth plate of a bone: open cartilage in a child, a thin sclerotic scar in an adult.

    Returns:
        The tissue it is made of and its share of the marrow.
    """
    row, box = knee_data()["physes"][name], anatomy.bones[name].box
    u, w = anatomy.points.u[box], anatomy.points.w[box]
    level = row["level_mm"] + row["dome_mm"] * (u / 30) ** 2 + row["undulation_mm"] * noise
    away = np.abs(w - level)
    if anatomy.person.age_years < OPEN_PHYSIS_AGE:
        return "growth_cartilage", np.exp(-((away / OPEN_HALF_MM) ** 4))
    strength = 0.45 if anatomy.person.age_years < SCAR_AGE else 0.25
    broken = np.clip(0.75 + 0.5 * noise, 0, 1)
    return "marrow_sclerosis", np.asarray(strength * broken * np.exp(-((away / SCAR_HALF_MM) ** 2)), dtype=np.float32)


def red_marrow(anatomy: Anatomy, name: str, amount: float, noise: Float32Array) -> Float32Array:
    """Share of red marrow: patchy, from the growth plate towards the shaft, sparing the epiphysis."""
    level, box = knee_data()["physes"][name]["level_mm"], anatomy.bones[name].box
    w = anatomy.points.w[box]
    beyond = (w - level) if level > 0 else (level - w)
    zone = 1 / (1 + np.exp(-(beyond - 5) / 1.5))
    patches = 1 / (1 + np.exp(-(noise - 1.2 + 1.6 * amount) / 0.25))
    return np.asarray(zone * patches * min(1.0, 0.45 + 0.5 * amount), dtype=np.float32)


def vessel(anatomy: Anatomy, name: str, rng: Generator) -> Float32Array:
    """A thin nutrient vessel from the cortex into the metaphysis: its share (0-1) of each voxel of the bone's box."""
    from marrowscope.simulate.shapes import Points, Tube

    sign = 1.0 if name == "femur" else -1.0
    outer = np.array([rng.choice([-1.0, 1.0]) * rng.uniform(8, 22), rng.uniform(8, 16), sign * rng.uniform(42, 54)])
    inner = outer * [0.3, 0.0, 1.0] + [0, rng.uniform(-6, 2), sign * rng.uniform(8, 16)]
    box = anatomy.bones[name].box
    points = Points(anatomy.points.u[box], anatomy.points.v[box], anatomy.points.w[box])
    distance = Tube(np.array([outer, (outer + inner) / 2 + [0, 2, 0], inner]), 0.8).distance(points)
    return occupancy(distance, anatomy.tissues.grid.spacing[0])


def cyst(anatomy: Anatomy, name: str, rng: Generator) -> Float32Array:
    """A sharply bounded subchondral cyst: its share (0-1) of each voxel of the bone's box."""
    from marrowscope.simulate.shapes import Ellipsoid, Points

    radius = rng.uniform(2.0, 4.0)
    height = 4.5 + radius if name == "femur" else -5.0 - radius
    centre = np.array([rng.choice([-1.0, 1.0]) * rng.uniform(14, 26), rng.uniform(-6, 12), height])
    box = anatomy.bones[name].box
    points = Points(anatomy.points.u[box], anatomy.points.v[box], anatomy.points.w[box])
    distance = Ellipsoid(centre, radius * rng.uniform(0.8, 1.2, 3)).distance(points)
    return occupancy(distance, anatomy.tissues.grid.spacing[0])


def _noise(anatomy: Anatomy, bone: Bone, rng: Generator, length_mm: float) -> Float32Array:
    shape = bone.depth.shape
    return smooth_field(grid_volume((shape[0], shape[1], shape[2]), anatomy.tissues.affine), rng, length_mm)
