"""Subregions of the knee scores (MOAKS, WORMS) from bone geometry alone.

The scores draw their borders at menisci, capsule and tibial spines (Hunter 2011, Peterfy 2004). Bones alone show
these only indirectly, so each border is placed at a share of a bone's own size; the shares are our judgement.
Distances run along the patient's axes: the knee lies nearly straight in the scanner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.volume import AnyArray, FloatArray, Volume

PLATEAU_MM = 12.0
"""Tibia within this of its top is plateau: its outline gives width, front and back."""

FRONT_HORN_SHARE = 0.12
BACK_HORN_SHARE = 0.22
"""Share of the plateau's length taken by the meniscal horns in front and behind: there the central femur ends."""

FEMUR_HEIGHT_SHARE = 0.5
TIBIA_DEPTH_SHARE = 0.3
"""Height of the scored part over the bone's width across: about 40 mm of femur and 24 mm of tibia in an adult."""

SPINE_SHARE = 0.16
"""Width of the subspinous region over the width of the plateau."""

NOTCH_MM = 15.0
"""Femur within this of its lower end shows the notch between the condyles."""

_NOTCH_MARGIN_SHARE = 0.25
"""The notch is not looked for in this share of the width at either side."""

_NOTCH_TIE_SHARE = 0.02
"""Places whose count of voxels is within this share of the largest count above the least are one notch."""

_EDGE = (2.0, 98.0)
"""Percentiles taken as the ends of a bone: single stray voxels do not move a border."""


@dataclass(frozen=True, eq=False)
class _Points:
    """Voxels of one bone: index triplets and LPS mm."""

    index: tuple[AnyArray, ...]
    world: FloatArray

    @property
    def x(self) -> FloatArray:
        """To the patient's left."""
        return self.world[:, 0]

    @property
    def y(self) -> FloatArray:
        """To the back."""
        return self.world[:, 1]

    @property
    def z(self) -> FloatArray:
        """To the head."""
        return self.world[:, 2]


def subregions(bones: Mapping[str, BoolArray], grid: Volume, lateral: float | None) -> LabelMap:
    """Score subregions.

    Args:
        bones: masks of femur, tibia and patella on the grid; a missing bone gives no regions.
        grid: their geometry.
        lateral: sign of LPS x towards the lateral side: +1 in a left knee, -1 in a right knee; None = cannot be
            told, and then there are no regions.

    Returns:
        A label map with the region codes of ``moaks_bml`` (``knowledge/data/scores/knee.yaml``).
    """
    if lateral is None:
        return LabelMap.empty(grid)
    points = {name: _points(mask, grid) for name, mask in bones.items() if mask.any()}
    masks: dict[str, BoolArray] = {}
    tibia, femur, patella = (points.get(name) for name in ("tibia", "femur", "patella"))
    if tibia is not None:
        _add(masks, grid, tibia, _tibia(tibia, lateral))
    if femur is not None and tibia is not None:
        _add(masks, grid, femur, _femur(femur, tibia, lateral))
    if patella is not None:
        _add(masks, grid, patella, _patella(patella, grid, lateral))
    return LabelMap.from_masks(grid, masks)


def _points(mask: BoolArray, grid: Volume) -> _Points:
    index = np.nonzero(mask)
    return _Points(index, grid.to_world(np.stack(index, axis=-1)))


def _add(masks: dict[str, BoolArray], grid: Volume, bone: _Points, parts: Mapping[str, BoolArray]) -> None:
    for code, chosen in parts.items():
        mask = np.zeros(grid.shape, dtype=bool)
        mask[tuple(axis[chosen] for axis in bone.index)] = True
        masks[code] = mask


def _ends(values: FloatArray) -> tuple[float, float]:
    low, high = np.percentile(values, _EDGE)
    return float(low), float(high)


def _tibia(tibia: _Points, lateral: float) -> dict[str, BoolArray]:
    top = _ends(tibia.z)[1]
    plateau = tibia.z > top - PLATEAU_MM
    left, right = _ends(tibia.x[plateau])
    width, middle = right - left, (left + right) / 2
    scored = tibia.z > top - TIBIA_DEPTH_SHARE * width
    spine = np.abs(tibia.x - middle) <= SPINE_SHARE * width / 2
    parts = {}
    for name, sign in (("medial", -lateral), ("lateral", lateral)):
        side = scored & ~spine & ((tibia.x - middle) * sign > 0)
        front, back = _ends(tibia.y[side & plateau]) if (side & plateau).any() else (0.0, 1.0)
        third = np.clip(np.floor(3 * (tibia.y - front) / max(back - front, 1e-6)), 0, 2)
        for number, part in enumerate(("anterior", "central", "posterior")):
            parts[f"tibia_{part}_{name}"] = side & (third == number)
    parts["tibia_subspinous"] = scored & spine
    return parts


def _femur(femur: _Points, tibia: _Points, lateral: float) -> dict[str, BoolArray]:
    bottom = _ends(femur.z)[0]
    left, right = _ends(femur.x[femur.z < bottom + 2 * NOTCH_MM])
    scored = femur.z < bottom + FEMUR_HEIGHT_SHARE * (right - left)
    middle = _notch(femur, bottom, left, right)
    plateau = tibia.z > _ends(tibia.z)[1] - PLATEAU_MM
    front, back = _ends(tibia.y[plateau])
    length = back - front
    trochlea = femur.y < front + FRONT_HORN_SHARE * length
    posterior = femur.y > back - BACK_HORN_SHARE * length
    parts = {}
    for name, sign in (("medial", -lateral), ("lateral", lateral)):
        side = scored & ((femur.x - middle) * sign > 0)
        parts[f"femur_trochlea_{name}"] = side & trochlea
        parts[f"femur_central_{name}"] = side & ~trochlea & ~posterior
        parts[f"femur_posterior_{name}"] = side & posterior
    return parts


def _notch(femur: _Points, bottom: float, left: float, right: float) -> float:
    """LPS x of the notch: fewest voxels of the condyles' back half, looked for in the middle half."""
    distal = (femur.z < bottom + NOTCH_MM) & (femur.y > np.median(femur.y))
    margin = _NOTCH_MARGIN_SHARE * (right - left)
    edges = np.linspace(left + margin, right - margin, 25)
    if not distal.any():
        return (left + right) / 2
    near = [np.abs(femur.x[distal] - e) <= (right - left) / 16 for e in edges]
    counts = np.array([int(n.sum()) for n in near])
    lowest = np.flatnonzero(counts <= counts.min() + _NOTCH_TIE_SHARE * counts.max())
    return float(edges[lowest].mean())


def _patella(patella: _Points, grid: Volume, lateral: float) -> dict[str, BoolArray]:
    """Split at the median ridge (the part reaching furthest back), which belongs to the medial side."""
    step = float(np.abs(grid.affine[0, :3]).max())
    bins = np.round((patella.x - patella.x.min()) / max(step, 1.0)).astype(int)
    reach = np.full(bins.max() + 1, -np.inf)
    np.maximum.at(reach, bins, patella.y)
    inner = slice(len(reach) // 5, max(len(reach) - len(reach) // 5, 1))
    ridge = patella.x.min() + (int(np.argmax(reach[inner])) + inner.start) * max(step, 1.0)
    outward = (patella.x - ridge) * lateral
    half = max(step, 1.0) / 2
    return {"patella_medial": outward <= half, "patella_lateral": outward > half}
