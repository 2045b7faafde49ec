"""Bounded reading of DICOM and NIfTI into series with roles and reasons.

    read_study(path) -> Study        a folder, a zip of one, a multi-frame file or NIfTI files

Names are loaded on first use, so that importing this room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marrowscope.study.choose import rank, require_fluid
    from marrowscope.study.read import read_study
    from marrowscope.study.types import (
        FatSuppression,
        Guess,
        NiftiSource,
        PatientFacts,
        Radiograph,
        Reason,
        Refusal,
        Role,
        Sequence,
        SequenceClass,
        Series,
        SourceFrame,
        SourceFrames,
        Study,
    )

_HOME = {
    "rank": "choose",
    "read_study": "read",
    "require_fluid": "choose",
}

__all__ = [
    "FatSuppression",
    "Guess",
    "NiftiSource",
    "PatientFacts",
    "Radiograph",
    "Reason",
    "Refusal",
    "Role",
    "Sequence",
    "SequenceClass",
    "Series",
    "SourceFrame",
    "SourceFrames",
    "Study",
    "rank",
    "read_study",
    "require_fluid",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'types')}"), name)
