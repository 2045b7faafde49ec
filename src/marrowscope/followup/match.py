"""Which lesion of the prior is which lesion now: groups joined by overlap after registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from marrowscope.assessment.types import LesionRecord
from marrowscope.followup.register import BoneTransform
from marrowscope.followup.types import Fate, Visit
from marrowscope.labelmap import BoolArray
from marrowscope.volume import AnyArray, Volume, covered, resample

TOUCHING_MM = 4.0
"""Lesions of two visits within this distance are one: registration error plus one slice's partial volume."""

MINIMUM_IN_VIEW = 0.5
"""Share of a lesion's place that the other visit must have seen before it counts as new or resolved."""


@dataclass(frozen=True)
class Group:
    """Lesions that belong together; either side may be empty.

    Attributes:
        hidden: the other visit did not see this place, or its bone could not be registered.
    """

    prior: tuple[LesionRecord, ...]
    current: tuple[LesionRecord, ...]
    hidden: bool = False

    @property
    def shape(self) -> Fate:
        """New, resolved, split, merged or persisting; growth is judged later, by volume."""
        if self.hidden:
            return Fate.NOT_COMPARABLE
        if not self.prior:
            return Fate.NEW
        if not self.current:
            return Fate.RESOLVED
        if len(self.current) > len(self.prior):
            return Fate.SPLIT
        return Fate.MERGED if len(self.prior) > len(self.current) else Fate.PERSISTING


@dataclass(frozen=True, eq=False)
class Laid:
    """The prior visit laid on the current grid by one bone: its lesion labels there, and where it had seen."""

    labels: AnyArray
    seen: BoolArray


def match(prior: Visit, current: Visit, transforms: dict[str, BoneTransform]) -> tuple[Group, ...]:
    """Groups of edema lesions, largest volume first; a lesion whose bone has no transform is not comparable."""
    before, now = prior.assessment.edema, current.assessment.edema
    bones = {x.bone for x in (*before, *now)} & set(transforms)
    laid = {bone: _lay(prior, current, transforms[bone]) for bone in sorted(bones)}
    grid = current.lesions.volume
    links = np.zeros((len(before), len(now)), dtype=bool)
    for i, lesion in enumerate(before):
        if lesion.bone not in laid:
            continue
        touched = _touched(laid[lesion.bone].labels == lesion.label, grid)
        for j, other in enumerate(now):
            links[i, j] = other.bone == lesion.bone and other.label in touched
    hidden = [_prior_hidden(x, prior, grid, laid.get(x.bone)) for x in before]
    hidden += [_current_hidden(x, grid, laid.get(x.bone)) for x in now]
    return _groups(before, now, links, hidden)


def _lay(prior: Visit, current: Visit, transform: BoneTransform) -> Laid:
    source, grid = prior.lesions.volume, current.lesions.volume
    moved = Volume(source.array, transform.matrix @ source.affine, source.slice_axis)
    return Laid(resample(moved, grid, order=0).array, covered(moved, grid))


def _touched(moved: BoolArray, grid: Volume) -> set[int]:
    """Labels now within the matching distance of a prior lesion laid on the current grid."""
    boxes = ndimage.find_objects(moved.astype(np.uint8))
    if not boxes:
        return set()
    reach = [int(np.ceil(TOUCHING_MM / s)) for s in grid.spacing]
    box = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(boxes[0], reach, strict=True))
    near = ndimage.distance_transform_edt(~moved[box], sampling=grid.spacing) <= TOUCHING_MM
    return {int(v) for v in np.unique(grid.array[box][near]) if v}


def _prior_hidden(lesion: LesionRecord, prior: Visit, grid: Volume, laid: Laid | None) -> bool:
    """Whether less than half of a prior lesion's volume lies inside the current grid."""
    if laid is None:
        return True
    whole = float((prior.lesions.volume.array == lesion.label).sum()) * prior.lesions.volume.voxel_volume_mm3
    inside = float((laid.labels == lesion.label).sum()) * grid.voxel_volume_mm3
    return inside < MINIMUM_IN_VIEW * whole


def _current_hidden(lesion: LesionRecord, grid: Volume, laid: Laid | None) -> bool:
    """Whether the prior had seen less than half of a current lesion's place."""
    if laid is None:
        return True
    mask = grid.array == lesion.label
    return bool(mask.any() and laid.seen[mask].mean() < MINIMUM_IN_VIEW)


def _groups(
    before: tuple[LesionRecord, ...], now: tuple[LesionRecord, ...], links: BoolArray, hidden: list[bool]
) -> tuple[Group, ...]:
    size = len(before) + len(now)
    if size == 0:
        return ()
    graph = np.zeros((size, size), dtype=bool)
    graph[: len(before), len(before) :] = links
    count, member = connected_components(csr_array(graph), directed=False)
    groups = [_group(before, now, np.asarray(member == n), hidden) for n in range(count)]
    return tuple(sorted(groups, key=lambda g: -sum(volume(x) for x in (*g.current, *g.prior))))


def _group(
    before: tuple[LesionRecord, ...], now: tuple[LesionRecord, ...], member: BoolArray, hidden: list[bool]
) -> Group:
    """One group; only a lesion that stands alone can be hidden: a partner proves that its place was seen."""
    first = tuple(x for i, x in enumerate(before) if member[i])
    second = tuple(x for j, x in enumerate(now) if member[len(before) + j])
    alone = not first or not second
    unseen = alone and all(hidden[i] for i in np.flatnonzero(member))
    return Group(_largest_first(first), _largest_first(second), unseen)


def _largest_first(lesions: tuple[LesionRecord, ...]) -> tuple[LesionRecord, ...]:
    return tuple(sorted(lesions, key=lambda x: -volume(x)))


def volume(lesion: LesionRecord) -> float:
    """Volume of a lesion in cm3."""
    measured = lesion.measurement("volume")
    return measured.value if measured is not None and measured.value is not None else 0.0
