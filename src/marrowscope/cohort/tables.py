"""One tidy table a measurement a row, one wide table a study a row, change by subject, and what the columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.cohort.manifest import Row
from marrowscope.cohort.run import STUDIES, Outcome
from marrowscope.followup import Change, compare
from marrowscope.measurement import Measurement
from marrowscope.results import ASSESSMENT, Results, read_results

if TYPE_CHECKING:
    import polars as pl

TIDY = {
    "subject": "as in the manifest",
    "visit": "as in the manifest",
    "site": "site that was assessed",
    "side": "left, right, both or empty",
    "level": "exam, bone, lesion or score",
    "item": "bone or lesion code, score id, or empty for the exam",
    "code": "measurement code",
    "value": "number in unit, empty where not measured",
    "unit": "UCUM unit",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "status": "measured, not_assessable or failed",
    "reason": "why there is no value",
}
"""Columns of ``measurements`` and what each means."""

WIDE = {
    "subject": "as in the manifest",
    "visit": "as in the manifest",
    "status": "done, partly_not_assessable, refused or failed",
    "reason": "why a study was refused or failed",
    "outcome": "what the search for edema came to",
}
"""First columns of ``studies``; exam-wide measurements and scores follow, one a column, unit in the name."""

CHANGES = {
    "subject": "as in the manifest",
    "prior_visit": "earlier visit",
    "visit": "later visit",
    "code": "measurement or score",
    "before": "value at the earlier visit",
    "after": "value at the later visit",
    "difference": "after minus before, empty where not assessable",
    "unit": "UCUM unit",
    "verdict": "increase, decrease, no measurable change, change of unknown significance, or not assessable",
    "limit": "smallest detectable change used, with its basis",
    "reasons": "why sizes were not compared, or what limits it",
}
"""Columns of ``changes``."""


@dataclass(frozen=True)
class Done:
    """A row with its whole results folder."""

    row: Row
    results: Results


def done_rows(rows: Iterable[Row], out: Path) -> tuple[Done, ...]:
    """Rows whose results folder is whole, in manifest order."""
    folders = ((row, out / STUDIES / row.name) for row in rows)
    return tuple(Done(row, read_results(folder)) for row, folder in folders if (folder / ASSESSMENT).is_file())


def tidy(done: Iterable[Done]) -> list[dict[str, Any]]:
    """A row a measurement."""
    return [_tidy(d, level, item, m) for d in done for level, item, m in _measurements(d)]


def _measurements(d: Done) -> Iterator[tuple[str, str, Measurement]]:
    a = d.results.assessment
    yield from (("exam", "", m) for m in a.totals)
    yield from (("bone", b.code, m) for b in a.bones for m in b.measurements)
    yield from (("lesion", x.code, m) for x in a.lesions for m in x.measurements)
    yield from (("score", s.id, s.total) for s in a.scores)


def _tidy(d: Done, level: str, item: str, m: Measurement) -> dict[str, Any]:
    a = d.results.assessment
    start = (d.row.subject, d.row.visit, a.site, a.side, level, item, m.code)
    return dict(zip(TIDY, (*start, m.value, m.unit, m.low, m.high, m.status.value, m.reason), strict=True))


def wide(rows: Iterable[Row], outcomes: Iterable[Outcome], done: Iterable[Done]) -> list[dict[str, Any]]:
    """A row a study, refused and failed ones too."""
    by_name = {d.row.name: d for d in done}
    table = []
    for row, outcome in zip(rows, outcomes, strict=True):
        found = by_name.get(row.name)
        cells: dict[str, Any] = {
            "subject": row.subject, "visit": row.visit, "status": outcome.status, "reason": outcome.reason,
            "outcome": found.results.assessment.outcome.value if found else "",
        }  # fmt: skip
        if found:
            a = found.results.assessment
            cells.update({f"{m.code}_{_column(m.unit)}".rstrip("_"): m.value for m in a.totals})
            cells.update({s.id: s.total.value for s in a.scores})
        table.append(cells)
    return table


def _column(unit: str) -> str:
    return "" if unit == "1" else unit.replace("%", "percent")


def changes(done: Iterable[Done]) -> list[dict[str, Any]]:
    """A row a number that two consecutive visits of one subject and site share."""
    groups: dict[tuple[str, str], list[Done]] = {}
    for d in done:
        groups.setdefault((d.row.subject, d.results.assessment.site), []).append(d)
    return [row for group in groups.values() for pair in pairwise(_by_date(group)) for row in _change_rows(*pair)]


def _by_date(group: list[Done]) -> list[Done]:
    """Visits in order of study date where all state one, else of visit name."""
    dated = all(d.results.assessment.provenance.study_date for d in group)
    return sorted(group, key=lambda d: (d.results.assessment.provenance.study_date if dated else "", d.row.visit))


def _change_rows(prior: Done, current: Done) -> list[dict[str, Any]]:
    change: Change = compare(prior.results.visit(), current.results.visit())
    why = "; ".join(change.reasons)
    who = (prior.row.subject, prior.row.visit, current.row.visit)
    return [
        dict(
            zip(
                CHANGES,
                (
                    *who,
                    d.code,
                    d.before.value,
                    d.after.value,
                    d.difference.value,
                    d.after.unit,
                    d.verdict,
                    d.limit,
                    why,
                ),
                strict=True,
            )
        )
        for d in change.deltas
    ]


def write_table(rows: list[dict[str, Any]], columns: Iterable[str], stem: Path) -> None:
    """``<stem>.csv`` and ``<stem>.parquet``; columns first in the order given, others after."""
    frame = _frame(rows, tuple(columns))
    frame.write_csv(stem.with_suffix(".csv"))
    frame.write_parquet(stem.with_suffix(".parquet"), statistics=False)


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    extra = list(dict.fromkeys(k for row in rows for k in row if k not in columns))
    names = [*columns, *extra]
    data = {name: [row.get(name) for row in rows] for name in names}
    numbers = {"value", "low", "high", "before", "after", "difference", *extra}
    schema = {name: pl.Float64 if name in numbers else pl.String for name in names}
    return pl.DataFrame(data, schema=schema, strict=False)


def write_dictionary(out: Path) -> None:
    """``data_dictionary.csv``: every column of every table."""
    tables = {"measurements": TIDY, "studies": WIDE, "changes": CHANGES}
    rows = [
        {"table": t, "column": c, "meaning": words} for t, columns in tables.items() for c, words in columns.items()
    ]
    _frame(rows, ("table", "column", "meaning")).write_csv(out / "data_dictionary.csv")
