"""``marrowscope cohort``: many studies at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from marrowscope.cohort.manifest import Fate


def cohort(
    manifest: Annotated[Path, typer.Argument(help="CSV (subject, visit, study, ...), or a BIDS / MIDS folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; run again to resume.")] = Path("cohort"),
    workers: Annotated[int, typer.Option(help="Worker processes on this machine.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a running Dask scheduler, tcp://...")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; run nothing.")] = False,
    only: Annotated[Path | None, typer.Option(help="failures.csv of the gallery: run these again.")] = None,
    reader: Annotated[Path | None, typer.Option(help="A second reader's CSV: subject, visit, volume_cm3.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Assess many studies: tables, change, gallery, methods. One bad study never stops the rest."""
    from marrowscope.cohort.gallery import only_failures
    from marrowscope.cohort.job import cohort_to, forget
    from marrowscope.cohort.manifest import fates, read_manifest
    from marrowscope.errors import ExitCode

    found = fates(read_manifest(manifest))
    if dry_run:
        _preview(found, workers)
        return
    _say_fates(found)
    if only is not None:
        forget(only_failures(tuple(f.row for f in found), only), out)
    from marrowscope.commands.progress import progress_of

    with progress_of(quiet, False) as progress:
        outcomes = cohort_to(found, out, workers, scheduler, reader, progress)
    bad = [o for o in outcomes if o.status in ("refused", "failed")]
    for outcome in bad:
        typer.echo(f"{outcome.status}: {outcome.name}: {outcome.reason}", err=True)
    typer.echo(f"{len(outcomes) - len(bad)} of {len(outcomes)} studies assessed; tables and gallery in {out}")
    raise typer.Exit(int(ExitCode.PARTLY_NOT_ASSESSABLE if bad else ExitCode.DONE))


def _say_fates(found: tuple[Fate, ...]) -> None:
    for fate in found:
        if fate.reasons:
            verdict = "runs" if fate.runs else "does not run"
            where = f"line {fate.row.line}: " if fate.row.line else ""
            typer.echo(f"{where}{fate.row.subject} {fate.row.visit}: {verdict}: {'; '.join(fate.reasons)}", err=True)


def _preview(found: tuple[Fate, ...], workers: int) -> None:
    from marrowscope.cohort.preview import preview

    seen = preview(found)
    for fate in seen.fates:
        words = "; ".join(fate.reasons) or seen.classes.get(fate.row.name, "")
        typer.echo(f"{fate.row.subject}\t{fate.row.visit}\t{'runs' if fate.runs else 'does not run'}\t{words}")
    running = sum(f.runs for f in seen.fates)
    minutes = seen.seconds / max(1, workers) / 60
    typer.echo(
        f"{running} of {len(seen.fates)} would run: about {minutes:.0f} min on {workers} worker(s), {seen.gib} GiB each"
    )
