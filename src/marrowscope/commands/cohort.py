"""``marrowscope cohort``: many studies at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from marrowscope.cohort.job import CohortRequest
    from marrowscope.cohort.manifest import Fate
    from marrowscope.cohort.run import Outcome


def cohort(
    manifest: Annotated[Path, typer.Argument(help="CSV (subject, visit, study, ...), or a BIDS / MIDS folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; run again to resume.")] = Path("cohort"),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes on this machine.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a running Dask scheduler, tcp://...")] = "",
    site: Annotated[str, typer.Option(help="Site of rows that state none, e.g. knee.")] = "",
    side: Annotated[str, typer.Option(help="Side of rows that state none.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; run nothing.")] = False,
    look: Annotated[bool, typer.Option("--look/--no-look", help="Read every study first, to say its fate.")] = True,
    only: Annotated[Path | None, typer.Option(help="failures.csv of the gallery: run these again.")] = None,
    reader: Annotated[Path | None, typer.Option(help="A second reader's CSV: subject, visit, volume_cm3.")] = None,
    light: Annotated[bool, typer.Option("--light", help="No page, PDF, leaflet, FHIR, DICOM: faster.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Assess many studies: tables, change, gallery, methods. One bad study never stops the rest.

    Every row's fate is said before anything runs. Exit code: 0 done, 2 wrong usage, 4 some studies refused or failed.
    """
    from marrowscope.cohort.gallery import only_failures
    from marrowscope.cohort.job import CohortRequest
    from marrowscope.cohort.manifest import fates, read_manifest

    rows = read_manifest(manifest, site, side)
    chosen = only_failures(rows, only) if only is not None else None
    request = CohortRequest(out, workers, scheduler, reader, look, chosen, light)
    found = fates(rows)
    if dry_run:
        _preview(found, request)
    else:
        _check_folder(out)
        _run(found, request, quiet)


def _check_folder(out: Path) -> None:
    """Refuse the results folder of one study: the cohort's tables would take the place of its own.

    Raises:
        UsageError: it is one, or nothing can be written there.
    """
    from marrowscope.results import check_no_results, check_place

    check_place(out / "studies")
    check_no_results(out)


def _run(found: Sequence[Fate], request: CohortRequest, quiet: bool) -> None:
    from marrowscope.cohort.estimate import spoken
    from marrowscope.cohort.job import cohort_to
    from marrowscope.errors import ExitCode

    def tell(outcome: Outcome, done: int, every: int, left: float | None) -> None:
        if not quiet:
            time_left = f", about {spoken(left)} left" if left is not None and done < every else ""
            typer.echo(f"{done} of {every}{time_left}: {outcome.name}: {outcome.status}", err=True)

    outcomes = cohort_to(found, request, _say, tell)
    bad = [o for o in outcomes if o.status in ("refused", "failed")]
    for outcome in bad:
        typer.echo(f"{outcome.status}: {outcome.name}: {outcome.reason}", err=True)
    reused = sum(o.reused for o in outcomes)
    good = sum(o.status in ("done", "partly_not_assessable") for o in outcomes)
    kept = f" ({reused} kept from before)" if reused else ""
    typer.echo(f"{good} of {len(outcomes)} studies assessed{kept}; tables and gallery in {request.out}")
    raise typer.Exit(int(ExitCode.PARTLY_NOT_ASSESSABLE if bad else ExitCode.DONE))


def _say(found: Sequence[Fate], kept: Mapping[str, Outcome]) -> None:
    """Rows with something to say, then how many run."""
    for fate in found:
        if fate.reasons:
            typer.echo(_line(fate), err=True)
    running = sum(f.runs and f.row.name not in kept for f in found)
    typer.echo(f"{running} of {len(found)} studies run, {len(kept)} kept from before", err=True)


def _line(fate: Fate) -> str:
    where = f"line {fate.row.line}: " if fate.row.line else ""
    verdict = "runs" if fate.runs else "does not run"
    words = f": {'; '.join(fate.reasons)}" if fate.reasons else ""
    return f"{where}{fate.row.subject} {fate.row.visit}: {verdict}{words}"


def _preview(found: Sequence[Fate], request: CohortRequest) -> None:
    from marrowscope.cohort.estimate import estimate, spoken
    from marrowscope.cohort.job import look_over
    from marrowscope.cohort.run import remembered

    seen = look_over(found, request)
    for fate in seen:
        typer.echo(_line(fate))
    running = [f.row for f in seen if f.runs and not remembered(f.row, request.out)]
    cost = estimate([f.row for f in seen], request.out)
    basis = f"{cost.studies} finished studies of this cohort" if cost.studies else "the product's bounds"
    typer.echo(
        f"{sum(f.runs for f in seen)} of {len(seen)} would run, {len(running)} of them new: about "
        f"{spoken(60 * cost.minutes(len(running), request.workers))} on {request.workers} worker(s), "
        f"{cost.peak_mb:.0f} MB each (by {basis})"
    )
