"""From a mask of bright marrow to lesion objects: what stays, what is kept out, how sure each one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from marrowscope.labelmap import BoolArray, box_around
from marrowscope.lesion.crop import Crop, crops
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind
from marrowscope.volume import AnyArray, FloatArray, Volume

CONNECTIVITY = ndimage.generate_binary_structure(3, 2)
"""Voxels that share a face or an edge are one object; corners alone do not join."""


@dataclass(frozen=True)
class End:
    """Where an object ends: part of the way (``share``) from the marrow around it to its plateau.

    Attributes:
        sort: ``bright_part`` (marrow that may hold a double line or fluid), ``lesion``, or ``necrosis`` (edema around a
            double line); its settings stand in ``edge`` of ``detection.yaml``.
        noise: standard deviation of the values it is asked about; 0 if they are not to be corrected for it.
    """

    sort: str
    noise: float = 0.0

    @property
    def share(self) -> float:
        """How far up the edge lies."""
        return setting("edge", self.sort, "share")

    def plateau(self, values: AnyArray) -> float:
        """Brightness of the fullest edema among an object's values over reference."""
        usual, most = np.percentile(values, (75, setting("edge", self.sort, "percentile")))
        return float(min(most - self.noise, setting("edge", "most_over_usual") * usual))


@dataclass(frozen=True, eq=False)
class Candidate:
    """One connected object before it is judged.

    Attributes:
        crop: where it is. volume_mm3: its volume. plateau: 90th percentile of its brightness.
        extent_mm: principal extents (longest first), 4 standard deviations of the voxel positions.
        sharpness: share of its contrast gained across its one-voxel edge.
        rim_share: share of its voxels that lie in the uncertain rim's neighbourhood.
    """

    crop: Crop
    volume_mm3: float
    plateau: float
    extent_mm: tuple[float, float, float]
    sharpness: float
    rim_share: float


def candidates(bright: BoolArray, image: Volume, reference: float, rim: BoolArray) -> list[Candidate]:
    """Connected objects of ``bright``, largest first, those under the minimum volume left out."""
    labels, _ = ndimage.label(bright, structure=CONNECTIVITY)
    smallest = setting("threshold", "minimum_volume") / image.voxel_volume_mm3
    large = [c for c in crops(labels, margin=1).values() if c.voxels >= smallest]
    found = [_describe(c, image, reference, rim) for c in large]
    return sorted(found, key=lambda c: (-c.volume_mm3, tuple(c.crop.indices()[0])))


def _describe(crop: Crop, image: Volume, reference: float, rim: BoolArray) -> Candidate:
    near_rim = ndimage.binary_dilation(rim[crop.box]) & crop.mask
    plateau = float(np.percentile(crop.values(image.array), 90))
    return Candidate(
        crop=crop,
        volume_mm3=crop.voxels * image.voxel_volume_mm3,
        plateau=plateau,
        extent_mm=_extents(crop.world(image), image),
        sharpness=_sharpness(crop.mask, image.array[crop.box], reference, plateau),
        rim_share=float(near_rim.sum() / crop.voxels),
    )


def _extents(points: FloatArray, image: Volume) -> tuple[float, float, float]:
    spread: FloatArray = np.diag(np.square(image.spacing)) / 12
    if len(points) > 1:
        spread = spread + np.cov(points.T)
    a, b, c = 4 * np.sqrt(np.maximum(np.sort(np.linalg.eigvalsh(spread))[::-1], 0))
    return float(a), float(b), float(c)


def _sharpness(mask: BoolArray, array: AnyArray, reference: float, plateau: float) -> float:
    shell = ndimage.binary_dilation(mask) & ~mask
    edge = mask & ~ndimage.binary_erosion(mask)
    if not shell.any() or plateau <= reference:
        return 0.0
    return float((np.median(array[edge]) - np.median(array[shell])) / (plateau - reference))


def within_reach(found: BoolArray, spacing: tuple[float, float, float], far: float) -> BoolArray:
    """Everything within ``far`` mm of a mask; nothing where there is none."""
    near = np.zeros(found.shape, dtype=bool)
    if found.any():
        box = box_around(found, int(np.ceil(far / min(spacing))))
        near[box] = ndimage.distance_transform_edt(~found[box], sampling=spacing) <= far
    return near


def opened(mask: BoolArray, size: list[int]) -> BoolArray:
    """The mask opened by a box of ``size`` voxels: as ``binary_opening``, an axis at a time and where it is set."""
    out = np.zeros_like(mask)
    if mask.any():
        box = box_around(mask, max(size))
        kept = ndimage.minimum_filter(mask[box], size=size, mode="constant")
        out[box] = ndimage.maximum_filter(kept, size=size, mode="constant")
    return out


def opened_in_slices(mask: BoolArray, grid: Volume, thick_mm: float) -> BoolArray:
    """What of a mask is about ``thick_mm`` thick and more inside its slice."""
    size = [1 if a == grid.slice_axis else 2 * round(thick_mm / 2 / s) + 1 for a, s in enumerate(grid.spacing)]
    return opened(mask, size)


def kind_of(candidate: Candidate, reference: float, fluid: float | None) -> LesionKind | None:
    """Edema, cyst, or None for a vessel.

    Args:
        candidate: the object. reference: normal marrow's brightness. fluid: joint fluid's, if known.
    """
    long, middle, _ = candidate.extent_mm
    thin = middle <= setting("vessel", "largest_width_mm")
    if thin and long >= setting("vessel", "elongation") * middle:
        return None
    if fluid is not None:
        bright = candidate.plateau - reference >= setting("cyst", "fluid_share") * (fluid - reference)
        small = candidate.volume_mm3 <= setting("cyst", "largest_volume")
        if bright and small and candidate.sharpness >= setting("cyst", "sharpness"):
            return LesionKind.CYST
    return LesionKind.EDEMA


def confidence(candidate: Candidate, cutoff: float, reference: float, scale: float) -> tuple[float, tuple[str, ...]]:
    """Chance that it is a lesion, with what raised or lowered it (a logistic scale; its weights are settings).

    Args:
        candidate: the object. cutoff: relative brightness at which marrow counts as bright.
        reference, scale: as in ``lesion/data/detection.yaml``.
    """
    contrast = (candidate.plateau - reference) / scale / cutoff
    size = np.log2(candidate.volume_mm3 / setting("threshold", "minimum_volume"))
    weights = {name: setting("confidence", name) for name in ("base", "contrast", "size", "rim")}
    score = weights["base"] + weights["contrast"] * (contrast - 1) + weights["size"] * size
    score += weights["rim"] * candidate.rim_share
    reasons = [f"brightest part {contrast:.1f} times the cut-off"]
    if candidate.rim_share > 0.5:
        reasons.append("mostly at the cortex, where partial volume can look bright")
    return float(1 / (1 + np.exp(-score))), tuple(reasons)
