"""Edits: an append-only, typed list of what a person changed, and how each one changes the objects.

The automatic result is never overwritten: edits are replayed over it, in order, by ``conclude``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from marrowscope.errors import UsageError
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Verdict

NEEDS_LESION = ("accept", "reject", "merge", "split")
"""Kinds of edit that are about a lesion that is there."""

READER_CONFIDENCE = 1.0
"""Confidence of an object drawn or accepted by a person: it is a reader's call by definition."""


class EditKind(StrEnum):
    """What a person can do to a result."""

    ADD_VOXELS = "add_voxels"
    REMOVE_VOXELS = "remove_voxels"
    ACCEPT = "accept"
    REJECT = "reject"
    MERGE = "merge"
    SPLIT = "split"
    SET_CELL = "set_cell"
    SET_FINDING = "set_finding"


@dataclass(frozen=True)
class Edit:
    """One change.

    Attributes:
        kind: what was done.
        by: who (a name or id the user chose); at: ISO 8601 time, given by the caller.
        label: the lesion concerned (0 = a new one, for ADD_VOXELS).
        others: further labels (MERGE).
        runs: (start, length) pairs over the C-order flattened grid (ADD, REMOVE, SPLIT: the part split off).
        target: id of a score cell as ``score/cell`` or of a finding.
        value: grade of the cell, or state of the finding.
        reason: free words, kept.
    """

    kind: EditKind
    by: str
    at: str
    label: int = 0
    others: tuple[int, ...] = ()
    runs: tuple[tuple[int, int], ...] = ()
    target: str = ""
    value: str | float | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data; empty parts are left out."""
        data: dict[str, Any] = {"kind": self.kind.value, "by": self.by, "at": self.at}
        for name in ("label", "target", "reason"):
            if part := getattr(self, name):
                data[name] = part
        if self.value is not None:  # a grade of 0 is a grade
            data["value"] = self.value
        if self.others:
            data["others"] = list(self.others)
        if self.runs:
            data["runs"] = [list(r) for r in self.runs]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        known = {**data, "kind": EditKind(data["kind"])}
        known["others"] = tuple(data.get("others", ()))
        known["runs"] = tuple((int(a), int(b)) for a, b in data.get("runs", ()))
        return cls(**known)


def mask_to_runs(mask: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """(start, length) of every run of True in C order."""
    flat = np.concatenate(([False], mask.ravel(), [False]))
    starts = np.flatnonzero(~flat[:-1] & flat[1:])
    ends = np.flatnonzero(flat[:-1] & ~flat[1:])
    return tuple((int(a), int(b - a)) for a, b in zip(starts, ends, strict=True))


def runs_to_mask(runs: tuple[tuple[int, int], ...], shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Inverse of :func:`mask_to_runs`.

    Raises:
        UsageError: a run leaves the grid.
    """
    size = int(np.prod(shape))
    mask = np.zeros(size, dtype=bool)
    for start, length in runs:
        if start < 0 or length < 1 or start + length > size:
            raise UsageError(f"a run ({start}, {length}) outside the grid", f"0 <= start < {size}")
        mask[start : start + length] = True
    return mask.reshape(shape)


def apply_edits(objects: Objects, edits: tuple[Edit, ...]) -> Objects:
    """The objects after every edit, in order; score cells and findings are applied later, by ``conclude``."""
    for edit in edits:
        objects = _apply(objects, edit)
    return objects


def _apply(objects: Objects, edit: Edit) -> Objects:
    if edit.kind in (EditKind.SET_CELL, EditKind.SET_FINDING):
        return objects
    draft = _Draft(objects.lesions.volume.array.copy(), {o.label: o for o in objects.objects})
    _check_lesions(edit, draft.known)
    mask = runs_to_mask(edit.runs, objects.exam.image.shape)
    CHANGES[edit.kind](draft, edit, mask)
    return _with(objects, draft.labels, draft.known)


def _check_lesions(edit: Edit, known: dict[int, LesionObject]) -> None:
    """Refuse an edit of a lesion that is not there, and a merge of a lesion with itself.

    Raises:
        UsageError: see above.
    """
    named = [label for label in (edit.label, *edit.others) if label or edit.kind in NEEDS_LESION]
    if unknown := [label for label in named if label not in known]:
        raise UsageError(f"an edit of lesion {unknown[0]}", f"one of {sorted(known)}")
    if len(set(named)) < len(named):
        raise UsageError("a lesion merged with itself", "two or more lesions, each named once")


@dataclass(frozen=True, eq=False)
class _Draft:
    """Lesions being changed in place: label map, objects by label."""

    labels: npt.NDArray[Any]
    known: dict[int, LesionObject]


def _accept(draft: _Draft, edit: Edit, _mask: npt.NDArray[np.bool_]) -> None:
    lesion = draft.known[edit.label]
    draft.known[edit.label] = replace(lesion, verdict=Verdict.ACCEPTED, confidence=READER_CONFIDENCE)


def _reject(draft: _Draft, edit: Edit, _mask: npt.NDArray[np.bool_]) -> None:
    draft.known[edit.label] = draft.known[edit.label].with_verdict(Verdict.REJECTED)


def _merge(draft: _Draft, edit: Edit, _mask: npt.NDArray[np.bool_]) -> None:
    for other in edit.others:
        draft.labels[draft.labels == other] = edit.label
        draft.known.pop(other)
    draft.known[edit.label] = draft.known[edit.label].with_verdict(Verdict.EDITED)


def _remove(draft: _Draft, edit: Edit, mask: npt.NDArray[np.bool_]) -> None:
    touched = mask & ((draft.labels == edit.label) if edit.label else (draft.labels > 0))
    for hit in np.unique(draft.labels[touched]).tolist():
        draft.known[hit] = draft.known[hit].with_verdict(Verdict.EDITED)
    draft.labels[touched] = 0


def _add(draft: _Draft, edit: Edit, mask: npt.NDArray[np.bool_]) -> None:
    _draw(draft, edit, edit.label or _next_label(draft), mask & (draft.labels == 0))


def _split(draft: _Draft, edit: Edit, mask: npt.NDArray[np.bool_]) -> None:
    _draw(draft, edit, _next_label(draft), mask & (draft.labels == edit.label))


def _draw(draft: _Draft, edit: Edit, label: int, where: npt.NDArray[np.bool_]) -> None:
    """Voxels under a label, of the kind of the lesion concerned, else edema."""
    draft.labels[where] = label
    kind = draft.known[edit.label].kind if edit.label else LesionKind.EDEMA
    draft.known[label] = LesionObject(label, kind, READER_CONFIDENCE, ("drawn by a reader",), Verdict.EDITED)


def _next_label(draft: _Draft) -> int:
    return max(draft.known, default=0) + 1


CHANGES: Mapping[EditKind, Callable[[_Draft, Edit, npt.NDArray[np.bool_]], None]] = {
    EditKind.ACCEPT: _accept,
    EditKind.REJECT: _reject,
    EditKind.MERGE: _merge,
    EditKind.REMOVE_VOXELS: _remove,
    EditKind.ADD_VOXELS: _add,
    EditKind.SPLIT: _split,
}
"""How each kind of edit that is about voxels or lesions changes them."""


def _with(objects: Objects, labels: npt.NDArray[Any], known: dict[int, LesionObject]) -> Objects:
    kept = {label: known[label] for label in sorted(known) if (labels == label).any()}
    names = {label: f"lesion_{label}" for label in kept}
    lesions = LabelMap(objects.exam.image.with_array(labels), names)
    return replace(objects, lesions=lesions, objects=tuple(kept.values()))
