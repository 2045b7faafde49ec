"""A Finding: one coded observation, whoever made it. One vocabulary for image and intake.

Codes are defined in ``knowledge/data/findings`` and validated there; this module holds the shape only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class State(StrEnum):
    """Present, absent and unknown differ; unknown never counts as absent."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Origin(StrEnum):
    """Who says so. A person's reading overrides a measured one; both are kept and shown."""

    MEASURED = "measured"
    READ = "read"
    HISTORY = "history"
    LAB = "lab"


@dataclass(frozen=True)
class Finding:
    """One observation.

    Attributes:
        code: id in the findings vocabulary.
        state: present, absent or unknown.
        origin: measured from the image, read by a person, history or laboratory.
        value, unit: the number behind it, where there is one (both or neither).
        side: ``left``, ``right``, ``both`` or empty.
        by: who read it, or which software and version measured it.
        note: anything shown beside it.
    """

    code: str
    state: State
    origin: Origin
    value: float | None = None
    unit: str = ""
    side: str = ""
    by: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data; absent parts are left out."""
        data: dict[str, Any] = {"code": self.code, "state": self.state.value, "origin": self.origin.value}
        if self.value is not None:
            data["value"] = self.value
        for name in ("unit", "side", "by", "note"):
            if text := getattr(self, name):
                data[name] = text
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "state": State(data["state"]), "origin": Origin(data["origin"])})
