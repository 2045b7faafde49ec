"""Score definitions as data: every number a scoring rule needs, with its source (``data/scores/*.yaml``).

Scoring code asks for its numbers here (``score("moaks_bml").scale("size").grade(41.0)``) and holds none of its own.
Definitions remembered but not found in print are marked judgement and carry ``software: reader_only``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

from marrowscope.knowledge.load import Claim, KnowledgeError, check_sources, merge, read_folder

_T = TypeVar("_T")
FOLDER = "scores"
CLAIM_LISTS = ("scope", "rules", "reliability", "validity", "change", "open")
_BAND = re.compile(r"([\[(])\s*([\d.]+)\s*,\s*([\d.]+|inf)\s*([\])])")


class Software(StrEnum):
    """What software may say of the score: an estimate, its extent part only, or nothing beyond a reader's form."""

    ESTIMATED = "estimated"
    EXTENT_ONLY = "extent_only"
    READER_ONLY = "reader_only"


@dataclass(frozen=True)
class Number:
    """One number of a rule: value, unit, and the claim that carries its source."""

    key: str
    value: float
    unit: str
    basis: Claim


@dataclass(frozen=True)
class Band:
    """One grade of a scale: an interval with open or closed ends, e.g. ``(0, 33)``."""

    grade: int
    low: float
    high: float
    low_closed: bool
    high_closed: bool
    text: str

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies in the interval."""
        above = value >= self.low if self.low_closed else value > self.low
        return above and (value <= self.high if self.high_closed else value < self.high)


@dataclass(frozen=True)
class Scale:
    """Grades of one quantity.

    Attributes:
        key: name inside the score, e.g. ``size``.
        unit: unit of the quantity, ``%`` or ``mm``.
        of: what the quantity is a share or a length of.
        bands: contiguous, in rising order.
        basis: where the bands come from.
    """

    key: str
    unit: str
    of: str
    bands: tuple[Band, ...]
    basis: Claim

    def grade(self, value: float) -> int:
        """Grade of a quantity in ``unit``.

        Raises:
            KnowledgeError: the value lies outside the scale, or is not a number.
        """
        for band in self.bands:
            if band.holds(value):
                return band.grade
        raise KnowledgeError(f"{value} {self.unit} outside the scale {self.key!r}", f"{self.span} {self.unit}")

    @property
    def span(self) -> str:
        """Lowest to highest value of the scale, in words."""
        return f"{self.bands[0].low:g} to {self.bands[-1].high:g}"


@dataclass(frozen=True)
class Category:
    """A named grade or type that a reader chooses."""

    grade: str
    basis: Claim


@dataclass(frozen=True)
class Option:
    """A choice the score's wording leaves open; the one taken is stored with the result."""

    key: str
    choices: tuple[str, ...]
    default: str
    basis: Claim


@dataclass(frozen=True)
class ScoreDefinition:
    """One reader score.

    Attributes:
        id, name, short: identifier, full name, label in a table.
        sites: site ids it applies to.
        kind: ``additive``, ``grades``, ``rule``, ``categories`` or ``count``.
        software: what software may say of it.
        unit: unit of its result.
        low, high: attainable range with its basis in ``range_basis``; ``None`` where none is defined.
        regions: its subregions, in scoring order.
        numbers, scales, options, categories: see their types.
        claims: statements by list name (``scope``, ``rules``, ``reliability``, ``validity``, ``change``, ``open``).
    """

    id: str
    name: str
    short: str
    sites: tuple[str, ...]
    kind: str
    software: Software
    unit: str
    low: float | None
    high: float | None
    range_basis: Claim | None
    regions: tuple[str, ...]
    numbers: Mapping[str, Number]
    scales: Mapping[str, Scale]
    options: Mapping[str, Option]
    categories: tuple[Category, ...]
    claims: Mapping[str, tuple[Claim, ...]]

    def number(self, key: str) -> float:
        """Value of a number of the rule, in the unit its entry names.

        Raises:
            KnowledgeError: no such number.
        """
        return self._part(self.numbers, key).value

    def scale(self, key: str) -> Scale:
        """A scale of the score.

        Raises:
            KnowledgeError: no such scale.
        """
        return self._part(self.scales, key)

    def _part(self, parts: Mapping[str, _T], key: str) -> _T:
        if key not in parts:
            raise KnowledgeError(f"score {self.id!r} has no {key!r}", f"one of {', '.join(sorted(parts)) or 'none'}")
        return parts[key]

    def all_claims(self) -> tuple[Claim, ...]:
        """Every statement of the definition, for showing and for tests."""
        parts: list[Number | Scale | Option | Category] = [*self.numbers.values(), *self.scales.values()]
        parts += [*self.options.values(), *self.categories]
        listed = [claim for name in CLAIM_LISTS for claim in self.claims.get(name, ())]
        ranged = [self.range_basis] if self.range_basis else []
        return (*ranged, *(part.basis for part in parts), *listed)


def _claim(raw: Mapping[str, Any], where: str) -> Claim:
    return Claim.parse({key: raw[key] for key in ("text", "src", "judgement") if key in raw}, where)


def _band(raw: Mapping[str, Any], where: str) -> Band:
    match = _BAND.fullmatch(str(raw["band"]).strip())
    if match is None:
        raise KnowledgeError(f"{where}: band {raw['band']!r}", "an interval such as (0, 33] or [33, 66)")
    start, low, high, end = match.groups()
    return Band(int(raw["grade"]), float(low), float(high), start == "[", end == "]", str(raw["text"]))


def _check_contiguous(bands: tuple[Band, ...], where: str) -> None:
    for left, right in pairwise(bands):
        if left.high != right.low or left.high_closed == right.low_closed or right.grade != left.grade + 1:
            raise KnowledgeError(f"{where}: grades {left.grade} and {right.grade} leave a gap or overlap", "no gap")


def _scale(key: str, raw: Mapping[str, Any], where: str) -> Scale:
    bands = tuple(_band(band, where) for band in raw["bands"])
    _check_contiguous(bands, where)
    return Scale(key, raw["unit"], raw["of"], bands, _claim(raw, where))


def _number(key: str, raw: Mapping[str, Any], where: str) -> Number:
    value = float(raw["value"])
    if not math.isfinite(value):
        raise KnowledgeError(f"{where}: {value}", "a finite number")
    return Number(key, value, str(raw["unit"]), _claim(raw, where))


def _option(key: str, raw: Mapping[str, Any], where: str) -> Option:
    if raw["default"] not in raw["choices"]:
        raise KnowledgeError(f"{where}: default {raw['default']!r}", f"one of {raw['choices']}")
    return Option(key, tuple(raw["choices"]), raw["default"], _claim(raw, where))


def _definition(key: str, raw: Mapping[str, Any]) -> ScoreDefinition:
    span = raw.get("range")
    try:
        return ScoreDefinition(
            id=key,
            name=raw["name"],
            short=raw["short"],
            sites=tuple(raw["sites"]),
            kind=raw["kind"],
            software=Software(raw["software"]),
            unit=raw["unit"],
            low=float(span["low"]) if span else None,
            high=float(span["high"]) if span else None,
            range_basis=_claim(span, f"{key}.range") if span else None,
            regions=tuple(raw.get("regions", ())),
            numbers={name: _number(name, part, f"{key}.{name}") for name, part in raw.get("numbers", {}).items()},
            scales={name: _scale(name, part, f"{key}.{name}") for name, part in raw.get("scales", {}).items()},
            options={name: _option(name, part, f"{key}.{name}") for name, part in raw.get("options", {}).items()},
            categories=tuple(Category(str(part["grade"]), _claim(part, key)) for part in raw.get("categories", ())),
            claims={n: tuple(Claim.parse(c, f"{key}.{n}") for c in raw[n]) for n in CLAIM_LISTS if n in raw},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise KnowledgeError(f"score {key!r}: {error!r}", "a complete score definition") from error


@cache
def scores() -> dict[str, ScoreDefinition]:
    """Every score definition by id.

    Raises:
        KnowledgeError: a duplicate id, a missing part, a claim without basis, or grades with a gap.
    """
    return {key: _definition(key, raw) for key, raw in merge(read_folder(FOLDER), "score").items()}


def score(key: str) -> ScoreDefinition:
    """One score definition.

    Raises:
        KnowledgeError: no such score.
    """
    if key not in scores():
        raise KnowledgeError(f"no score {key!r}", f"one of {', '.join(sorted(scores()))}")
    return scores()[key]


def check_scores() -> None:
    """Refuse unknown sources and reader rules offered to software; run by the tests, not at every start.

    Raises:
        KnowledgeError: the first fault found.
    """
    for definition in scores().values():
        for claim in definition.all_claims():
            check_sources(claim.sources, definition.id)
        from_memory = any(scale.basis.judgement for scale in definition.scales.values())
        if from_memory and definition.software is not Software.READER_ONLY:
            raise KnowledgeError(f"{definition.id}: software grades with remembered bands", "software: reader_only")
