"""Words and numbers as a reader sees them: one place, so that every rendering says the same."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from marrowscope.measurement import Measurement, Status
from marrowscope.tables import parse_yaml

INTERVAL_DASH = "–"
"""Joins the two ends of an interval."""

DEFAULT_DIGITS = 2
"""Decimals of a unit the words file does not list."""


@cache
def _words() -> dict[str, Any]:
    text = (resources.files("marrowscope.report") / "data" / "words.yaml").read_text(encoding="utf-8")
    words: dict[str, Any] = parse_yaml(text)
    return words


def word(group: str, code: str) -> str:
    """The words of ``code`` in one group of ``data/words.yaml``; the code itself, spaced, when it is not listed."""
    listed = _words().get(group, {}).get(code)
    return str(listed) if listed is not None else code.replace("_", " ")


def unit_text(unit: str) -> str:
    """A UCUM unit as readers write it; empty for ratios and counts."""
    known = _words()["units"].get(unit)
    return str(known["text"]) if known else unit


def number_text(value: float, unit: str, code: str = "") -> str:
    """A number with the decimals of its unit; counts have none. No negative zero."""
    if code in _words()["counts"]:
        return f"{value:.0f}"
    known = _words()["units"].get(unit)
    text = f"{value:.{known['digits'] if known else DEFAULT_DIGITS}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def value_text(measurement: Measurement) -> str:
    """``1.42 cm³``, or ``not assessable`` / ``failed``; the reason is shown beside it."""
    if measurement.value is None:
        return word("statuses", measurement.status.value)
    return f"{number_text(measurement.value, measurement.unit, measurement.code)} {unit_text(measurement.unit)}".strip()


def interval_text(measurement: Measurement) -> str:
    """``1.10–1.93``, empty without an interval."""
    if measurement.low is None or measurement.high is None:
        return ""
    ends = (number_text(n, measurement.unit, measurement.code) for n in (measurement.low, measurement.high))
    return INTERVAL_DASH.join(ends)


def measurement_text(measurement: Measurement) -> str:
    """Value, unit and interval in one line, e.g. ``1.42 cm³ (1.10–1.93)``."""
    interval = interval_text(measurement)
    return f"{value_text(measurement)} ({interval})" if interval else value_text(measurement)


def is_missing(measurement: Measurement) -> bool:
    """Whether there is a reason instead of a value."""
    return measurement.status is not Status.MEASURED


def percent_text(share: float) -> str:
    """A share of one as whole percent; never rounded to certainty (``<1 %``, ``>99 %``)."""
    percent = 100 * share
    if 0 < percent < 1:
        return "<1 %"
    if 99 < percent < 100:
        return ">99 %"
    return f"{percent:.0f} %"
