"""A knee painted from ``data/knee.yaml``: another person, pose and side with every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.simulate.artefacts import Generator, smooth_field
from marrowscope.simulate.sampling import grid_volume, stretch
from marrowscope.simulate.shapes import Grow, Meet, Points, Shape, Tube, read_shape
from marrowscope.simulate.signal import Float32Array
from marrowscope.simulate.tissue_map import Box, Canvas, LabelArray, Layer, TissueMap
from marrowscope.simulate.tissues import TissueTable
from marrowscope.tables import parse_yaml
from marrowscope.volume import FloatArray, Volume

KNEE_FILE = Path(__file__).parent / "data" / "knee.yaml"

VOXEL_MM = 0.75
"""Step of the fine grid: a quarter of a slice, about one and a half pixels; borders keep their share of a voxel."""

FIELD_OF_VIEW_MM = ((-72.0, 72.0), (-78.0, 80.0), (-78.0, 82.0))
"""Extent of the fine grid in LPS around the joint: left-right, front-back, foot-head."""

FASCIA_MM = 1.3
"""Muscles end this far inside the deep fascia."""

WARP_LENGTH_MM = 45.0
"""Distance over which one person's shape departs from another's beyond size."""

EFFUSION_SHRINK_MM = 6.0
"""How much the recesses of a tense joint shrink when there is no effusion."""


Screw = tuple[FloatArray, float]
"""A metal rod: its chain of points (n, 3) in the knee's frame and its radius in mm."""


@dataclass(frozen=True)
class Person:
    """Who lies in the scanner and how.

    Attributes:
        side: ``left`` or ``right``.
        age_years: sets the growth plates and red marrow.
        size: scale along u, v, w; 1 = the drawn adult.
        pose_deg: rotation of the knee about x, y, z (LPS).
        offset_mm: centre of the knee in the scanner, LPS.
        fat_mm: subcutaneous fat more (or less) than drawn.
        warp_mm: standard deviation of the smooth departure in shape.
        effusion: 0 = none, 1 = a tense joint.
        baker_cyst: whether one is there.
    """

    side: str = "right"
    age_years: int = 40
    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fat_mm: float = 0.0
    warp_mm: float = 0.0
    effusion: float = 0.1
    baker_cyst: bool = False


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone on the fine grid.

    Attributes:
        name: ``femur``, ``tibia``, ``fibula`` or ``patella``.
        box: the part of the grid that holds it.
        depth: mm below the bone's surface, positive inside; shape of the box.
        marrow: share of each voxel inside the cortex, 0 to 1; shape of the box.
    """

    name: str
    box: Box
    depth: Float32Array
    marrow: Float32Array


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A knee on the fine grid.

    Attributes:
        tissues: what fills each voxel.
        bones: by name.
        points: the knee's own coordinates of every voxel.
        person: whose knee.
        to_knee: 4x4, LPS mm to the knee's own frame, without the warp.
    """

    tissues: TissueMap
    bones: Mapping[str, Bone]
    points: Points
    person: Person
    to_knee: FloatArray


@lru_cache(maxsize=1)
def knee_data() -> dict[str, Any]:
    """The knee file as plain data."""

    data: dict[str, Any] = parse_yaml(KNEE_FILE.read_text(encoding="utf-8"))
    return data


def fine_grid(person: Person, voxel_mm: float = VOXEL_MM) -> Volume:
    """The empty fine grid around a person's knee."""
    low, high = np.array(FIELD_OF_VIEW_MM).T
    shape = tuple(int(n) for n in np.ceil((high - low) / voxel_mm))
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = np.array(person.offset_mm) + low
    return grid_volume((shape[0], shape[1], shape[2]), affine)


def to_knee(person: Person) -> FloatArray:
    """4x4 from LPS mm to the knee's own frame (u lateral, v back, w head)."""
    from scipy.spatial.transform import Rotation

    mirror = 1.0 if person.side == "left" else -1.0
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", person.pose_deg, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(np.array(person.size) * [mirror, 1, 1])
    affine[:3, 3] = person.offset_mm
    return np.asarray(np.linalg.inv(affine))


def knee_points(grid: Volume, person: Person, rng: Generator) -> Points:
    """The knee's own coordinates of every voxel, with a smooth personal departure."""
    matrix = to_knee(person) @ grid.affine
    index = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in grid.shape], indexing="ij", sparse=True)
    axes = []
    for row in matrix[:3]:
        plain = sum(np.float32(c) * i for c, i in zip(row[:3], index, strict=True)) + np.float32(row[3])
        warp = np.float32(person.warp_mm) * smooth_field(grid, rng, WARP_LENGTH_MM)
        axes.append(np.asarray(plain + warp, dtype=np.float32))
    return Points(*axes)


class Painter:
    """Paints named shapes onto a canvas over one grid.

    Attributes:
        canvas: what was painted so far.
        shapes: named shapes of the knee file.
    """

    def __init__(self, grid: Volume, person: Person, points: Points, table: TissueTable) -> None:
        self.grid, self.points, self.table = grid, points, table
        self.canvas = Canvas(grid.shape)
        self.voxel_mm = grid.spacing[0]
        self.margin = 4 * person.warp_mm + 2 * self.voxel_mm
        self.inverse = np.linalg.inv(to_knee(person) @ grid.affine)
        self.shapes: dict[str, Shape] = {}
        for name, data in knee_data()["shapes"].items():
            self.shapes[name] = read_shape(data, self.shapes)
            if name == "limb":
                self.shapes[name] = Grow(self.shapes[name], np.array([[0.0, person.fat_mm]]))

    def box(self, shape: Shape) -> Box | None:
        """Voxels that may hold the shape; None when it lies outside the grid."""
        low, high = shape.bounds
        low, high = low - self.margin, high + self.margin
        corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1)
        index = self.inverse[:3, :3] @ corners + self.inverse[:3, 3:]
        first = np.maximum(np.floor(index.min(axis=1)).astype(int), 0)
        last = np.minimum(np.ceil(index.max(axis=1)).astype(int) + 1, self.grid.shape)
        if (last - first < 2).any():
            return None
        a, b, c = (slice(int(f), int(n)) for f, n in zip(first, last, strict=True))
        return a, b, c

    def distance(self, shape: Shape, box: Box) -> Float32Array:
        """Signed distance over a box, mm.

        Worked out at every second voxel and interpolated: a surface of radius 10 mm moves by 0.03 mm. Tubes, which
        may be thinner than that step, are worked out everywhere.
        """
        block = Points(self.points.u[box], self.points.v[box], self.points.w[box])
        if isinstance(shape, Tube):
            return shape.distance(block)
        half = (slice(None, None, 2),) * 3
        nodes = shape.distance(Points(block.u[half], block.v[half], block.w[half]))
        a, b, c = block.u.shape
        return stretch(nodes, (a, b, c), 2)

    def paint(self, shape: Shape, tissue: str) -> None:
        """Cover what the shape holds with a tissue."""
        if (box := self.box(shape)) is not None:
            self.canvas.paint(box, occupancy(self.distance(shape, box), self.voxel_mm), self.table.label(tissue))

    def paint_structure(self, data: Mapping[str, Any]) -> None:
        """Paint one entry of the knee file."""
        shape = read_shape(data["shape"], self.shapes)
        if "inside" in data:
            hull = Grow(self.shapes[data["inside"]], np.array([[0.0, -FASCIA_MM]]))
            shape = Meet((shape, hull), (), 0.0)
        self.paint(shape, data["tissue"])

    def paint_bone(self, name: str, data: Mapping[str, Any]) -> Bone:
        """Paint cortex and marrow of one bone.

        Raises:
            ValueError: the bone lies outside the grid.
        """
        shape = read_shape(data["shape"], self.shapes)
        if (box := self.box(shape)) is None:
            raise ValueError(f"{name} lies outside the field of view")
        depth = -self.distance(shape, box)
        rows = np.array(data["cortex"])
        marrow = occupancy(
            np.interp(self.points.w[box], rows[:, 0], rows[:, 1]).astype(np.float32) - depth, self.voxel_mm
        )
        self.canvas.paint(box, occupancy(-depth, self.voxel_mm), self.table.label("cortical_bone"))
        self.canvas.paint(box, marrow, self.table.label("yellow_marrow"))
        return Bone(name, box, depth, marrow)


def occupancy(distance: Float32Array, voxel_mm: float) -> Float32Array:
    """Share of a voxel inside a surface at a signed distance (mm) from its centre."""
    share = distance * np.float32(-1 / voxel_mm)
    share += np.float32(0.5)
    return np.asarray(np.clip(share, 0, 1, out=share))


def build(
    person: Person,
    table: TissueTable,
    rng: Generator,
    *,
    hardware: tuple[Screw, ...] = (),
    voxel_mm: float = VOXEL_MM,
) -> Anatomy:
    """Paint a whole knee.

    Args:
        person: whose knee, and how it lies.
        table: tissues; only their order matters here.
        rng: draws the smooth personal departure and the texture.
        hardware: metal parts, each a chain of points in the knee's frame and a radius.
        voxel_mm: step of the fine grid; coarser is quicker and rougher.
    """
    grid, data = fine_grid(person, voxel_mm), knee_data()
    points = knee_points(grid, person, rng)
    painter = Painter(grid, person, points, table)
    for structure in data["structures"]:
        if structure["name"] == "medial_meniscus":
            _paint_additions(painter, person, data["additions"])
        painter.paint_structure(structure)
    bones = {name: painter.paint_bone(name, row) for name, row in data["bones"].items()}
    for points_mm, radius in hardware:
        painter.paint(Tube(points_mm, radius), "metal")
    tissues = painter.canvas.finish(grid.affine, texture(painter.canvas.labels, grid, table, rng))
    tissues = tissues.with_layers(*septa(tissues, table, rng))
    return Anatomy(tissues, bones, points, person, to_knee(person))


def texture(labels: LabelArray, grid: Volume, table: TissueTable, rng: Generator) -> Float32Array:
    """Factor on all signal, shape of the grid: trabeculae, muscle bundles, fat lobules; mean about 1."""
    rows = knee_data()["textures"]
    field = np.ones(grid.shape, np.float32)
    for grain in sorted({tuple(row["grain_mm"]) for row in rows.values()}):
        strength = np.zeros(256, np.float32)
        for name, row in rows.items():
            if tuple(row["grain_mm"]) == grain:
                strength[table.label(name)] = row["strength"]
        field += strength[labels] * smooth_field(grid, rng, grain)
    return np.maximum(field, np.float32(0.3))


def septa(tissues: TissueMap, table: TissueTable, rng: Generator) -> tuple[Layer, ...]:
    """Thin sheets inside fat and muscle, where a smooth random field crosses zero."""
    layers = []
    for name, row in knee_data()["septa"].items():
        zero = smooth_field(tissues.grid, rng, tuple(row["spacing_mm"])) / np.float32(row["thickness"])
        share = np.float32(row["fraction"]) * np.exp(-zero * zero)
        layers.append(tissues.layer(table.label(row["tissue"]), table.label(name), share))
    return tuple(layers)


def _paint_additions(painter: Painter, person: Person, data: Mapping[str, Any]) -> None:
    """Joint fluid by the degree of effusion, and a Baker cyst."""
    for name in ("suprapatellar_recess", "gutter_medial", "gutter_lateral"):
        full = read_shape(data[name]["shape"], painter.shapes)
        shrink = EFFUSION_SHRINK_MM * (1 - person.effusion)
        painter.paint(Grow(full, np.array([[0.0, -shrink]])), data[name]["tissue"])
    if person.baker_cyst:
        painter.paint_structure(data["baker_cyst"])
