"""Where received instances wait: on disk before the sender is told "success", so a kill loses nothing.

<data>/spool/<study>/<instance>.dcm     names are hashes: UIDs from outside never become paths
<data>/results/<study>-<content>/       one results folder a received content
<data>/jobs.sqlite
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from marrowscope.errors import LimitExceededError
from marrowscope.exchange.uids import derived_uid

NAME_LENGTH = 20
"""Digits of a UID's hash that name a folder: no two studies of a hospital share them."""

SETTLED_SECONDS = 1.0
"""A folder's time of change is trusted from this age on: file systems keep it in steps of some milliseconds."""


@dataclass(frozen=True)
class Waiting:
    """A study whose last image came a while ago.

    Attributes:
        study: its folder's name. content: hash of the instances received. folder: where they are.
        newest: time of the last image.
    """

    study: str
    content: str
    folder: Path
    newest: float


class Spool:
    """The folder of received instances.

    Args:
        root: the listener's data folder. quota_bytes: most that may wait; beyond it instances are refused.
    """

    def __init__(self, root: Path, quota_bytes: int) -> None:
        self._root = root / "spool"
        self._quota = quota_bytes
        self._root.mkdir(parents=True, exist_ok=True)
        self._used = sum(f.stat().st_size for f in self._root.rglob("*") if f.is_file())
        self._looked: dict[str, tuple[int, Waiting | None]] = {}

    def keep(self, study_uid: str, instance_uid: str, data: bytes) -> Path:
        """Write one instance durably; the same instance again replaces itself.

        Raises:
            LimitExceededError: the quota would be passed.
        """
        if self._used + len(data) > self._quota:
            raise LimitExceededError(
                f"a spool of {self._used} bytes", f"at most {self._quota}", "raise --quota-gb or wait for the queue"
            )
        folder = self._root / _name("study", study_uid)
        if not folder.is_dir():
            folder.mkdir()
            _sync(self._root)
        target = folder / f"{_name('instance', instance_uid)}.dcm"
        aside = target.with_suffix(".part")
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(target)
        _sync(folder)
        self._used += len(data)
        return target

    def waiting(self, quiet_seconds: float, now: float) -> tuple[Waiting, ...]:
        """Studies whose newest instance is older than the quiet time."""
        found = (self._look(folder, now) for folder in sorted(p for p in self._root.iterdir() if p.is_dir()))
        return tuple(w for w in found if w is not None and now - w.newest >= quiet_seconds)

    def _look(self, folder: Path, now: float) -> Waiting | None:
        """What a folder holds; its files are looked at only when one came since the last look."""
        changed = folder.stat().st_mtime_ns
        known = self._looked.get(folder.name)
        if known is not None and known[0] == changed:
            return known[1]
        files = list(folder.glob("*.dcm"))
        seen = None
        if files:
            seen = Waiting(folder.name, content_of(folder), folder, max(f.stat().st_mtime for f in files))
        if now - changed / 1e9 >= SETTLED_SECONDS:
            self._looked[folder.name] = (changed, seen)
        return seen

    def drop(self, study: str) -> None:
        """Forget a study that is done, and give its space back."""
        folder = self._root / study
        if folder.is_dir():
            self._used -= sum(f.stat().st_size for f in folder.glob("*"))
            shutil.rmtree(folder, ignore_errors=True)
        self._looked.pop(study, None)


def content_of(folder: Path) -> str:
    """Hash of the instances a study's folder holds now."""
    names = "\n".join(sorted(f.name for f in folder.glob("*.dcm")))
    return hashlib.sha256(names.encode()).hexdigest()[:12]


def _name(kind: str, uid: str) -> str:
    return derived_uid(kind, uid).removeprefix("2.25.")[:NAME_LENGTH]


def _sync(folder: Path) -> None:
    """Make the rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
