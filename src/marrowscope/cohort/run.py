"""Every row of a cohort on a Dask cluster: resumed, bounded, one bad study never stopping the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowscope.assessing import AssessRequest, assess_to
from marrowscope.cohort.fingerprint import fingerprint
from marrowscope.cohort.manifest import Row
from marrowscope.errors import ExitCode, MarrowscopeError, MissingExtraError
from marrowscope.progress import Progress, silent

if TYPE_CHECKING:
    from distributed import Client

MEMORY_A_WORKER = "3GiB"
"""A worker over this is restarted by Dask's nanny; one study needs about half."""

STATE = "state"
STUDIES = "studies"


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes:
        name: the row's folder. status: ``done``, ``partly_not_assessable``, ``refused``, ``failed``.
        reason: why, for the last three. fingerprint: what it was made from. reused: nothing had changed.
    """

    name: str
    status: str
    reason: str
    fingerprint: str
    reused: bool = False


def run_cohort(
    rows: tuple[Row, ...], out: Path, workers: int = 1, scheduler: str = "", progress: Progress = silent
) -> tuple[Outcome, ...]:
    """Assess every row below ``out/studies``; rows whose inputs, settings and models are unchanged are kept.

    Args:
        rows: those that are to run. out: the cohort's folder. workers: processes of the local cluster.
        scheduler: address of a running Dask scheduler instead; it must see the same paths.
        progress: told of every finished study.

    Raises:
        MissingExtraError: the ``cohort`` extra is not installed.
    """
    (out / STATE).mkdir(parents=True, exist_ok=True)
    kept: dict[str, Outcome] = {}
    open_rows = []
    for row in rows:
        earlier = _earlier(row, out)
        if earlier is not None:
            kept[row.name] = earlier
        else:
            open_rows.append(row)
    progress("studies", len(kept), len(rows))
    if open_rows:
        with _client(workers, scheduler) as client:
            for outcome in _results(client, open_rows, out):
                _remember(outcome, out)
                kept[outcome.name] = outcome
                progress("studies", len(kept), len(rows))
    return tuple(kept[row.name] for row in rows)


def assess_row(row: Row, out: str) -> Outcome:
    """One row, in a worker: models stay loaded between rows because the process does."""
    mark = fingerprint(row)
    folder = Path(out) / STUDIES / row.name
    request = AssessRequest(study=row.study, site=row.site, side=row.side, bones=row.bones, intake=row.intake)
    try:
        code = assess_to(request, folder)
    except MarrowscopeError as error:
        status = "refused" if error.exit_code in (ExitCode.REFUSED, ExitCode.USAGE) else "failed"
        return Outcome(row.name, status, error.message, mark)
    return Outcome(row.name, "done" if code is ExitCode.DONE else "partly_not_assessable", "", mark)


def _results(client: Client, rows: list[Row], out: Path) -> Iterator[Outcome]:
    """Outcomes as they come; a worker that died or an unexpected error is an outcome too."""
    from distributed import as_completed

    futures = {client.submit(assess_row, row, str(out), key=f"marrowscope-{row.name}", pure=False): row for row in rows}
    for future in as_completed(futures):
        row = futures[future]
        error = future.exception()
        if error is None:
            yield future.result()
        else:  # the type alone: an unexpected message may hold a patient's name
            yield Outcome(row.name, "failed", f"unexpected {type(error).__name__}", "")
        future.release()


def _earlier(row: Row, out: Path) -> Outcome | None:
    """The outcome of an earlier run, if its result is whole and nothing it was made from has changed."""
    state = out / STATE / f"{row.name}.json"
    if not state.is_file():
        return None
    data: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    whole = data["status"] in ("refused", "failed") or (out / STUDIES / row.name / "run.json").is_file()
    if data["status"] == "failed" or not whole or data["fingerprint"] != fingerprint(row):
        return None
    return Outcome(row.name, data["status"], data["reason"], data["fingerprint"], reused=True)


def _remember(outcome: Outcome, out: Path) -> None:
    target = out / STATE / f"{outcome.name}.json"
    data = {"status": outcome.status, "reason": outcome.reason, "fingerprint": outcome.fingerprint}
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(data, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(target)


@contextmanager
def _client(workers: int, scheduler: str) -> Iterator[Client]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError(
            "the cohort extra is not installed", "Dask and polars", "pip install 'marrowscope[cohort]'"
        ) from error
    if scheduler:
        with Client(scheduler) as client:
            yield client
        return
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=MEMORY_A_WORKER,
        dashboard_address=None,
        host="127.0.0.1",
    )
    with cluster, Client(cluster) as client:
        yield client
