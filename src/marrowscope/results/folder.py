"""How a results folder is put in place: whole or absent, written aside and then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from marrowscope.assessment import Assessment, to_json
from marrowscope.errors import UsageError
from marrowscope.results.aside import NEW, clear_leftovers, place_beside, swap

ASSESSMENT = "assessment.json"
RUN = "run.json"
FHIR = "fhir/bundle.json"
DETECTION = "detection.npz"
"""What was found before any edit (see ``marrowscope.assessment.detection``)."""

INSPECTION = "inspection.json"
"""What a refused study leaves instead of an assessment."""

FileWriter = Callable[[Path], None]
"""Writes one part of the folder below the given directory."""


def write_folder(out: Path, writers: Mapping[str, FileWriter], *, replace_existing: bool = True) -> Path:
    """Run every writer in a temporary folder beside ``out``, then put it in place (see :mod:`.aside`).

    Args:
        out: the folder to make. A results folder already there is replaced; anything else is left alone.
        writers: part name to the function that writes it.
        replace_existing: False refuses when ``out`` exists.

    Raises:
        UsageError: ``out`` exists and is not a results folder.
    """
    check_target(out, replace_existing)
    if out.is_symlink():  # where it leads is written to; a rename would take the link's own place
        out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with place_beside(out) as place:
        folder = place / NEW
        folder.mkdir()
        for write in writers.values():
            write(folder)
        folder.chmod(0o755)
        swap(place, out)
    return out


def check_target(out: Path, replace_existing: bool = True) -> None:
    """Whether ``out`` may be written: absent, empty, or a folder of ours. What a killed run left is cleared first.

    Raises:
        UsageError: it is something else, or nothing can be written there.
    """
    check_place(out)
    clear_leftovers(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not _is_ours(out) or not replace_existing:
        name = out.resolve().name or out
        raise UsageError(f"{name} exists and is not a results folder", "a new folder name", "choose another -o")


def check_no_results(out: Path) -> None:
    """Refuse the results folder of one study as a place for something else: it would not be what it says any more.

    Raises:
        UsageError: it is one.
    """
    if _is_ours(out):
        raise UsageError(f"{out.name} is the results folder of one study", "a folder of its own", "choose another -o")


def _is_ours(out: Path) -> bool:
    return any((out / name).is_file() for name in (ASSESSMENT, INSPECTION))


def check_place(out: Path) -> None:
    """Refuse a place where no folder can be made, before minutes of work rather than after.

    Raises:
        UsageError: the nearest folder above that exists is a file, or may not be written to.
    """
    above = next((p for p in out.absolute().parents if p.exists()), out)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        what = "is not a folder" if not above.is_dir() else "may not be written to"
        raise UsageError(
            f"{out.name} below {above.name or above}, which {what}", "a folder to write into", "choose another -o"
        )


def write_text(folder: Path, name: str, text: str) -> None:
    """One UTF-8 file below ``folder``, its parents made, with plain newlines."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_assessment(folder: Path, assessment: Assessment) -> None:
    """``assessment.json``."""
    write_text(folder, ASSESSMENT, to_json(assessment))


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """``run.json``, with the SHA-256 of every other file of the folder."""
    files = {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != RUN
    }
    write_text(folder, RUN, json.dumps({**run, "files": files}, indent=2, sort_keys=True) + "\n")
