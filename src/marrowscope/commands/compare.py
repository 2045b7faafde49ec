"""``marrowscope compare``: two or more visits of one joint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    visits: Annotated[
        list[Path], typer.Argument(help="PRIOR CURRENT, oldest first: results folders, or studies to be assessed.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("comparison"),
    site: Annotated[str, typer.Option(help="knee, si_joint, other... for studies that do not tell.")] = "",
    side: Annotated[str, typer.Option(help="left or right, for studies that do not tell.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Compare visits: what grew, shrank, came or went, against the smallest detectable change.

    Exit code: 0 done, 2 wrong usage, 3 refused, 4 not comparable (the reason is said and in the report).
    """
    from marrowscope.commands.progress import progress_of
    from marrowscope.comparing import compare_to
    from marrowscope.errors import ExitCode

    with progress_of(quiet, False) as progress:
        change = compare_to(visits, out, site, side, progress)
    typer.echo(change["summary"])
    typer.echo(f"report: {out / 'index.html'}")
    raise typer.Exit(int(ExitCode.DONE if change["comparable"] else ExitCode.PARTLY_NOT_ASSESSABLE))
