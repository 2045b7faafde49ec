"""A reader score, estimated from objects or entered by a reader: the same cells, the same sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from marrowscope.measurement import Measurement


@dataclass(frozen=True)
class Cell:
    """One cell of a score sheet.

    Attributes:
        id: stable key, e.g. ``slice3.left.upper_ilium`` or ``medial_femur_central.size``.
        value: the grade, or None when not assessable (then ``reason``).
        reason: why there is no grade.
        by: empty = estimated by marrowscope; else who entered it.
    """

    id: str
    value: float | None = None
    reason: str = ""
    by: str = ""


@dataclass(frozen=True)
class Score:
    """One score of one exam.

    Attributes:
        id: id in ``knowledge/data/scores``, e.g. ``sparcc_sij``.
        label: words for a reader.
        total: the sum (or verdict as 0/1), with status.
        minimum, maximum: attainable range; the same where the exam has no cells to attain anything in.
        cells: every cell.
        origin: ``estimated`` or ``reader``.
        context: choices that the score's wording leaves open, stored with it (e.g. reference tissue for "intense").
        statement: one sentence for the report, e.g. "extent met; reader's judgement required".
        sources: source keys.
    """

    id: str
    label: str
    total: Measurement
    minimum: float
    maximum: float
    cells: tuple[Cell, ...]
    origin: str = "estimated"
    context: Mapping[str, str] = field(default_factory=dict)
    statement: str = ""
    sources: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            "label": self.label,
            "total": self.total.to_dict(),
            "range": [self.minimum, self.maximum],
            "cells": [
                {
                    "id": c.id,
                    "value": c.value,
                    **({"reason": c.reason} if c.reason else {}),
                    **({"by": c.by} if c.by else {}),
                }
                for c in self.cells
            ],
            "origin": self.origin,
            "context": dict(self.context),
            "statement": self.statement,
            "sources": list(self.sources),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        cells = tuple(Cell(c["id"], c["value"], c.get("reason", ""), c.get("by", "")) for c in data["cells"])
        low, high = data["range"]
        return cls(
            data["id"],
            data["label"],
            Measurement.from_dict(data["total"]),
            low,
            high,
            cells,
            data["origin"],
            data["context"],
            data["statement"],
            tuple(data["sources"]),
        )
