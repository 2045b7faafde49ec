"""Which lesion of the prior is which lesion now: groups joined by overlap after registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from marrowscope.assessment.types import LesionRecord
from marrowscope.followup.register import BoneTransform, moved_mask
from marrowscope.followup.types import Fate, Visit

TOUCHING_MM = 4.0
"""Lesions of two visits within this distance are one: registration error plus one slice's partial volume."""


@dataclass(frozen=True)
class Group:
    """Lesions that belong together; either side may be empty."""

    prior: tuple[LesionRecord, ...]
    current: tuple[LesionRecord, ...]

    @property
    def shape(self) -> Fate:
        """New, resolved, split, merged or persisting; growth is judged later, by volume."""
        if not self.prior:
            return Fate.NEW
        if not self.current:
            return Fate.RESOLVED
        if len(self.current) > len(self.prior):
            return Fate.SPLIT
        return Fate.MERGED if len(self.prior) > len(self.current) else Fate.PERSISTING


def match(prior: Visit, current: Visit, transforms: dict[str, BoneTransform]) -> tuple[Group, ...]:
    """Groups of edema lesions, largest current volume first; a lesion whose bone has no transform stays alone."""
    before, now = prior.assessment.edema, current.assessment.edema
    links = np.zeros((len(before), len(now)), dtype=bool)
    for i, lesion in enumerate(before):
        near = _reach(lesion, prior, current, transforms)
        for j, other in enumerate(now):
            if near is not None and other.bone == lesion.bone:
                links[i, j] = bool((near & (current.lesions.volume.array == other.label)).any())
    return _groups(before, now, links)


def _reach(
    lesion: LesionRecord, prior: Visit, current: Visit, transforms: dict[str, BoneTransform]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None:
    """The prior lesion on the current grid, widened by the matching distance."""
    transform = transforms.get(lesion.bone)
    if transform is None:
        return None
    mask = prior.lesions.volume.array == lesion.label
    moved = moved_mask(mask, prior.lesions.volume, transform.matrix, current.lesions.volume)
    if not moved.any():
        return moved
    distance = ndimage.distance_transform_edt(~moved, sampling=current.lesions.volume.spacing)
    return np.asarray(distance <= TOUCHING_MM)


def _groups(
    before: tuple[LesionRecord, ...],
    now: tuple[LesionRecord, ...],
    links: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> tuple[Group, ...]:
    size = len(before) + len(now)
    if size == 0:
        return ()
    graph = np.zeros((size, size), dtype=bool)
    graph[: len(before), len(before) :] = links
    count, member = connected_components(csr_array(graph), directed=False)
    groups = [
        Group(
            tuple(x for i, x in enumerate(before) if member[i] == n),
            tuple(x for j, x in enumerate(now) if member[len(before) + j] == n),
        )
        for n in range(count)
    ]
    return tuple(sorted(groups, key=lambda g: -sum(volume(x) for x in (*g.current, *g.prior))))


def volume(lesion: LesionRecord) -> float:
    """Volume of a lesion in cm3."""
    measured = lesion.measurement("volume")
    return measured.value if measured is not None and measured.value is not None else 0.0
