"""``marrowscope compare``: two visits of one joint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    prior: Annotated[Path, typer.Argument(help="Results folder of the earlier visit.")],
    current: Annotated[Path, typer.Argument(help="Results folder of the later visit.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("comparison"),
) -> None:
    """Compare two visits: what grew, shrank, came or went, against the smallest detectable change."""
    from marrowscope.comparing import compare_to
    from marrowscope.errors import ExitCode

    change = compare_to(prior, current, out)
    typer.echo(change.summary)
    typer.echo(f"report: {out / 'index.html'}")
    raise typer.Exit(int(ExitCode.DONE if change.comparable else ExitCode.PARTLY_NOT_ASSESSABLE))
