"""Every error marrowscope raises on purpose, and the exit code each one ends a command with.

    MarrowscopeError (5)
    ├── UsageError (2)             a flag, file name or setting that cannot be used
    │   ├── IntakeError            an intake that breaks its schema
    │   └── MissingExtraError      an optional extra that is not installed
    ├── InputError (3)             a study, mask or results folder that cannot be used
    │   ├── StudyError             nothing readable, or a series that cannot be a volume
    │   │   └── NoFluidSeriesError no usable fluid-sensitive series: refused, inspection still written
    │   ├── GeometryError          grids, affines or orientations that do not fit
    │   ├── LimitExceededError     a named bound of the reader was passed (size, nesting, ratio)
    │   └── ResultsError           a results folder that is absent, partial or of another version
    ├── ModelError (5)             a model file whose hash, contract or card does not hold
    └── ExchangeError (5)          a peer (PACS, FHIR server) that refused or did not answer

A message always says what was found, what was expected and what to do; it never holds a patient's name.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit status of every marrowscope command."""

    DONE = 0
    USAGE = 2
    REFUSED = 3
    PARTLY_NOT_ASSESSABLE = 4
    INTERNAL = 5


class MarrowscopeError(Exception):
    """Base of every deliberate error.

    Args:
        found: what was met, in words a user knows.
        expected: what would have been usable.
        do: the next step, ideally a line to type.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, found: str, expected: str = "", do: str = "") -> None:
        self.found = found
        self.expected = expected
        self.do = do
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """Stable machine name of the error, e.g. ``no_fluid_series``."""
        name = type(self).__name__.removesuffix("Error")
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

    @property
    def message(self) -> str:
        """One line: found, expected, do this."""
        parts = [self.found.rstrip(".")]
        if self.expected:
            parts.append(f"expected: {self.expected.rstrip('.')}")
        if self.do:
            parts.append(f"do this: {self.do.rstrip('.')}")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, str]:
        """The one JSON error shape, shared by ``--json`` and the web."""
        return {"code": self.code, "found": self.found, "expected": self.expected, "do": self.do}


class UsageError(MarrowscopeError):
    """A flag, file name or setting that cannot be used."""

    exit_code = ExitCode.USAGE


class IntakeError(UsageError):
    """An intake that breaks its schema."""


class MissingExtraError(UsageError):
    """An optional extra that is not installed; ``do`` holds the exact line to type."""


class InputError(MarrowscopeError):
    """A study, mask or results folder that cannot be used."""

    exit_code = ExitCode.REFUSED


class StudyError(InputError):
    """Nothing readable, or a series that cannot be a volume."""


class NoFluidSeriesError(StudyError):
    """No usable fluid-sensitive series in the study."""


class GeometryError(InputError):
    """Grids, affines or orientations that do not fit together."""


class LimitExceededError(InputError):
    """A named bound of the reader was passed (bytes, nesting, ratio, pixels)."""


class ResultsError(InputError):
    """A results folder that is absent, partial or of another version."""


class ModelError(MarrowscopeError):
    """A model file whose hash, contract or card does not hold."""


class ExchangeError(MarrowscopeError):
    """A peer (PACS, FHIR server) that refused or did not answer."""
