"""What was measured, how sure it is, and what could not be: plain data shared by every room."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Whether a value exists. There is no value that stands for "unknown"."""

    MEASURED = "measured"
    NOT_ASSESSABLE = "not_assessable"
    FAILED = "failed"


@dataclass(frozen=True)
class Measurement:
    """One number with its unit and its doubt, or the reason there is none.

    Attributes:
        code: stable name, e.g. ``volume`` or ``t1_over_muscle``.
        unit: UCUM unit, ``1`` for ratios and counts, ``%`` for percentages.
        status: MEASURED has a ``value``; the others have a ``reason`` and no value.
        value: finite number, in ``unit``.
        low, high: interval around the value; both or neither.
        interval_basis: what the interval holds, e.g. ``plausible thresholds``.
        reason: why there is no value.
    """

    code: str
    unit: str
    status: Status
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval_basis: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.MEASURED) != (self.value is not None):
            raise ValueError(f"{self.code}: a value goes with status 'measured' and only with it")
        if self.value is None and not self.reason:
            raise ValueError(f"{self.code}: a missing value needs its reason")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.code}: an interval has two ends")
        numbers = [n for n in (self.value, self.low, self.high) if n is not None]
        if not all(math.isfinite(n) for n in numbers):
            raise ValueError(f"{self.code}: not a finite number")

    @classmethod
    def of(
        cls, code: str, value: float, unit: str, interval: tuple[float, float] | None = None, basis: str = ""
    ) -> Self:
        """A measured value, with an interval where one can be had."""
        low, high = (None, None) if interval is None else (float(interval[0]), float(interval[1]))
        return cls(code, unit, Status.MEASURED, float(value), low, high, basis)

    @classmethod
    def not_assessable(cls, code: str, unit: str, reason: str) -> Self:
        """A value this exam does not allow."""
        return cls(code, unit, Status.NOT_ASSESSABLE, reason=reason)

    @classmethod
    def failed(cls, code: str, unit: str, reason: str) -> Self:
        """A value whose computation failed, with the failure's code."""
        return cls(code, unit, Status.FAILED, reason=reason)

    @property
    def measured(self) -> bool:
        """Whether there is a value."""
        return self.status is Status.MEASURED

    def to_dict(self) -> dict[str, Any]:
        """Plain data; absent parts are left out."""
        data: dict[str, Any] = {"code": self.code, "unit": self.unit, "status": self.status.value}
        for name in ("value", "low", "high"):
            if (number := getattr(self, name)) is not None:
                data[name] = number
        for name in ("interval_basis", "reason"):
            if text := getattr(self, name):
                data[name] = text
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "status": Status(data["status"])})


class Severity(StrEnum):
    """What a quality check means for the result."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    REFUSE = "refuse"


@dataclass(frozen=True)
class QcCheck:
    """One quality check and what it means for the result.

    Attributes:
        code: e.g. ``fat_suppression``, ``metal``, ``motion``, ``coverage``, ``snr``, ``maturity``,
            ``registration``, ``reference_marrow``, ``bones``.
        severity: OK, NOTE (shown), WARNING (parts ``not_assessable``), REFUSE (no sizing at all).
        message: what was seen, in words.
        consequence: what it means for the result.
        value: the figure behind it, where there is one.
        slices: slice indices concerned (along the fluid series' slice axis), empty = all or none.
    """

    code: str
    severity: Severity
    message: str
    consequence: str = ""
    value: Measurement | None = None
    slices: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data; absent parts are left out."""
        data: dict[str, Any] = {"code": self.code, "severity": self.severity.value, "message": self.message}
        if self.consequence:
            data["consequence"] = self.consequence
        if self.value is not None:
            data["value"] = self.value.to_dict()
        if self.slices:
            data["slices"] = list(self.slices)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        value = Measurement.from_dict(data["value"]) if "value" in data else None
        return cls(
            data["code"],
            Severity(data["severity"]),
            data["message"],
            data.get("consequence", ""),
            value,
            tuple(data.get("slices", ())),
        )
