"""What every handler needs: the database and the data folder, from the worker's environment."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from marrowscope.errors import MarrowscopeError
from marrowscope.web.db import Database
from marrowscope.web.folders import DataFolder

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects

DATA_VARIABLE = "MARROWSCOPE_WEB_DATA"
DATABASE_VARIABLE = "MARROWSCOPE_WEB_DATABASE"
"""The URL may hold a password: it travels in the environment, never in a payload or on a command line."""

KEPT_OBJECTS = 3
"""Studies whose detection stays open in a worker: the ones being read now."""


class OpenObjects:
    """Stored detections by their folder, kept open; the one unused for longest is closed first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Path, Objects] = {}

    def __call__(self, folder: Path) -> Objects:
        """The detection stored in a folder.

        Raises:
            ResultsError: it was never stored.
        """
        from marrowscope.lesion.types import Objects
        from marrowscope.web.work.codec import load

        if folder not in self._open:
            while len(self._open) >= self._most:  # before loading: no more than these are ever in memory
                self._open.pop(next(iter(self._open)))
            self._open[folder] = load(Objects, folder)
        self._open[folder] = self._open.pop(folder)  # the newest last
        return self._open[folder]


_opened = OpenObjects(KEPT_OBJECTS)


def data_folder() -> DataFolder:
    """The folder the server was started with."""
    return DataFolder(Path(_variable(DATA_VARIABLE)))


@cache
def database() -> Database:
    """The server's database."""
    return Database(_variable(DATABASE_VARIABLE))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise MarrowscopeError(f"a worker without {name}", "a worker started by marrowscope serve")
    return value


def objects_of(study_id: str) -> Objects:
    """The study's stored detection, kept open for the next edit.

    Raises:
        ResultsError: it was never stored.
    """
    return _opened(data_folder().study(study_id).objects)
