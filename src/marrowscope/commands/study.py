"""``inspect`` and ``deidentify``: thin commands over the room ``study``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marrowscope.measurement import Severity

if TYPE_CHECKING:
    from rich.table import Table

    from marrowscope.study import Series, Study

_SHOWN = (Severity.NOTE, Severity.WARNING, Severity.REFUSE)


def inspect(
    study: Annotated[Path, typer.Argument(help="Folder, zip or file of the study.")],
    series: Annotated[list[str] | None, typer.Option("--series", help="ROLE=FILE for NIfTI, repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON on stdout.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one page too, radiographs shown; it needs no network.")
    ] = None,
) -> None:
    """Say what a study holds, series by series: role, reasons, quality, and what was refused and why.

    Exit code: 0 something was read, 2 wrong usage, 3 nothing could be read.
    """
    from marrowscope.commands.assess import series_files
    from marrowscope.errors import ExitCode
    from marrowscope.study import read_study
    from marrowscope.study.describe import describe

    files = {role: Path(name) for role, name in series_files(series or []).items()}
    read = read_study(study, series=files or None)
    if as_json:
        typer.echo(json.dumps(describe(read), indent=2, ensure_ascii=False))
    else:
        _show(read)
    if html is not None:
        from marrowscope.report.inspection import render_inspection

        html.write_text(render_inspection(read), encoding="utf-8", newline="\n")
    raise typer.Exit(int(ExitCode.DONE if read.series or read.radiographs else ExitCode.REFUSED))


def _show(study: Study) -> None:
    from rich.console import Console
    from rich.markup import escape

    from marrowscope.study.choose import explain_choice

    console = Console(highlight=False, soft_wrap=True)
    if study.series or study.radiographs:
        console.print(_table(study))
    if choice := explain_choice(study):
        console.print(escape(f"choice: {choice}"))
    for title, guess in (("site", study.site), ("side", study.side)):
        told = guess.value or (f"ask: {' or '.join(guess.candidates)}" if guess.candidates else "ask: not told")
        why = "; ".join(dict.fromkeys(reason.text for reason in guess.reasons))
        console.print(escape(f"{title}: {told}" + (f" ({why})" if why else "")))
    for one in study.series:
        console.print(escape(f"series {_name(one)}: {'; '.join(reason.text for reason in one.reasons)}"))
        for check in one.qc:
            if check.severity in _SHOWN:
                slices = f", slices {_ranges(check.slices)}" if check.slices else ""
                consequence = f": {check.consequence}" if check.consequence else ""
                line = f"  {check.severity}: {check.code}: {check.message}{consequence}{slices}"
                console.print(escape(line))
    for refusal in study.refusals:
        count = f" ({refusal.count} files)" if refusal.count > 1 else ""
        console.print(escape(f"refused {refusal.what}{count}: {refusal.code}: {refusal.reason}"))


def _table(study: Study) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("series", "description", "role", "class", "plane", "voxels", "mm"):
        table.add_column(heading, no_wrap=heading != "description", overflow="fold")
    fluid = study.fluid
    for one in study.series:
        chosen = " *" if fluid is not None and one.uid == fluid.uid else ""
        table.add_row(
            _name(one) + chosen,
            escape(one.description),
            one.role.value,
            one.sequence_class.value,
            one.plane,
            "x".join(str(n) for n in one.volume.shape),
            "x".join(f"{step:.2f}" for step in one.volume.spacing),
        )
    for radiograph in study.radiographs:
        number = "-" if radiograph.number is None else str(radiograph.number)
        size = f"{radiograph.columns}x{radiograph.rows}"
        table.add_row(number, escape(radiograph.description), radiograph.role.value, "", radiograph.view, size, "")
    table.caption = "* lesions are sized on this series" if fluid is not None else "no usable fluid-sensitive series"
    return table


def _name(series: Series) -> str:
    part = f".{series.uid.rsplit('/', 1)[1]}" if "/" in series.uid and series.number is not None else ""
    return f"{series.number}{part}" if series.number is not None else series.uid


def _ranges(indices: tuple[int, ...]) -> str:
    """1-based slice numbers, runs joined: ``1-3, 7``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(str(a + 1) if a == b else f"{a + 1}-{b + 1}" for a, b in runs)


def deidentify(
    study: Annotated[Path, typer.Argument(help="Folder, zip or file of the study.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the copy.")],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Secret; the same key maps the same UIDs again. Else a new one.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="characteristics, device or shifted_dates; repeated.")
    ] = None,
    accept_burned_in: Annotated[
        bool, typer.Option("--accept-burned-in", help="Copy images with burned-in text.")
    ] = False,
) -> None:
    """Write a de-identified copy of a study: PS3.15 Basic Profile, only what is known to be harmless is kept.

    Exit code: 0 done, 2 wrong usage, 3 nothing could be copied.
    """
    import secrets

    from marrowscope.errors import UsageError
    from marrowscope.results import check_place
    from marrowscope.study.deidentify import Deidentification, deidentify_study

    check_place(out)
    if key_file is not None and not key_file.is_file():
        raise UsageError(f"no key file {key_file.name}", "a file holding a secret", "omit --key-file for a new secret")
    key = key_file.read_bytes() if key_file is not None else secrets.token_bytes(32)
    report = deidentify_study(study, out, Deidentification(key, frozenset(keep or ()), accept_burned_in))
    typer.echo(f"{report.written} images written to {out}; what was done is in {out / 'deidentification.json'}")
    for entry in report.to_dict()["refused"]:
        typer.echo(f"not copied ({entry['count']}): {entry['code']}: {entry['reason']}", err=True)
    if key_file is None:
        typer.echo("UIDs were mapped with a secret that is now forgotten; use --key-file to map a second study alike")
