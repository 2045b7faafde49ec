"""Every row of a cohort on a Dask cluster: looked at, resumed, bounded, one bad study never stopping the rest."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.assessing import AssessRequest, assess_to
from marrowscope.cohort.cluster import spread
from marrowscope.cohort.fingerprint import fingerprint
from marrowscope.cohort.look import Look, look
from marrowscope.cohort.manifest import Row
from marrowscope.errors import ExitCode, MarrowscopeError
from marrowscope.progress import Progress, silent
from marrowscope.results import RUN, read_results

if TYPE_CHECKING:
    from distributed import Client

ASSESSED = ("done", "partly_not_assessable")
"""Statuses of rows that have a whole results folder."""

STATE = "state"
STUDIES = "studies"

KB_A_MB = 1024


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes:
        name: the row's folder. status: ``done``, ``partly_not_assessable``, ``refused``, ``failed``.
        reason: why, for the last three. fingerprint: what it was made from. reused: nothing had changed.
        seconds: wall-clock time in the worker. peak_mb: the worker's largest resident memory so far.
    """

    name: str
    status: str
    reason: str
    fingerprint: str
    reused: bool = False
    seconds: float = 0.0
    peak_mb: float = 0.0


def look_at(
    client: Client,
    rows: Sequence[Row],
    out: Path,
    read: bool = True,
    progress: Progress = silent,
    light: bool = False,
) -> tuple[dict[str, Look], dict[str, Outcome]]:
    """Every row before anything runs: what it will come to, and what an earlier run has left to keep.

    Args:
        rows: those that the manifest lets run. out: the cohort's folder. read: also read the studies that will run.
        light: whether results without renderings are wanted.

    Returns:
        Looks by row name, and outcomes of earlier runs that still hold.
    """
    looks: dict[str, Look] = {}
    kept: dict[str, Outcome] = {}
    progress("looking", 0, len(rows))
    for row, found in spread(client, partial(look_at_row, out=str(out), read=read, light=light), rows, "look"):
        if isinstance(found, BaseException):  # the type alone: an unexpected message may hold a patient's name
            looks[row.name] = Look(refused=f"would fail: unexpected {type(found).__name__} while reading")
        else:
            seen, outcome = found
            if seen is not None:
                looks[row.name] = seen
            if outcome is not None:
                kept[row.name] = outcome
        progress("looking", len(looks), len(rows))
    return looks, kept


def look_at_row(row: Row, out: str, read: bool, light: bool = False) -> tuple[Look | None, Outcome | None]:
    """One row, in a worker: an earlier result that still holds, else what reading its study tells."""
    earlier = _earlier(row, Path(out), light)
    if earlier is None:
        return (look(row) if read else None), None
    folder = Path(out) / STUDIES / row.name
    if not (folder / RUN).is_file():
        return None, earlier
    return Look.of_result(read_results(folder).assessment), earlier


def run_rows(
    client: Client,
    rows: Sequence[Row],
    out: Path,
    done: Callable[[Outcome], None] = lambda _outcome: None,
    light: bool = False,
) -> Mapping[str, Outcome]:
    """Assess rows below ``out/studies``, each remembered as soon as it is finished.

    Args:
        rows: those that are to run. out: the cohort's folder; every worker must see it. done: told of each outcome.
        light: leave the renderings out.
    """
    (out / STATE).mkdir(parents=True, exist_ok=True)
    found = {}
    for row, result in spread(client, partial(assess_row, out=str(out), light=light), rows, "assess"):
        if isinstance(result, BaseException):  # the type alone: an unexpected message may hold a patient's name
            outcome = Outcome(row.name, "failed", f"unexpected {type(result).__name__}", "")
        else:
            outcome = result
        _remember(outcome, out)
        found[row.name] = outcome
        done(outcome)
    return found


def assess_row(row: Row, out: str, light: bool = False) -> Outcome:
    """One row, in a worker: models stay loaded between rows because the process does."""
    started = time.perf_counter()
    mark = fingerprint(row, light)
    folder = Path(out) / STUDIES / row.name
    for left in folder.parent.glob(f".{row.name}.*"):  # what a killed run wrote aside
        shutil.rmtree(left, ignore_errors=True)
    request = AssessRequest(
        study=row.study, site=row.site, side=row.side, bones=row.bones, intake=row.intake, light=light
    )
    status, reason = "done", ""
    try:
        if assess_to(request, folder) is not ExitCode.DONE:
            status = "partly_not_assessable"
    except MarrowscopeError as error:
        status = "refused" if error.exit_code in (ExitCode.REFUSED, ExitCode.USAGE) else "failed"
        reason = error.message
    return Outcome(row.name, status, reason, mark, False, round(time.perf_counter() - started, 3), _peak_mb())


def _peak_mb() -> float:
    """Largest resident memory of this process so far in MiB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / KB_A_MB / (KB_A_MB if sys.platform == "darwin" else 1), 1)


def _earlier(row: Row, out: Path, light: bool = False) -> Outcome | None:
    """The outcome of an earlier run, if its result is whole and nothing it was made from has changed."""
    data = remembered(row, out)
    if data is None or data["status"] == "failed":
        return None
    whole = data["status"] == "refused" or (out / STUDIES / row.name / RUN).is_file()
    if not whole or data["fingerprint"] != fingerprint(row, light):
        return None
    return Outcome(row.name, data["status"], data["reason"], data["fingerprint"], reused=True)


def remembered(row: Row, out: Path) -> dict[str, Any] | None:
    """What an earlier run wrote down of a row."""
    state = out / STATE / f"{row.name}.json"
    if not state.is_file():
        return None
    data: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    return data


def _remember(outcome: Outcome, out: Path) -> None:
    target = out / STATE / f"{outcome.name}.json"
    names = ("status", "reason", "fingerprint", "seconds", "peak_mb")
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps({n: getattr(outcome, n) for n in names}, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(target)


def forget(rows: Sequence[Row], out: Path) -> None:
    """Remove what earlier runs made of these rows, so that they are done again."""
    for row in rows:
        shutil.rmtree(out / STUDIES / row.name, ignore_errors=True)
        (out / STATE / f"{row.name}.json").unlink(missing_ok=True)
