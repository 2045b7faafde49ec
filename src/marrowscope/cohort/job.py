"""The whole cohort: looks, runs, tables, gallery, plots, methods."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.cohort.cluster import open_cluster, spread
from marrowscope.cohort.columns import CHANGES, LESION_CHANGES, TIDY
from marrowscope.cohort.estimate import TimeLeft
from marrowscope.cohort.gallery import write_gallery
from marrowscope.cohort.look import judged
from marrowscope.cohort.manifest import Fate, Row
from marrowscope.cohort.methods import Summary, methods_paragraph
from marrowscope.cohort.plots import FEWEST_SHARED, bland_altman, read_reader_table, shared_studies, volume_by_visit
from marrowscope.cohort.run import ASSESSED, Outcome, forget, look_at, remembered, run_rows
from marrowscope.cohort.tables import (
    Cells,
    dictionary,
    done_row,
    open_table,
    subject_changes,
    tidy,
    wide,
    wide_columns,
)
from marrowscope.progress import Progress, silent

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class CohortRequest:
    """How a cohort is run.

    Attributes:
        out: folder to write. workers: processes of the local cluster. scheduler: address of a running one instead.
        reader: a second reader's table. read: read every study before anything runs, to say its fate.
        only: names of the rows to run again; every other row keeps what it has.
        light: write each study without page, PDF, leaflet, FHIR and DICOM.
    """

    out: Path
    workers: int = 1
    scheduler: str = ""
    reader: Path | None = None
    read: bool = True
    only: frozenset[str] | None = None
    light: bool = False


Say = Callable[[Sequence[Fate], Mapping[str, Outcome]], None]
"""Told every row's fate and what is kept, before anything runs."""

Tell = Callable[[Outcome, int, int, float | None], None]
"""Told each finished study: outcome, finished and all studies of this run, seconds left."""


def look_over(found: Sequence[Fate], request: CohortRequest, progress: Progress = silent) -> tuple[Fate, ...]:
    """Every row's fate after reading its study; nothing is assessed, nothing written.

    Raises:
        MissingExtraError, UsageError: see :func:`open_cluster`.
    """
    with open_cluster(request.workers, request.scheduler) as client:
        looks, _ = look_at(client, [f.row for f in found if f.runs], request.out, True, progress)
    return judged(found, looks)


def cohort_to(
    found: Sequence[Fate],
    request: CohortRequest,
    say: Say = lambda _found, _kept: None,
    tell: Tell = lambda _outcome, _done, _all, _left: None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Run every row that runs and write all tables; rows that do not run are in ``studies`` with their reasons.

    Raises:
        UsageError, MissingExtraError: see the parts.
    """
    reader = read_reader_table(request.reader) if request.reader is not None else None
    if reader is not None:
        shared_studies(((f.row.subject, f.row.visit) for f in found if f.runs), reader)
    request.out.mkdir(parents=True, exist_ok=True)
    if request.only is not None:
        forget([f.row for f in found if f.row.name in request.only], request.out)
    with open_cluster(request.workers, request.scheduler) as client:
        candidates = [f.row for f in found if f.runs]
        looks, kept = look_at(client, candidates, request.out, request.read, progress, request.light)
        fates = judged(found, looks)
        say(fates, kept)
        ran = _run(client, fates, kept, request, tell)
        outcomes = tuple(_outcome(f, {**kept, **ran}, request) for f in fates)
        write_outputs(client, tuple(f.row for f in fates), outcomes, request.out, reader)
    return outcomes


def _run(
    client: Client, fates: Sequence[Fate], kept: Mapping[str, Outcome], request: CohortRequest, tell: Tell
) -> Mapping[str, Outcome]:
    rows = [f.row for f in fates if f.runs and f.row.name not in kept]
    if request.only is not None:
        rows = [r for r in rows if r.name in request.only]
    left, finished = TimeLeft(time.monotonic(), len(rows)), 0

    def done(outcome: Outcome) -> None:
        nonlocal finished
        finished += 1
        tell(outcome, finished, len(rows), left(time.monotonic(), finished))

    return run_rows(client, rows, request.out, done, request.light)


def _outcome(fate: Fate, known: Mapping[str, Outcome], request: CohortRequest) -> Outcome:
    if not fate.runs:
        return Outcome(fate.row.name, "refused", "; ".join(fate.reasons), "")
    if fate.row.name in known:
        return known[fate.row.name]
    before = remembered(fate.row, request.out) or {"status": "not_run", "reason": "not among those to run again"}
    return Outcome(fate.row.name, before["status"], before["reason"], "")


def write_outputs(
    client: Client,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    out: Path,
    reader: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Tables (CSV and Parquet), data dictionary, gallery, plots and methods from the results folders."""
    usable = [o.status in ASSESSED for o in outcomes]
    studies, codes, summary = _study_tables(rows, outcomes, usable, out)
    verdicts = _change_tables(client, [r for r, ok in zip(rows, usable, strict=True) if ok], out)
    with open_table(out / "data_dictionary", ("table", "column", "meaning")) as add:
        add(dictionary(studies, codes))
    (out / "data_dictionary.parquet").unlink()
    write_gallery(rows, outcomes, out)
    (out / "volume_by_visit.svg").write_text(volume_by_visit(studies), encoding="utf-8")
    agreement = _agreement(studies, reader, out) if reader is not None else {}
    (out / "methods.txt").write_text(methods_paragraph(summary, studies, verdicts, agreement), encoding="utf-8")


def _study_tables(
    rows: Sequence[Row], outcomes: Sequence[Outcome], usable: Sequence[bool], out: Path
) -> tuple[list[Cells], dict[str, str], Summary]:
    """``measurements`` and ``studies``, one study in memory at a time."""
    studies: list[Cells] = []
    codes: dict[str, str] = {}
    summary = Summary()
    with open_table(out / "measurements", list(TIDY)) as add:
        for row, outcome, ok in zip(rows, outcomes, usable, strict=True):
            done = done_row(row, out) if ok else None
            studies.append(wide(row, outcome, done))
            summary.add(row, outcome, done)
            if done is not None:
                lines = list(tidy(done))
                codes.update({str(x["code"]): str(x["unit"]) for x in lines})
                add(lines)
    with open_table(out / "studies", wide_columns(studies)) as add:
        add(studies)
    return studies, codes, summary


def _change_tables(client: Client, rows: Sequence[Row], out: Path) -> list[Cells]:
    """``changes`` and ``lesion_changes``, subject by subject on the cluster, in manifest order."""
    subjects: dict[str, list[Row]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    groups = [tuple(g) for g in subjects.values() if len(g) > 1]
    found: dict[tuple[Row, ...], tuple[list[Cells], list[Cells]]] = {}
    for group, result in spread(client, partial(subject_changes, out=str(out)), groups, "change"):
        found[group] = _failed(group, result) if isinstance(result, BaseException) else result
    with (
        open_table(out / "changes", list(CHANGES)) as add_exam,
        open_table(out / "lesion_changes", list(LESION_CHANGES)) as add,
    ):
        for group in groups:
            add_exam(found[group][0])
            add(found[group][1])
    return [cells for group in groups for cells in found[group][0]]


def _failed(group: tuple[Row, ...], error: BaseException) -> tuple[list[Cells], list[Cells]]:
    """A subject whose visits could not be compared is a line that says so."""
    line = {"subject": group[0].subject, "prior_visit": group[0].visit, "visit": group[-1].visit}
    why = f"failed: unexpected {type(error).__name__}"
    return [{**line, "code": "edema_volume", "verdict": "not assessable", "reasons": why}], []


def _agreement(studies: Sequence[Cells], reader: Mapping[tuple[str, str], float], out: Path) -> dict[str, Any]:
    """Bias and limits against the reader; nothing where too few have a volume. A visit of two joints is ambiguous."""
    joints = Counter((s["subject"], s["visit"]) for s in studies)
    ours = {
        (s["subject"], s["visit"]): s["edema_volume_cm3"]
        for s in studies
        if s.get("edema_volume_cm3") is not None and joints[s["subject"], s["visit"]] == 1
    }
    if len(ours.keys() & reader.keys()) < FEWEST_SHARED:
        (out / "bland_altman.svg").unlink(missing_ok=True)
        return {}
    plot, figures = bland_altman(ours, dict(reader))
    (out / "bland_altman.svg").write_text(plot, encoding="utf-8")
    return figures
