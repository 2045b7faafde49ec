"""A corrected SEG as edits: what a reader changed, said in the words of the append-only list, so that it replays.

A segment that carries a lesion's own name and touches it is that lesion; of the others each connected piece is the
lesion it overlaps most, or a new one. A lesion that no piece claims is rejected, never deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.anatomy.from_seg import check_space, part_of
from marrowscope.errors import UsageError
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.edits import Edit, EditKind, mask_to_runs
from marrowscope.lesion.objects import CONNECTIVITY
from marrowscope.lesion.types import Objects, Verdict
from marrowscope.sites import load_site
from marrowscope.study.seg_grid import place
from marrowscope.study.segmentation import ABNORMAL, Segment, Segmentation


@dataclass(frozen=True)
class DrawnLesions:
    """What a corrected SEG comes to.

    Attributes:
        edits: in order; empty when it says what the result says. notes: what was done on the way.
    """

    edits: tuple[Edit, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Piece:
    """One lesion as drawn: its voxels, and the label that its name claims (0 = none)."""

    mask: BoolArray
    named: int


@dataclass
class _Change:
    """Collects edits; ``labels`` is the lesion map as the edits so far leave it."""

    labels: npt.NDArray[np.integer]
    by: str
    at: str
    reason: str
    edits: list[Edit] = field(default_factory=list)

    def add(self, kind: EditKind, label: int, mask: BoolArray | None = None) -> None:
        runs = () if mask is None else mask_to_runs(mask)
        self.edits.append(Edit(kind, self.by, self.at, label, runs=runs, reason=self.reason))


def lesion_edits(objects: Objects, drawn: Segmentation, by: str, at: str, names: tuple[str, ...] = ()) -> DrawnLesions:
    """The edits that make the lesions of ``objects`` those that were drawn.

    Args:
        objects: detection's, with every edit so far applied. drawn: the SEG. by: who corrected. at: ISO 8601 time.
        names: labels of the segments that are lesions; empty = those coded as abnormal, else all that name no bone.

    Raises:
        GeometryError: drawn in another space, or outside the series. UsageError: no such segment.
    """
    check_space(drawn, objects.exam)
    placed = [place(s, objects.exam.image) for s in _lesions(objects, drawn, names)]
    notes = [f"{p.segment.name}: {p.note}" for p in placed if p.note]
    made, shared = edits_to(objects, [(p.segment.name, p.mask) for p in placed], by, at, f"corrected SEG {drawn.uid}")
    notes += [f"{shared} voxels in two segments given to the first"] if shared else []
    return DrawnLesions(made, tuple(notes))


def edits_to(
    objects: Objects, drawn: list[tuple[str, BoolArray]], by: str, at: str, reason: str
) -> tuple[tuple[Edit, ...], int]:
    """The edits after which the lesions that stand are exactly the voxels drawn.

    Args:
        objects: with every edit so far applied. drawn: name and mask of each segment, on the objects' grid.
        by, at, reason: kept with every edit.

    Returns:
        The edits, and how many voxels two segments claimed (the first keeps them).
    """
    labels = np.asarray(objects.lesions.volume.array)
    pieces, shared = _pieces(drawn, labels)
    change = _Change(labels.copy(), by, at, reason)
    _apply(change, objects, pieces, _matched(pieces, labels))
    return tuple(change.edits), shared


def _lesions(objects: Objects, drawn: Segmentation, names: tuple[str, ...]) -> list[Segment]:
    known = {s.label for s in drawn.segments} | {s.name for s in drawn.segments}
    if missing := [n for n in names if n not in known]:
        raise UsageError(f"no segment called {missing[0]!r}", f"one of {', '.join(s.name for s in drawn.segments)}")
    if names:
        return [s for s in drawn.segments if {s.label, s.name} & set(names)]
    abnormal = [s for s in drawn.segments if s.category == ABNORMAL]
    site = load_site(objects.exam.site)
    return abnormal or [s for s in drawn.segments if not part_of(s, site, "bones") and not part_of(s, site, "regions")]


def _pieces(drawn: list[tuple[str, BoolArray]], labels: npt.NDArray[np.integer]) -> tuple[list[_Piece], int]:
    """Lesions as drawn, and how many voxels two segments claimed (the first keeps them)."""
    pieces, shared, named = [], 0, set[int]()
    taken = np.zeros(labels.shape, dtype=bool)
    for name, mask in drawn:
        shared += int((mask & taken).sum())
        own = mask & ~taken
        taken |= mask
        label = _named(name)
        if label not in named and label and (own & (labels == label)).any():
            pieces.append(_Piece(own, label))
            named.add(label)
            continue
        parts, count = ndimage.label(own, structure=CONNECTIVITY)
        pieces += [_Piece(parts == n, 0) for n in range(1, count + 1)]
    return pieces, shared


def _named(name: str) -> int:
    number = name.removeprefix("lesion_")
    return int(number) if number != name and number.isdecimal() else 0


def _matched(pieces: list[_Piece], labels: npt.NDArray[np.integer]) -> dict[int, int]:
    """Piece number to lesion label: by name, then the greatest overlaps first, each lesion once."""
    matched = {n: p.named for n, p in enumerate(pieces) if p.named}
    overlaps = []
    for n, piece in enumerate(pieces):
        if n not in matched:
            hit, size = np.unique(labels[piece.mask], return_counts=True)
            overlaps += [(-int(s), n, int(h)) for h, s in zip(hit, size, strict=True) if h]
    for _, n, label in sorted(overlaps):
        if n not in matched and label not in matched.values():
            matched[n] = label
    return matched


def _apply(change: _Change, objects: Objects, pieces: list[_Piece], matched: dict[int, int]) -> None:
    """Voxels are given up first, then verdicts, then voxels are taken."""
    drawn = np.zeros(change.labels.shape, dtype=bool)
    for piece in pieces:
        drawn |= piece.mask
    own = {label: pieces[n].mask for n, label in matched.items()}
    for lesion in objects.objects:
        held = change.labels == lesion.label
        lost = held & (~own[lesion.label] if lesion.label in own else drawn)
        if lost.any():
            change.add(EditKind.REMOVE_VOXELS, lesion.label, lost)
            change.labels[lost] = 0
        rejected = lesion.verdict is Verdict.REJECTED
        if lesion.label not in own and not rejected and (held & ~lost).any():
            change.add(EditKind.REJECT, lesion.label)
        if lesion.label in own and rejected and not lost.any():
            change.add(EditKind.ACCEPT, lesion.label)
    for n, piece in enumerate(pieces):
        label = matched.get(n, 0)
        gained = piece.mask & (change.labels == 0)
        if gained.any():
            change.add(EditKind.ADD_VOXELS, label, gained)
