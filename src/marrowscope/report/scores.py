"""A score's cells as a grid a reader can check: one row a place, one column a question."""

from __future__ import annotations

import re
from dataclasses import replace

from marrowscope.report.references import References
from marrowscope.report.view import Fact, ScoreView, fact_of
from marrowscope.scoring.types import Cell, Score

NO_CELL = "–"
NOT_GRADED = "n/a"
ONE_COLUMN = "grade"

NO_RANGE = "not known"
"""The range of a score that has no cells on this exam, e.g. a count over slices of another plane."""

MOST_CELLS = 100
"""A sheet of more cells lists only what is not 0; ``assessment.json`` and ``measurements.csv`` hold every cell."""


_NUMBERED = re.compile(r"([a-z])(\d+)$")
"""A column such as ``slice4``, read as ``slice 4``."""


def score_view(score: Score, references: References) -> ScoreView:
    """One score as text, its sources by number; a cell id's last part names the column when several share a stem."""
    shown = shown_cells(score.cells)
    columns, rows = _grid(shown)
    hidden = len(score.cells) - len(shown)
    return ScoreView(
        label=score.label,
        total=_total(score),
        range_text=f"{score.minimum:g}–{score.maximum:g}" if score.maximum > score.minimum else NO_RANGE,
        origin="estimated, editable" if score.origin == "estimated" else "entered by a reader",
        statement=score.statement,
        context=tuple(f"{_words(k)}: {v}" for k, v in sorted(score.context.items())),
        columns=columns,
        rows=rows,
        ungraded=(*_ungraded(score.cells), *((f"{hidden} cells of grade 0 are not listed",) if hidden else ())),
        sources=references.keys(score.sources) if score.sources else "",
    )


def _total(score: Score) -> Fact:
    """The total as readers write it: no decimals where it is a whole number."""
    fact = fact_of("total", score.total)
    whole = score.total.value is not None and score.total.value == round(score.total.value)
    return replace(fact, value=f"{score.total.value:.0f}") if whole else fact


def _words(code: str) -> str:
    return code.replace("_", " ").replace(".", ", ")


def shown_cells(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """All cells of a sheet a reader can take in; of a larger one those with a grade above 0 or entered by a reader."""
    if len(cells) <= MOST_CELLS:
        return cells
    return tuple(c for c in cells if c.value or c.by)


def _text(cell: Cell) -> str:
    grade = NOT_GRADED if cell.value is None else f"{cell.value:g}"
    return f"{grade} ({cell.by})" if cell.by else grade


def _grid(cells: tuple[Cell, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    stems = [c.id.rpartition(".")[0] for c in cells]
    shared = all(stems) and len(set(stems)) < len(stems)
    if not shared:
        return (ONE_COLUMN,), tuple((_words(c.id), (_text(c),)) for c in cells)
    columns = tuple(dict.fromkeys(c.id.rpartition(".")[2] for c in cells))
    by_id = {c.id: _text(c) for c in cells}
    rows = tuple(
        (_words(stem), tuple(by_id.get(f"{stem}.{column}", NO_CELL) for column in columns))
        for stem in dict.fromkeys(stems)
    )
    return tuple(_NUMBERED.sub(r"\1 \2", _words(c)) for c in columns), rows


def _ungraded(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """Each reason why cells have no grade, with how many share it."""
    reasons: dict[str, int] = {}
    for cell in cells:
        if cell.value is None:
            reasons[cell.reason or "no reason given"] = reasons.get(cell.reason or "no reason given", 0) + 1
    return tuple(f"{count} of {len(cells)} cells {NOT_GRADED}: {reason}" for reason, count in reasons.items())
