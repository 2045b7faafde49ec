"""What a test may need beside Python: how it is found, and why it is missing.

Set ``MARROWSCOPE_REQUIRE=dciodvfy,dcmtk,dcmqi,orthanc,chromium,postgres,shared`` to turn the skip of a missing one
into a failure (``.ci/run`` does).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "dciodvfy": ("dciodvfy",),
    "dcmtk": ("dcmdump", "storescu", "dsrdump"),
    "orthanc": ("Orthanc", "unshare", "ip"),
    "chromium": ("chromium",),
    "chromedriver": ("chromedriver",),
    "postgres": ("pg_ctl", "initdb"),
    "poppler": ("pdftotext", "pdftoppm"),
    "dcm2niix": ("dcm2niix",),
    "dcmqi": ("segimage2itkimage", "itkimage2segimage", "tid1500reader"),
}
"""Tool name to the programs that must all be found; any other name is looked up as a program."""

POSTGRES_FOLDERS = "/usr/lib/postgresql"
"""Debian keeps PostgreSQL's server programs here, outside PATH."""


def program(name: str) -> Path | None:
    """Where a program is: on PATH, beside this Python, or in Debian's PostgreSQL folder."""
    if found := shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent)):
        return Path(found)
    servers = sorted(Path(POSTGRES_FOLDERS).glob(f"*/bin/{name}"))
    return servers[-1] if servers else None


def shared_root() -> Path | None:
    """The folder holding the development data (``data/...``): MARROWSCOPE_SHARED, or ``shared`` beside the checkout."""
    if given := os.environ.get("MARROWSCOPE_SHARED"):
        return Path(given).resolve() if Path(given).is_dir() else None
    beside = (checkout.parent / "shared" for checkout in (CHECKOUT, main_worktree()))
    return next((path for path in beside if (path / "data").is_dir()), None)


def main_worktree() -> Path:
    """The checkout that this one is a linked worktree of; itself when it is none."""
    link = CHECKOUT / ".git"
    if not link.is_file():
        return CHECKOUT
    gitdir = Path(link.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
    return gitdir.parent.parent.parent if gitdir.parent.name == "worktrees" else CHECKOUT


def why_missing(tool: str) -> str:
    """Why a tool cannot be used here; empty when it can.

    Args:
        tool: a name of :data:`PROGRAMS`, a program, ``shared``, or ``shared:PATH`` for one part of the data.
    """
    name, _, part = tool.partition(":")
    if name == "shared":
        root = shared_root()
        if root is None:
            return "no development data: set MARROWSCOPE_SHARED, or put it in ../shared beside the checkout"
        return "" if (root / part).exists() else f"the development data has no {part}"
    absent = [p for p in PROGRAMS.get(name, (name,)) if program(p) is None]
    return f"not installed: {', '.join(absent)} ({name})" if absent else ""


def required() -> frozenset[str]:
    """Tools whose absence is a failure, from MARROWSCOPE_REQUIRE."""
    return frozenset(t.strip() for t in os.environ.get("MARROWSCOPE_REQUIRE", "").split(",") if t.strip())
