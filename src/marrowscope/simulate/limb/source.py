"""A knee label map as the start of a limb: lesions folded into their bone, shafts mended and carried on, padded.

Labels as in Woo et al. 2022 (arXiv 2211.16696): 1 femur, 2 its cartilage, 3 tibia, 4 its cartilage, 5 patella,
6 its cartilage, 7 to 9 lesions of femur, tibia, patella. Axes of the limb: i to lateral, j to the front, k to the
head. The maps are right knees whose affine points i to the right, so that i already runs to lateral.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marrowscope.errors import StudyError
from marrowscope.labelmap import BoolArray
from marrowscope.simulate.tissue_map import LabelArray

PAD = ((36, 36), (42, 18), (28, 28))
"""Voxels added on each side of i, j, k: the source grid ends inside the skin."""

TRIM = 10
"""Sections at each end of the field of view where the drawn masks thin out; replaced by the next whole section."""

DRIFT_SECTIONS = 20
"""Sections over which the slope of a shaft is measured."""

WORKING_MM = 0.7
"""Finer in-plane grids are thinned to about this: finer than any clinical pixel is not needed."""

BONE_OF_LABEL = (0, 1, 2, 3, 4, 5, 6, 1, 3, 5)
"""Lesion labels 7, 8, 9 lie in femur, tibia, patella."""

FEMUR, FEMUR_CARTILAGE, TIBIA, TIBIA_CARTILAGE, PATELLA, PATELLA_CARTILAGE = range(1, 7)


@dataclass(frozen=True, eq=False)
class Knee:
    """A padded map.

    Attributes:
        labels: uint8 (ni, nj, nk), source labels 1 to 6.
        lesion: where the source has a lesion.
        spacing: mm along i, j, k.
        joint: index k of the joint line.
    """

    labels: LabelArray
    lesion: BoolArray
    spacing: tuple[float, float, float]
    joint: float


def load(path: Path) -> Knee:
    """Read a map (NIfTI) and prepare it.

    Raises:
        StudyError: it holds no femur or no tibia, or labels beyond 9.
    """
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
    raw = np.asarray(image.dataobj).astype(np.uint8)
    zooms = [float(z) for z in image.header.get_zooms()[:3]]
    steps = [max(1, round(WORKING_MM / z)) for z in zooms]
    raw = raw[:: steps[0], :: steps[1], :: steps[2]]
    if raw.max() >= len(BONE_OF_LABEL) or not ((raw == FEMUR).any() and (raw == TIBIA).any()):
        raise StudyError(
            f"{path.name}: not a knee label map", "labels 1 femur, 3 tibia, 5 patella, cartilage between, 7-9 lesions"
        )
    labels = np.pad(np.array(BONE_OF_LABEL, np.uint8)[raw], PAD)
    carry_on(labels, FEMUR, up=True)
    carry_on(labels, TIBIA, up=False)
    spacing = tuple(z * s for z, s in zip(zooms, steps, strict=True))
    return Knee(labels, np.pad(raw >= len(BONE_OF_LABEL) - 3, PAD), spacing, joint_line(labels))  # type: ignore[arg-type]


def joint_line(labels: LabelArray) -> float:
    """Index k where femur and tibia show equally much."""
    femur, tibia = (np.count_nonzero(labels == v, axis=(0, 1)) for v in (FEMUR, TIBIA))
    low, high = sorted((int(np.flatnonzero(femur)[0]), int(np.flatnonzero(tibia)[-1])))
    return float(min(range(low, high + 1), key=lambda k: abs(int(femur[k]) - int(tibia[k]))))


def carry_on(labels: LabelArray, value: int, *, up: bool) -> None:
    """Carry the last whole shaft section on to the end of the padded grid, drifting along the shaft's own slope."""
    view = labels if up else labels[:, :, ::-1]
    last = view.shape[2] - PAD[2][1] - 1 - TRIM
    section, inner = view[:, :, last] == value, view[:, :, last - DRIFT_SECTIONS] == value
    if not section.any() or not inner.any():
        return
    drift = (np.argwhere(section).mean(0) - np.argwhere(inner).mean(0)) / DRIFT_SECTIONS
    for k in range(last + 1, view.shape[2]):
        shift = np.round(drift * (k - last) * 0.7).astype(int)  # shafts straighten away from the joint
        moved = np.roll(section, (int(shift[0]), int(shift[1])), (0, 1))
        plane = view[:, :, k]
        plane[plane == value] = 0
        plane[moved & (plane == 0)] = value
