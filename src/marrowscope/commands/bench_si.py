"""``marrowscope bench si-joint DATA``: each case against its readers, by a fold that never saw it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marrowscope.errors import ModelError

if TYPE_CHECKING:
    from marrowscope.validation.si_joint import SiResult


def bench_si(
    data: Annotated[Path, typer.Argument(help="Folders CASE/stir.nii.gz with t1, region and lesion_* beside it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    robustness: Annotated[bool, typer.Option(help="Also each case changed: mirrored, coarser, noisy...")] = False,
    only: Annotated[str, typer.Option(help="Only these cases, comma between.")] = "",
) -> None:
    """Compare bones, lesions and SPARCC with readers, leave-one-patient-out."""
    from marrowscope.validation.si_cases import CHANGES, find_cases
    from marrowscope.validation.si_joint import fold_for, judge
    from marrowscope.validation.si_summary import as_dict, line, summarise

    wanted = {n for n in only.split(",") if n}
    cases = [c for c in find_cases(data) if not wanted or c.name in wanted]
    tables: dict[str, list[SiResult]] = {}
    skipped: dict[str, str] = {}
    for change in CHANGES if robustness else ["as it is"]:
        rows = []
        for case in cases:
            try:
                fold = fold_for(case)
            except ModelError as error:
                skipped[case.name] = error.message
                continue
            rows.append(judge(CHANGES[change](case), fold))
            if not as_json:
                typer.echo(f"{change}: {line(rows[-1])}")
        tables[change] = rows
    summary = {"changes": {k: summarise(v) for k, v in tables.items()}, "skipped": skipped}
    if as_json:
        typer.echo(json.dumps(summary | {"cases": {k: [as_dict(r) for r in v] for k, v in tables.items()}}, indent=2))
    else:
        typer.echo(json.dumps(summary, indent=2))
