"""Laboratory values in a report: an item, a number with its unit, or a word such as positive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.findings import Finding
from marrowscope.knowledge.labs import Lab, labs
from marrowscope.knowledge.report_words import report_data
from marrowscope.reasoning.intake_entries import Reader
from marrowscope.reasoning.intake_text import Lined

_BETWEEN = (
    r"(?:\s*(?:(?:level|count|value|test|serology|titre|titer|was|were|is|are|of|at|to|serum"
    r"|(?:raised|elevated|rising)(?=[\s:=a]{1,6}\d))s?\b|[=:,]))*"
)


@dataclass(frozen=True)
class Result:
    """One laboratory statement: the item, the value as the intake takes it, its place, and whether it is valid."""

    code: str
    value: str
    start: int
    end: int
    valid: bool


@cache
def _items() -> list[tuple[str, re.Pattern[str]]]:
    words = "|".join(report_data("text")["results"])
    found = []
    for lab in labs().values():
        own = report_data("text")["lab_names"].get(lab.code, ())
        names = sorted({*lab.also, *own, lab.label, lab.code.replace("_", " ")}, key=len, reverse=True)
        name = "|".join(_name(text) for text in names)
        found.append(
            (
                lab.code,
                re.compile(
                    rf"(?<![\w-])(?i:(?P<front>normal|raised|elevated|positive|negative)\s+)?(?:{name})(?!\w){_BETWEEN}\s*"
                    rf"(?:(?P<bound><|>|(?i:less than|under|below|over|above|more than))?\s*(?P<number>\d[\d.,]*)\s*"
                    rf"(?P<unit>{_units(lab)})?(?![\w/])|\(?(?P<word>(?i:{words}))\b)?"
                ),
            )
        )
    return found


def _name(text: str) -> str:
    body = re.escape(text).replace(r"\ ", r"[\s-]+").replace(r"\-", "[- ]?")
    return body if len(text) <= _SHORT and text.isupper() else f"(?i:{body}s?)"


_SHORT = 2
"""Letters up to which a name in capitals is read in capitals alone: ``Ca``, ``CK``."""


def _units(lab: Lab) -> str:
    units = sorted({unit for unit in (lab.unit, *lab.factors) if unit}, key=len, reverse=True)
    spelled = [re.escape(unit).replace(r"\^", r"\^?").replace("u", "[uµμ]") for unit in units]
    return "(?i:" + "|".join([*(f"x?\\s*{unit}" for unit in spelled), "U/L"]) + ")"


def results_in(text: str, sex: str, age: float | None) -> Iterator[Result]:
    """Every laboratory statement of a sentence, in the intake's words; invalid where the value cannot be true."""
    for code, pattern in _items():
        for match in pattern.finditer(text):
            value = _value(match)
            if value:
                yield Result(code, value, match.start(), match.end(), _valid(code, value, sex, age))


def _value(match: re.Match[str]) -> str:
    if match["number"]:
        number = re.sub(r"(?<=\d),(?=\d{3}\b)", "", match["number"].rstrip(".,"))
        bound = {"<": "<", "l": "<", "u": "<", "b": "<", ">": ">", "o": ">", "a": ">", "m": ">"}
        sign = bound[match["bound"][0].lower()] if match["bound"] else ""
        unit = (match["unit"] or "").strip().removeprefix("x").strip()
        return f"{sign}{number} {unit}".strip()
    return (match["word"] or match["front"] or "").lower()


def finding_of(code: str, value: str, sex: str, age: float | None) -> Finding | None:
    """The finding a value means, or ``None`` when it cannot be true."""
    raw: dict[str, Any] = {code: value}
    reader = Reader(Lined({"labs": raw}))
    found = reader.labs(raw, sex, age)
    return found[0] if found else None


def _valid(code: str, value: str, sex: str, age: float | None) -> bool:
    return finding_of(code, value, sex, age) is not None
