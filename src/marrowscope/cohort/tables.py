"""Tidy and wide tables, change by subject, and what every column and code means; written study by study."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.cohort.columns import CHANGES, LESION_CHANGES, NUMBERS, TIDY, WIDE
from marrowscope.cohort.manifest import Row
from marrowscope.cohort.run import STUDIES, Outcome
from marrowscope.followup import Change, Visit, compare
from marrowscope.measurement import Measurement
from marrowscope.report.words import word
from marrowscope.results import ASSESSMENT, Results, read_results

if TYPE_CHECKING:
    from collections.abc import Callable

Cells = dict[str, Any]

ROWS_A_GROUP = 20_000
"""Rows kept in memory before they are written to Parquet as one row group."""


@dataclass(frozen=True)
class Done:
    """A row with its whole results folder."""

    row: Row
    results: Results


def done_row(row: Row, out: Path) -> Done | None:
    """The row's results folder, None where there is none."""
    folder = out / STUDIES / row.name
    return Done(row, read_results(folder)) if (folder / ASSESSMENT).is_file() else None


def done_rows(rows: Iterable[Row], out: Path) -> Iterator[Done]:
    """Rows whose results folder is whole, in manifest order, read one at a time."""
    return (done for row in rows if (done := done_row(row, out)) is not None)


def tidy(d: Done) -> Iterator[Cells]:
    """A row a measurement of one study."""
    a = d.results.assessment
    for level, item, m in _measurements(d):
        start = (d.row.subject, d.row.visit, a.site, a.side, level, item, m.code)
        yield dict(zip(TIDY, (*start, m.value, m.unit, m.low, m.high, m.status.value, m.reason), strict=True))


def _measurements(d: Done) -> Iterator[tuple[str, str, Measurement]]:
    a = d.results.assessment
    yield from (("exam", "", m) for m in a.totals)
    yield from (("bone", b.code, m) for b in a.bones for m in b.measurements)
    yield from (("lesion", x.code, m) for x in a.lesions for m in x.measurements)
    yield from (("score", s.id, s.total) for s in a.scores)


def wide(row: Row, outcome: Outcome, done: Done | None) -> Cells:
    """One study, refused and failed ones too."""
    cells: Cells = {
        "subject": row.subject, "visit": row.visit, "site": row.site, "side": row.side, "study_date": "",
        "status": outcome.status, "reason": outcome.reason, "outcome": "", "sequence_class": "", "folder": "",
    }  # fmt: skip
    if done is None:
        return cells
    a = done.results.assessment
    fluid = next((s.sequence_class for s in a.series if s.used_as == "fluid"), "")
    told = {"site": a.site, "side": a.side, "study_date": a.provenance.study_date, "outcome": a.outcome.value}
    cells.update(told, sequence_class=fluid, folder=f"{STUDIES}/{row.name}")
    cells.update({f"{m.code}_{_column(m.unit)}".rstrip("_"): m.value for m in a.totals})
    cells.update({s.id: s.total.value for s in a.scores})
    return cells


def _column(unit: str) -> str:
    return "" if unit == "1" else unit.replace("%", "percent")


def subject_changes(rows: Sequence[Row], out: str) -> tuple[list[Cells], list[Cells]]:
    """Exam-wide and lesion-wise change between one subject's consecutive visits, in a worker.

    Visits are paired site by site and side by side; a side seen at one visit only is paired with the other side's
    single visit, and so said to be not comparable.
    """
    exam: list[Cells] = []
    lesions: list[Cells] = []
    for visits in _joints(list(done_rows(rows, Path(out)))):
        for prior, current in pairwise(visits):
            change = compare(_stated(prior.results.visit()), _stated(current.results.visit()))
            exam += _change_rows(prior, current, change)
            lesions += _lesion_rows(prior, current, change)
    return exam, lesions


def _stated(visit: Visit) -> Visit:
    """The visit of a subject that the manifest names: patient IDs may be new at each visit, as in trials they are."""
    return replace(visit, person=replace(visit.person, pseudonym=True))


def _joints(done: list[Done]) -> list[list[Done]]:
    """The visits of each joint in their order; single visits of a site's sides are put together."""
    groups: dict[tuple[str, str], list[Done]] = {}
    for d in done:
        groups.setdefault((d.results.assessment.site, d.results.assessment.side), []).append(d)
    whole = [g for g in groups.values() if len(g) > 1]
    single: dict[str, list[Done]] = {}
    for (site, _), group in groups.items():
        if len(group) == 1:
            single.setdefault(site, []).extend(group)
    left = [g for g in single.values() if len({d.row.visit for d in g}) == len(g) > 1]
    return [_in_order(g) for g in (*whole, *left)]


def _in_order(group: list[Done]) -> list[Done]:
    """By study date where all state one, else by visit name, numbers in it as numbers."""
    dated = all(d.results.assessment.provenance.study_date for d in group)

    def key(d: Done) -> tuple[str, list[tuple[int, int, str]]]:
        return d.results.assessment.provenance.study_date if dated else "", natural(d.row.visit)

    return sorted(group, key=key)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts ``visit 10`` after ``visit 2``."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def _change_rows(prior: Done, current: Done, change: Change) -> list[Cells]:
    who = (prior.row.subject, current.results.assessment.site, current.results.assessment.side)
    visits = (prior.row.visit, current.row.visit)
    why = "; ".join(change.reasons)
    rows = []
    for d in change.deltas:
        gap = (d.difference.value, d.difference.low, d.difference.high, d.ratio.value, d.ratio.low, d.ratio.high)
        cells = (*who, *visits, d.code, d.before.value, d.after.value, *gap, d.after.unit, d.verdict, d.limit, why)
        rows.append(dict(zip(CHANGES, cells, strict=True)))
    return rows


def _lesion_rows(prior: Done, current: Done, change: Change) -> list[Cells]:
    who = (prior.row.subject, current.results.assessment.site, current.results.assessment.side)
    rows = []
    for x in change.lesions:
        sizes = (x.before.value, x.after.value, x.ratio.value, x.brightness_before.value, x.brightness_after.value)
        passes = {True: "yes", False: "no", None: "unknown"}[x.measurable]
        visits = (prior.row.visit, current.row.visit)
        cells = (*who, *visits, x.bone, x.place, x.fate.value, " ".join(x.prior), " ".join(x.current), *sizes, passes)
        rows.append(dict(zip(LESION_CHANGES, cells, strict=True)))
    return rows


@contextmanager
def open_table(stem: Path, columns: Sequence[str]) -> Iterator[Callable[[Iterable[Cells]], None]]:
    """``<stem>.csv`` and ``<stem>.parquet``, filled by calling what is yielded; memory stays at one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(c, pa.float64() if _is_number(c) else pa.string()) for c in columns])
    waiting: list[Cells] = []
    with (
        stem.with_suffix(".csv").open("w", encoding="utf-8", newline="") as stream,
        pq.ParquetWriter(stem.with_suffix(".parquet"), schema, write_statistics=False) as parquet,
    ):
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(columns)

        def flush() -> None:
            if waiting:
                parquet.write_table(pa.Table.from_pylist([{c: r.get(c) for c in columns} for r in waiting], schema))
                waiting.clear()

        def add(rows: Iterable[Cells]) -> None:
            for row in rows:
                lines.writerow(["" if row.get(c) is None else row[c] for c in columns])
                waiting.append(row)
            if len(waiting) >= ROWS_A_GROUP:
                flush()

        yield add
        flush()


def _is_number(column: str) -> bool:
    return column in NUMBERS or column not in {*TIDY, *WIDE, *CHANGES, *LESION_CHANGES, "table", "meaning", "column"}


def wide_columns(studies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Fixed columns, then exam-wide measurements and scores in the order they first appear."""
    extra = dict.fromkeys(k for row in studies for k in row if k not in WIDE)
    return [*WIDE, *extra]


def dictionary(studies: Sequence[Mapping[str, Any]], codes: Mapping[str, str]) -> list[Cells]:
    """Every column of every table, every code of ``measurements`` with its unit, in words.

    Args:
        studies: the wide table. codes: measurement code to unit, as met in this cohort.
    """
    tables = {"measurements": TIDY, "changes": CHANGES, "lesion_changes": LESION_CHANGES, "studies": WIDE}
    rows = [{"table": t, "column": c, "meaning": w} for t, columns in tables.items() for c, w in columns.items()]
    for column in wide_columns(studies)[len(WIDE) :]:
        code = next((c for c in codes if column in (c, f"{c}_{_column(codes[c])}")), column)
        unit = codes.get(code, "1")
        rows.append({"table": "studies", "column": column, "meaning": f"{word('measurements', code)}, unit {unit}"})
    words = ((c, f"{word('measurements', c)}, unit {unit}") for c, unit in sorted(codes.items()))
    return [*rows, *({"table": "measurements", "column": f"code={c}", "meaning": w} for c, w in words)]
