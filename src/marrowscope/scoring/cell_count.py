"""Count of 1 cm cells with edema on sagittal slices, after KIMRISS (Jaremko 2014), estimated.

The overlay's own lattice is not published in numbers; here each bone's lattice starts at the bone's upper front
corner over all slices, so that the count does not depend on where the knee lay in the picture. The edge of a cell
comes from ``knowledge/data/scores/knee.yaml``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowscope.knowledge.scores import score
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.measure import counted
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement
from marrowscope.scoring.by_region import with_sum
from marrowscope.scoring.types import Cell, Score

ID = "kimriss_bml"
UNIT = "1"
BONES = ("femur", "tibia", "patella")
PLANE = "sagittal"


def estimate(objects: Objects) -> Score:
    """The count of one exam: cells ``BONE.sliceN`` hold the positive lattice cells of that slice."""
    definition = score(ID)
    edge = definition.number("cell")
    reason = _obstacle(objects)
    cells, most = ([], 0) if reason else _count(objects, edge)
    slices = objects.exam.image
    blank = Score(
        id=ID,
        label=definition.short,
        total=Measurement.not_assessable(ID, UNIT, reason or "not yet summed"),
        minimum=0.0,
        maximum=float(most),
        cells=tuple(cells),
        context={"cell": f"{edge:g} mm", "slice spacing": f"{slices.slice_spacing:.2f} mm"},
        statement=reason,
        sources=definition.numbers["cell"].basis.sources,
    )
    return blank if reason else summed(blank)


def summed(scored: Score) -> Score:
    """The score with its total recomputed from its cells."""
    return with_sum(scored, "", UNIT)


def _obstacle(objects: Objects) -> str:
    if objects.reference is None:
        return "no reference marrow"
    if objects.exam.image.plane != PLANE:
        return f"cells are counted on {PLANE} slices; this series is {objects.exam.image.plane}"
    if not any(objects.anatomy.bones.mask(bone).any() for bone in BONES):
        return "femur, tibia and patella were not found by name"
    return ""


def _count(objects: Objects, edge_mm: float) -> tuple[list[Cell], int]:
    grid = objects.exam.image
    edema = counted(objects)
    cells, most = [], 0
    for bone in BONES:
        mask = objects.anatomy.bones.mask(bone)
        if not mask.any():
            continue
        lattice = _lattice(mask, grid.in_plane_axes, grid.spacing, edge_mm)
        for n in np.flatnonzero(mask.any(axis=grid.in_plane_axes)):
            where = (slice(None),) * grid.slice_axis + (int(n),)
            most += len(np.unique(lattice[mask[where]]))
            positive = len(np.unique(lattice[mask[where] & edema[where]]))
            cells.append(Cell(f"{bone}.slice{int(n) + 1}", float(positive)))
    return cells, most


def _lattice(
    mask: BoolArray, axes: tuple[int, int], spacing: tuple[float, float, float], edge_mm: float
) -> npt.NDArray[np.int64]:
    """Number of the lattice cell each in-plane voxel lies in; cells begin at the bone's bounding box."""
    first, second = axes
    starts = [int(np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[0]) for axis in axes]
    rows = ((np.arange(mask.shape[first]) - starts[0]) * spacing[first] // edge_mm).astype(np.int64)
    columns = ((np.arange(mask.shape[second]) - starts[1]) * spacing[second] // edge_mm).astype(np.int64)
    return np.asarray(rows[:, None] * 10_000 + columns[None, :])
