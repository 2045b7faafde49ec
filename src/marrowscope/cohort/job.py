"""The whole cohort: fates, runs, tables, gallery, plots, methods."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from marrowscope.cohort.gallery import write_gallery
from marrowscope.cohort.manifest import Fate, Row
from marrowscope.cohort.methods import methods_paragraph
from marrowscope.cohort.plots import bland_altman, read_reader_table, volume_by_visit
from marrowscope.cohort.run import STUDIES, Outcome, run_cohort
from marrowscope.cohort.tables import CHANGES, TIDY, WIDE, changes, done_rows, tidy, wide, write_dictionary, write_table
from marrowscope.progress import Progress, silent


def cohort_to(
    found: tuple[Fate, ...],
    out: Path,
    workers: int = 1,
    scheduler: str = "",
    reader: Path | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Run every row that runs and write all tables; rows that do not run are in ``studies`` with their reasons.

    Raises:
        UsageError, MissingExtraError: see the parts.
    """
    table = read_reader_table(reader) if reader is not None else None
    out.mkdir(parents=True, exist_ok=True)
    running = tuple(f.row for f in found if f.runs)
    outcomes = run_cohort(running, out, workers, scheduler, progress)
    stopped = {f.row.line: Outcome(f.row.name, "refused", "; ".join(f.reasons), "") for f in found if not f.runs}
    by_name = {o.name: o for o in outcomes}
    every = tuple(by_name[f.row.name] if f.runs else stopped[f.row.line] for f in found)
    write_outputs(tuple(f.row for f in found), every, running, out, table)
    return every


def write_outputs(
    rows: tuple[Row, ...],
    outcomes: tuple[Outcome, ...],
    running: tuple[Row, ...],
    out: Path,
    reader: dict[tuple[str, str], float] | None = None,
) -> None:
    """Tables (CSV and Parquet), data dictionary, gallery, plots and methods from the results folders."""
    done = done_rows(running, out)
    studies = wide(rows, outcomes, done)
    write_table(tidy(done), TIDY, out / "measurements")
    write_table(studies, WIDE, out / "studies")
    write_table(changes(done), CHANGES, out / "changes")
    write_dictionary(out)
    write_gallery(rows, outcomes, out)
    (out / "volume_by_visit.svg").write_text(volume_by_visit(studies), encoding="utf-8")
    (out / "methods.txt").write_text(methods_paragraph(outcomes, done), encoding="utf-8")
    if reader is not None:
        ours = {
            (s["subject"], s["visit"]): s["edema_volume_cm3"] for s in studies if s.get("edema_volume_cm3") is not None
        }
        plot, _ = bland_altman(ours, reader)
        (out / "bland_altman.svg").write_text(plot, encoding="utf-8")


def forget(rows: tuple[Row, ...], out: Path) -> None:
    """Remove what earlier runs made of these rows, so that they are done again."""
    for row in rows:
        shutil.rmtree(out / STUDIES / row.name, ignore_errors=True)
        (out / "state" / f"{row.name}.json").unlink(missing_ok=True)


class TimeLeft:
    """Seconds left, from the pace so far."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> float | None:
        """None until a study has been finished in this run."""
        if self._first is None:
            self._first = done
        finished = done - self._first
        if finished <= 0:
            return None
        return (time.monotonic() - self._start) / finished * (total - done)
