"""A progress bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from marrowscope.progress import Progress, silent


@contextmanager
def progress_of(quiet: bool, as_json: bool) -> Iterator[Progress]:
    """The Progress that the flags ask for; a bar only where stderr is a terminal."""
    if as_json:
        yield _json_lines
    elif quiet or not sys.stderr.isatty():
        yield silent
    else:
        with _bar() as shown:
            yield shown


def _json_lines(stage: str, done: int, total: int) -> None:
    sys.stderr.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
    sys.stderr.flush()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show
