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

_open: dict[str, Objects] = {}


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
    from marrowscope.lesion.types import Objects
    from marrowscope.web.work.codec import load

    if study_id not in _open:
        while len(_open) >= KEPT_OBJECTS:
            _open.pop(next(iter(_open)))
        _open[study_id] = load(Objects, data_folder().study(study_id).objects)
    _open[study_id] = _open.pop(study_id)  # the newest last
    return _open[study_id]
