"""``marrowscope edit``: a reader's corrections of a result, numbers recomputed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marrowscope.errors import UsageError

if TYPE_CHECKING:
    from marrowscope.assessment import Assessment
    from marrowscope.lesion.edits import Edit
    from marrowscope.lesion.types import Objects

Labels = Annotated[list[int] | None, typer.Option(metavar="N", help="Number of a lesion; repeat for more.")]


def edit(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A results folder made from images.")],
    study: Annotated[Path, typer.Option(help="The study it was made from.")],
    by: Annotated[str, typer.Option(help="Who corrects; kept with every edit.")],
    lesions: Annotated[Path | None, typer.Option(metavar="SEG.dcm", help="Lesions as corrected: a DICOM SEG.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these segments of it are lesions; repeatable.")
    ] = None,
    accept: Labels = None,
    reject: Labels = None,
    cell: Annotated[
        list[str] | None, typer.Option(metavar="SCORE/CELL=GRADE", help="A reader's grade; repeatable.")
    ] = None,
    prior: Annotated[
        Path | None, typer.Option(help="Results folder of the earlier visit, when it was compared.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Correct a result: the edits are appended to its list, everything is computed anew, the version before is kept."""
    from marrowscope.commands.progress import progress_of
    from marrowscope.editing import edit_results

    if not by.strip():
        raise UsageError("a correction without a name", "who corrects", "give --by NAME")
    notes: list[str] = []

    def make(objects: Objects) -> tuple[Edit, ...]:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return (
            *_drawn(objects, lesions, tuple(segment or ()), by.strip(), at, notes),
            *_given(by.strip(), at, accept or [], reject or [], cell or []),
        )

    with progress_of(quiet, False) as progress:
        done = edit_results(results, study, make, prior, progress)
    for note in notes:
        typer.echo(f"note: {note}")
    added = len(done.after.edits) - len(done.before.edits)
    typer.echo(f"{added} edits; edema {_volume(done.before)} -> {_volume(done.after)}; {done.after.status.value}")


def _drawn(
    objects: Objects, lesions: Path | None, names: tuple[str, ...], by: str, at: str, notes: list[str]
) -> tuple[Edit, ...]:
    if lesions is None:
        if names:
            raise UsageError("--segment without --lesions", "the SEG that holds it")
        return ()
    from marrowscope.lesion.from_seg import lesion_edits
    from marrowscope.study.segmentation import read_segmentation

    drawn = lesion_edits(objects, read_segmentation(lesions), by, at, names)
    notes.extend(drawn.notes)
    return drawn.edits


def _given(by: str, at: str, accept: list[int], reject: list[int], cells: list[str]) -> tuple[Edit, ...]:
    from marrowscope.lesion.edits import Edit, EditKind

    verdicts = [Edit(EditKind.ACCEPT, by, at, n) for n in accept] + [Edit(EditKind.REJECT, by, at, n) for n in reject]
    return (*verdicts, *(_cell(by, at, text) for text in cells))


def _cell(by: str, at: str, text: str) -> Edit:
    from marrowscope.lesion.edits import Edit, EditKind

    target, equals, grade = text.partition("=")
    try:
        value = float(grade)
    except ValueError as error:
        raise UsageError(f"--cell {text}", "SCORE/CELL=GRADE", "e.g. moaks_bml/patella_medial.size=2") from error
    if not equals or "/" not in target:
        raise UsageError(f"--cell {text}", "SCORE/CELL=GRADE", "e.g. moaks_bml/patella_medial.size=2")
    return Edit(EditKind.SET_CELL, by, at, target=target, value=value)


def _volume(assessment: Assessment) -> str:
    total = assessment.total("edema_volume")
    return "not assessable" if total is None or total.value is None else f"{total.value:.3f} {total.unit}"
