"""Cells that a reader entered take the place of estimated ones; the sum follows by the score's own rule."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace

from marrowscope.errors import UsageError
from marrowscope.lesion.edits import Edit, EditKind
from marrowscope.scoring.grades import highest_grade, is_grade
from marrowscope.scoring.types import Cell, Score

Summed = Callable[[Score], Score]

SUMS: dict[str, str] = {
    "moaks_bml": "marrowscope.scoring.moaks_bml:summed",
    "worms_bml": "marrowscope.scoring.worms_bml:summed",
    "kimriss_bml": "marrowscope.scoring.cell_count:summed",
    "sparcc_sij": "marrowscope.scoring.sparcc_sij:summed",
    "berlin_sij": "marrowscope.scoring.berlin_sij:summed",
    "asas_sij": "marrowscope.scoring.asas_sij:summed",
}
"""Score id to ``module:function`` that recomputes total and statement from a score's cells."""


def with_entered_cells(scores: tuple[Score, ...], edits: tuple[Edit, ...]) -> tuple[Score, ...]:
    """The scores after every SET_CELL edit, in order.

    Raises:
        UsageError: an edit names a score or cell that does not exist, or a grade that the cell cannot have.
    """
    by_id = {s.id: s for s in scores}
    for edit in edits:
        if edit.kind is not EditKind.SET_CELL:
            continue
        score_id, _, cell_id = edit.target.partition("/")
        if score_id not in by_id:
            raise UsageError(f"an edit of score {score_id!r}", f"one of {sorted(by_id)}")
        by_id[score_id] = _entered(by_id[score_id], cell_id, edit)
    return tuple(by_id.values())


def _entered(score: Score, cell_id: str, edit: Edit) -> Score:
    if cell_id not in {c.id for c in score.cells}:
        raise UsageError(f"an edit of cell {cell_id!r}", f"a cell of {score.label}")
    grade = _checked(score, cell_id, edit.value)
    cells = tuple(Cell(c.id, grade, by=edit.by) if c.id == cell_id else c for c in score.cells)
    entered = replace(score, cells=cells, origin="reader")
    module, _, attribute = SUMS[score.id].partition(":")
    recompute: Summed = getattr(importlib.import_module(module), attribute)
    return recompute(entered)


def _checked(score: Score, cell_id: str, value: object) -> float:
    """A grade that the cell can have.

    Raises:
        UsageError: not a number, not whole (but for volumes), or outside the cell's scale.
    """
    if not isinstance(value, int | float) or not is_grade(score, cell_id, value):
        highest = highest_grade(score, cell_id)
        whole = f"a whole number from 0 to {highest:g}" if math.isfinite(highest) else "a number from 0"
        raise UsageError(f"grade {value!r} for {cell_id} of {score.label}", whole)
    return float(value)
