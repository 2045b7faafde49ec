"""``marrowscope assess`` and ``marrowscope demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from marrowscope.commands.compare import SamePatient, tell_limits
from marrowscope.errors import NoFluidSeriesError, UsageError

DEMO_SEED = 7
"""The simulated knee of the two-minute tour."""

FOREIGN = ("another_patient", "another_study")
"""Refusals that mean that the folder held more than the one exam that was assessed."""

SeriesOption = Annotated[
    list[str] | None, typer.Option("--series", metavar="ROLE=FILE", help="NIfTI of a role, e.g. fluid=stir.nii.gz.")
]


def assess(
    study: Annotated[Path | None, typer.Argument(help="Folder, zip or file of the study (omit with --series).")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results folder to write.")] = Path("results"),
    site: Annotated[str | None, typer.Option(help="knee, si_joint, other... when the study does not tell.")] = None,
    side: Annotated[str | None, typer.Option(help="left or right, when the study does not tell.")] = None,
    series: SeriesOption = None,
    bones: Annotated[Path | None, typer.Option(help="Mask of the marrow to search (NIfTI or DICOM SEG).")] = None,
    intake: Annotated[Path | None, typer.Option(help="Intake file: history, symptoms, labs, readings.")] = None,
    prior: Annotated[Path | None, typer.Option(help="An earlier visit: results folder or study.")] = None,
    same_patient: SamePatient = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    json_progress: Annotated[bool, typer.Option("--json-progress", help="Progress as JSON lines on stderr.")] = False,
) -> None:
    """Find, measure and explain the edema in one study; write a results folder.

    Exit code: 0 done, 2 wrong usage, 3 refused (an inspection is still written), 4 done but some parts not
    assessable (listed), 5 internal error.
    """
    from marrowscope.assessing import AssessRequest, assess_to
    from marrowscope.commands.progress import progress_of

    request = AssessRequest(
        study=str(study or ""),
        series=series_files(series or []),
        site=site or "",
        side=side or "",
        bones=str(bones or ""),
        intake=str(intake or ""),
        prior=str(prior or ""),
        same_patient=same_patient,
    )
    try:
        with progress_of(quiet, json_progress) as progress:
            code = assess_to(request, out, progress)
    except NoFluidSeriesError:
        typer.echo(f"refused; what was read is in {out / 'index.html'}", err=True)
        raise
    tell_foreign(out)
    tell_change(out)
    typer.echo(f"report: {out / 'index.html'}")
    raise typer.Exit(int(code))


def tell_foreign(out: Path) -> None:
    """Say on the screen too that images of another patient or study lay in the folder and were left out."""
    from marrowscope.results import read_results

    for refusal in read_results(out).assessment.refusals:
        if refusal.code in FOREIGN:
            typer.echo(f"note: left out: {refusal.what}: {refusal.reason}", err=True)


def tell_change(out: Path) -> None:
    """What changed since the earlier visit, or why that is not known, on the screen; nothing without one."""
    from marrowscope.results import read_results

    change = read_results(out).assessment.change
    if change is not None:
        typer.echo(change["summary"])
        tell_limits(change)


def series_files(pairs: list[str]) -> dict[str, str]:
    """``ROLE=FILE`` pairs as a mapping.

    Raises:
        UsageError: a pair without ``=``, or a role given twice.
    """
    files: dict[str, str] = {}
    for pair in pairs:
        role, equals, name = pair.partition("=")
        if not equals or not role or not name:
            raise UsageError(f"--series {pair}", "ROLE=FILE", "e.g. --series fluid=stir.nii.gz")
        if role in files:
            raise UsageError(f"role {role} given twice", "one file a role")
        files[role] = name
    return files


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for study, truth and report.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Which simulated knee.")] = DEMO_SEED,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Simulate a knee study with known truth, assess it, say where the report is."""
    from marrowscope.assessing import AssessRequest, assess_to
    from marrowscope.commands.progress import progress_of
    from marrowscope.commands.simulate import simulate_to

    with progress_of(quiet, False) as progress:
        progress("simulating", 0, 1)
        study = simulate_to(out, seed)
        progress("simulating", 1, 1)
        assess_to(AssessRequest(study=str(study), site="knee"), out / "results", progress)
    typer.echo(f"study:  {study}\nreport: {out / 'results' / 'index.html'}")
