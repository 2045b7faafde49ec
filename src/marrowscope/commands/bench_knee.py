"""``marrowscope bench knee DATA``: bones, lesions and grades on simulated knees of known truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from marrowscope.validation.knee import KneeResult


def bench_knee(
    data: Annotated[Path, typer.Argument(help="Folder of knee label maps (NIfTI, labels 1-9).")],
    limit: Annotated[int, typer.Option(min=1, help="At most this many examinations.")] = 33,
    seed: Annotated[int, typer.Option(min=0, help="Same seed: same limbs, lesions and scans.")] = 11,
    every: Annotated[bool, typer.Option("--all", help="Also maps of subjects the model was trained on.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write all results as JSON.")] = None,
) -> None:
    """Simulate examinations of the maps, run the whole chain on each, and compare with the truth."""
    from marrowscope.validation.knee import judge, line, summarise, unseen_maps
    from marrowscope.validation.knee_cases import CONDITIONS, simulate_case

    paths = unseen_maps(data, every=every)
    plan = [(path, CONDITIONS[(n + turn) % len(CONDITIONS)]) for turn in range(3) for n, path in enumerate(paths)]
    results: list[KneeResult] = []
    for path, condition in plan[:limit]:
        result = judge(simulate_case(path, condition, seed))
        typer.echo(line(result))
        results += [result]
    summary = summarise(results)
    typer.echo(json.dumps(summary, indent=2))
    if out is not None:
        text = json.dumps({"summary": summary, "cases": [asdict(r) for r in results]}, indent=2)
        out.write_text(text + "\n", encoding="utf-8")
