"""Two visits to one results folder that shows the change: the job behind ``marrowscope compare``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from marrowscope.errors import UsageError
from marrowscope.followup import Change, compare
from marrowscope.results import ASSESSMENT, Results, read_results, write_comparison


def compare_to(prior: Path, current: Path, out: Path) -> Change:
    """Compare two results folders and write the later one, with the change in it and both visits' pictures.

    Raises:
        ResultsError: a folder that cannot be read, or that was made without images.
        UsageError: a study instead of a results folder.
    """
    before, now = _results(prior), _results(current)
    change = compare(before.visit(), now.visit())
    write_comparison(out, before, now, replace(now.assessment, change=change.to_dict()))
    return change


def _results(folder: Path) -> Results:
    if folder.is_dir() and not (folder / ASSESSMENT).is_file():
        raise UsageError(
            f"{folder.name} is not a results folder",
            "a folder that assess wrote",
            f"marrowscope assess {folder.name} -o OUT",
        )
    return read_results(folder)
