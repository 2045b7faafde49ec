"""A place beside a results folder to write the next one in, and what becomes of one whose process was killed.

The place is locked as long as its process lives (the kernel lets go of the lock, whatever ended the process), so that
a later run can tell a leftover, which holds a patient's data, from another run's work.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK, NEW, WAS = "lock", "new", "was"
"""In the place: its lock, the folder being written, and the one it replaces while they change places."""

_OURS = ".{}.marrowscope-"
"""How the place of a folder of that name is called."""


@contextmanager
def place_beside(out: Path) -> Iterator[Path]:
    """An empty, locked folder beside ``out``, removed afterwards; leftovers of killed runs are cleared first.

    What was replaced is put back where the new folder did not get into place.
    """
    clear_leftovers(out)
    place = Path(tempfile.mkdtemp(prefix=_OURS.format(out.name), dir=out.parent))
    try:
        with (place / f"{LOCK}.{NEW}").open("w") as lock:
            _taken(lock)
            (place / f"{LOCK}.{NEW}").rename(place / LOCK)  # from here on it can be seen to be locked
            yield place
    finally:
        _put_back(place, out)
        shutil.rmtree(place, ignore_errors=True)


def swap(place: Path, out: Path) -> None:
    """Put the whole new folder of the place where ``out`` is or will be."""
    if out.exists():
        out.rename(place / WAS)
    (place / NEW).rename(out)


def clear_leftovers(out: Path) -> None:
    """Remove what killed runs left beside ``out``, and put back the folder that one had just taken away.

    Places of running processes, and of other folders, are left alone.
    """
    for place in _places(out):
        try:
            with (place / LOCK).open("r+") as lock:
                if not _taken(lock):
                    continue
                _put_back(place, out)
                shutil.rmtree(place, ignore_errors=True)
        except OSError:  # another run cleared it, or it is another user's
            continue


def _places(out: Path) -> list[Path]:
    prefix = _OURS.format(out.name)
    try:
        return [Path(entry) for entry in os.scandir(out.parent) if entry.name.startswith(prefix)]
    except OSError:  # no such folder, or one that may not be listed
        return []


def _put_back(place: Path, out: Path) -> None:
    if (place / WAS).exists() and not out.exists():
        (place / WAS).rename(out)


def _taken(lock: IO[str]) -> bool:
    """Whether the lock is ours now; never on Windows, where leftovers therefore stay."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process holds it
        return False
    return True
