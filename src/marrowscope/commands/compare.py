"""``marrowscope compare``: two or more visits of one joint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SamePatient = Annotated[
    bool, typer.Option("--same-patient", help="The visits are of one patient, whatever their headers say.")
]


def compare(
    visits: Annotated[
        list[Path], typer.Argument(help="PRIOR CURRENT, oldest first: results folders, or studies to be assessed.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("comparison"),
    site: Annotated[str, typer.Option(help="knee, si_joint, other... for studies that do not tell.")] = "",
    side: Annotated[str, typer.Option(help="left or right, for studies that do not tell.")] = "",
    same_patient: SamePatient = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Compare visits: what grew, shrank, came or went, against the smallest detectable change.

    Exit code: 0 done, 2 wrong usage, 3 refused, 4 not comparable (the reason is said and in the report).
    """
    from marrowscope.commands.progress import progress_of
    from marrowscope.comparing import compare_to
    from marrowscope.errors import ExitCode

    with progress_of(quiet, False) as progress:
        change = compare_to(visits, out, site, side, progress, same_patient)
    typer.echo(change["summary"])
    tell_limits(change)
    typer.echo(f"report: {out / 'index.html'}")
    raise typer.Exit(int(ExitCode.DONE if change["comparable"] else ExitCode.PARTLY_NOT_ASSESSABLE))


def tell_limits(change: Mapping[str, Any]) -> None:
    """Say on the screen too what weakens a comparison; why one was not made stands in its summary."""
    for reason in change["reasons"] if change["comparable"] else ():
        typer.echo(f"note: {reason}", err=True)
