"""Edits: an append-only, typed list of what a person changed, and how each one changes the objects.

The automatic result is never overwritten: edits are replayed over it, in order, by ``conclude``.
"""

from __future__ import annotations

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
    labels = objects.lesions.volume.array.copy()
    known = {o.label: o for o in objects.objects}
    _check_lesions(edit, known)
    mask = runs_to_mask(edit.runs, objects.exam.image.shape)
    if edit.kind is EditKind.ACCEPT:
        known[edit.label] = replace(known[edit.label], verdict=Verdict.ACCEPTED, confidence=READER_CONFIDENCE)
    elif edit.kind is EditKind.REJECT:
        known[edit.label] = known[edit.label].with_verdict(Verdict.REJECTED)
    elif edit.kind is EditKind.REMOVE_VOXELS:
        _remove(labels, known, mask, edit.label)
    elif edit.kind is EditKind.MERGE:
        for other in edit.others:
            labels[labels == other] = edit.label
            known.pop(other)
        known[edit.label] = known[edit.label].with_verdict(Verdict.EDITED)
    else:
        _add(labels, known, mask, edit)
    return _with(objects, labels, known)


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


def _remove(labels: npt.NDArray[Any], known: dict[int, LesionObject], mask: npt.NDArray[np.bool_], label: int) -> None:
    touched = mask & ((labels == label) if label else (labels > 0))
    for hit in np.unique(labels[touched]).tolist():
        known[hit] = known[hit].with_verdict(Verdict.EDITED)
    labels[touched] = 0


def _add(labels: npt.NDArray[Any], known: dict[int, LesionObject], mask: npt.NDArray[np.bool_], edit: Edit) -> None:
    split = edit.kind is EditKind.SPLIT
    target = max(known, default=0) + 1 if split or not edit.label else edit.label
    where = mask & (labels == edit.label) if split else mask & (labels == 0)
    labels[where] = target
    kind = known[edit.label].kind if edit.label else LesionKind.EDEMA
    known[target] = LesionObject(target, kind, READER_CONFIDENCE, ("drawn by a reader",), Verdict.EDITED)


def _with(objects: Objects, labels: npt.NDArray[Any], known: dict[int, LesionObject]) -> Objects:
    kept = {label: known[label] for label in sorted(known) if (labels == label).any()}
    names = {label: f"lesion_{label}" for label in kept}
    lesions = LabelMap(objects.exam.image.with_array(labels), names)
    return replace(objects, lesions=lesions, objects=tuple(kept.values()))
