"""How long and how old, as people say it: ``3-4 weeks``, ``over a year``, ``67 years``, ``18 months``."""

from __future__ import annotations

import re

WEEKS = {"hour": 1 / 168, "day": 1 / 7, "week": 1.0, "month": 4.345, "year": 52.18}
"""Weeks in each unit."""

WEEKS_IN_YEAR = WEEKS["year"]

_UNITS = {
    "hour": ("h", "hr", "hour"),
    "day": ("d", "day"),
    "week": ("w", "wk", "week"),
    "month": ("mo", "mth", "month"),
    "year": ("y", "yr", "year"),
}
_WEEKS_OF = {spelled: WEEKS[unit] for unit, words in _UNITS.items() for word in words for spelled in (word, f"{word}s")}
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COUNTS = {word: float(i) for i, word in enumerate(_NUMBERS, 1)} | {"couple": 2.0}
_ARTICLES = frozenset({"a", "an"})
HALF = 0.5

VAGUE = frozenset({"few", "several", "some", "many"})
SEVERAL = 4.0
"""How many "several" counts as; the duration enters in four broad classes, so that it rarely matters."""

BELOW = 0.9
"""What "under 2 weeks" counts as, a share of the bound: below it, in a class that is broad."""

_BELOW_WORDS = frozenset({"under", "below", "<"})
_BETWEEN = frozenset({"to", "or", "until"})
_FILLING = (
    "about approximately approx around ca circa nearly almost over more than at least for since the last past of and "
    "under below old < > ~ -"
)
_FILLERS = frozenset(_FILLING.split())
_TOKEN = re.compile(r"\d+(?:[.,]\d+)?|[a-z]+|[<>~-]")


def weeks_of(said: str) -> float | None:
    """Weeks of a stated time, the middle of a range; ``None`` when it is none."""
    text = said.lower().replace("–", "-").replace("—", "-").replace("less than", "under").replace("up to", "under")
    if _TOKEN.sub("", text).strip(" .,"):
        return None
    words = _TOKEN.findall(text)
    spans, count, article, ranged = list[float](), list[float](), False, False
    for word in words:
        if word in _WEEKS_OF:
            counted = sum(count) / len(count) if count else (1.0 if article else SEVERAL)
            spans.append(counted * _WEEKS_OF[word])
            count, article = [], False
        elif word == "half":
            count = [*count[:-1], (count[-1] if count else 0.0) + HALF]
        elif word in _ARTICLES:
            article = True
        elif (number := _number(word)) is not None:
            count = [number] if word in VAGUE or word == "couple" else [*count, number]
        elif word in _BETWEEN:
            ranged = ranged or (bool(spans) and not count)
        elif word not in _FILLERS:
            return None
    if not spans or count:
        return None
    total = sum(spans) / len(spans) if ranged else sum(spans)
    return total * BELOW if _BELOW_WORDS.intersection(words) else total


def years_of(said: str) -> float | None:
    """Years of a stated age with its unit (``67 years``, ``18 months``); ``None`` when it is none."""
    weeks = weeks_of(said)
    return None if weeks is None else weeks / WEEKS_IN_YEAR


def _number(word: str) -> float | None:
    if word in VAGUE:
        return SEVERAL
    return float(word.replace(",", ".")) if word[0].isdigit() else _COUNTS.get(word)
