"""Metal in a limb, seen without fat suppression: a black void in marrow or fat with signal piled up beside it.

Trunks are not judged: bowel gas looks alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.morphology import grown, shrunk
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.volume import AnyArray

_CODE: Final = "metal"
_CONSEQUENCE: Final = "fat suppression fails around metal: the void and a margin around it are not assessable"
_LEVEL_MM: Final = 8.0
"""Fat's brightness is averaged over this (coarse pixels, about a millimetre each)."""

_NEAR_MAX_MM: Final = 25
"""Fat is what comes near the brightest within this: coil shading changes little over it."""

_LARGEST_MM2: Final = 900.0
"""A larger black place is air or a fold of the body, no implant's void."""

_MARGIN: Final = 6
"""Coarse pixels around a void that are cut out with it: the ring reaches 5."""

_LIMB_DEPTH_MM: Final = 90.0
"""The middle of a thigh lies this deep under the skin at most; a trunk's lies deeper."""

_EMPTY_SHARE: Final = 0.2
"""A slice whose 97th percentile is under this share of the series' bright end shows no body to look for voids in."""

_LIT_SHARE: Final = 0.3
"""Places whose local fat is under this share of the slice's bright fat are in the coil's shadow, not voids."""

_RING_FAT_SHARE: Final = 0.6
"""A pixel around a void counts as fat from this share of the local fat on."""

MARGIN_MM: Final = 10.0
"""Signal is wrong for about this far around a void: off-resonance falls with the cube of the distance, so at twice the
radius of a 10 mm void it is an eighth (Schenck, Med Phys 1996;23:815)."""


@dataclass(frozen=True)
class Void:
    """One void: where it lies on the coarse grid, how large, how wide at its widest, how black, what surrounds it."""

    slice_index: int
    place: tuple[slice, slice]
    area_mm2: float
    width_mm: float
    level: float
    ring_fat: float
    pile_up: float

    @property
    def metallic(self) -> bool:
        """Whether every sign of metal is there."""
        return (
            self.area_mm2 >= threshold(_CODE, "void_mm2")
            and self.width_mm >= threshold(_CODE, "void_width_mm")
            and self.level <= threshold(_CODE, "void_level")
            and self.ring_fat >= threshold(_CODE, "ring_fat")
            and self.pile_up >= threshold(_CODE, "pile_up")
        )

    @property
    def likely(self) -> bool:
        """Whether it looks like the tapering end of a metallic void."""
        return self.area_mm2 >= threshold(_CODE, "tail_mm2") and self.pile_up >= threshold(_CODE, "tail_pile_up")

    def continues(self, other: Void) -> bool:
        """Whether another void lies at the same place one slice away."""
        if abs(self.slice_index - other.slice_index) != 1:
            return False
        return all(a.start < b.stop and b.start < a.stop for a, b in zip(self.place, other.place, strict=True))


def is_limb(slices: Slices) -> bool:
    """Whether air surrounds the body and its middle is near the skin."""
    if not slices.surrounded:
        return False
    deepest = [float(slices.depth_mm[k].max()) for k in slices.filled]
    return 0 < float(np.median(deepest)) <= _LIMB_DEPTH_MM


def find_metal(slices: Slices) -> tuple[Void, ...] | None:
    """The metal voids of a series without fat suppression; None where no limb is in view to judge."""
    if not is_limb(slices):
        return None
    return tuple(confirmed([void for k in range(len(slices.values)) for void in voids_of(slices, k)]))


def check_metal(voids: tuple[Void, ...] | None, where: str) -> QcCheck:
    """The verdict on what :func:`find_metal` found.

    Args:
        voids: of a T1 (or T2, PD) series without fat suppression.
        where: how messages name that series.
    """
    if voids is None:
        reason = "judged in limbs only: bowel gas looks alike"
        value = Measurement.not_assessable("metal_voids", "1", reason)
        return QcCheck(_CODE, Severity.NOTE, f"metal not judged ({reason})", "look for voids yourself", value)
    seen = tuple(sorted({void.slice_index for void in voids}))
    value = Measurement.of("metal_voids", float(len(voids)), "1")
    if voids:
        text = f"metal artefact on {where}: black voids with signal piled up beside them"
        return QcCheck(_CODE, Severity.WARNING, text, _CONSEQUENCE, value, seen)
    return QcCheck(_CODE, Severity.OK, f"no metal artefact seen on {where}", value=value)


def confirmed(voids: list[Void]) -> list[Void]:
    """Voids with every sign, and a likely one at the same place in a neighbouring slice; those neighbours too."""
    found: dict[int, Void] = {}
    for i, void in enumerate(voids):
        if not void.metallic:
            continue
        beside = [j for j, other in enumerate(voids) if other.likely and void.continues(other)]
        if beside:
            found.update({j: voids[j] for j in (i, *beside)})
    return [found[i] for i in sorted(found)]


def voids_of(slices: Slices, k: int) -> list[Void]:
    """The enclosed black places of one slice."""
    from scipy import ndimage

    plane = slices.values[k]
    if float(np.percentile(plane[::2, ::2], 97)) < _EMPTY_SHARE * slices.bright:
        return []
    level = _fat_level(plane)
    lit = level > _LIT_SHARE * float(np.percentile(level[::2, ::2], 90))
    black = (plane < 2 * threshold(_CODE, "void_level") * level) & lit
    labels, _ = ndimage.label(grown(shrunk(black, 2), 2))
    relative = plane / np.maximum(level, 1e-6)
    found = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        if _touches_edge(place, plane.shape):
            continue
        void = _void(k, labels, label, place, relative, slices.step_mm)
        if void.area_mm2 <= _LARGEST_MM2:
            found.append(void)
    return found


def _fat_level(plane: AnyArray) -> AnyArray:
    """Brightness of fat around each pixel: the local mean of pixels near the local maximum."""
    from scipy import ndimage

    top = ndimage.maximum_filter(ndimage.gaussian_filter(plane, 3), size=_NEAR_MAX_MM)
    fat = plane > 0.5 * top
    weight = ndimage.gaussian_filter(fat.astype(np.float32), _LEVEL_MM)
    return np.asarray(ndimage.gaussian_filter(np.where(fat, plane, 0), _LEVEL_MM) / (weight + 1e-3))


def _touches_edge(place: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    return any(part.start < 3 or part.stop > size - 3 for part, size in zip(place, shape, strict=True))


def _void(
    k: int,
    labels: AnyArray,
    label: int,
    place: tuple[slice, slice],
    relative: AnyArray,
    step_mm: tuple[float, float],
) -> Void:
    from scipy import ndimage

    rows, columns = (slice(max(0, part.start - _MARGIN), part.stop + _MARGIN) for part in place)
    mask, around = labels[rows, columns] == label, relative[rows, columns]
    ring = grown(mask, 5) & ~grown(mask, 2)
    return Void(
        k,
        place,
        float(mask.sum() * step_mm[0] * step_mm[1]),
        2 * float(ndimage.distance_transform_edt(mask, sampling=step_mm).max()),
        float(np.median(around[mask])),
        float((around[ring] > _RING_FAT_SHARE).mean()),
        float(np.percentile(around[ring], 97)),
    )
