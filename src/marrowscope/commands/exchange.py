"""``marrowscope export`` and ``marrowscope release``: results out, in the standards others read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="A results folder.")]


def export(
    results: Folder,
    to: Annotated[str, typer.Option("--to", help="Comma-separated: seg, sr, pdf, ko, pr, fhir.")] = "seg,sr",
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the files.")] = Path("exported"),
) -> None:
    """Write DICOM objects and FHIR of a result, also after edits and release."""
    from marrowscope.exporting import export_results

    for path in export_results(results, tuple(k.strip() for k in to.split(",") if k.strip()), out):
        typer.echo(str(path))


def release(
    results: Folder,
    by: Annotated[str, typer.Option("--by", help="Name of the clinician who signs.")],
) -> None:
    """Sign a result: from then on differential, checks, report and leaflet may leave."""
    from marrowscope.results import release as sign

    signed = sign(results, by, datetime.now(UTC).isoformat(timespec="seconds"))
    typer.echo(f"{results.name}: {signed.status.value}")
