"""Laboratory items: units and their conversion, reference limits, and the level a value reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from marrowscope.knowledge.load import KnowledgeError, read_yaml

ADULT_FROM = 18.0
"""Age in years from which adult limits hold where an item has its own limits for children."""


@dataclass(frozen=True)
class Lab:
    """One laboratory item.

    Attributes:
        code, label, also: identifier, clinician's words, synonyms.
        levels: from low to high; for a qualitative item its possible answers.
        unit: main unit; empty for a qualitative item.
        factors: other unit -> factor to the main unit.
        cuts: lower bounds, in the main unit, of every level after the first.
        cuts_by_sex, cuts_child: limits that replace ``cuts``.
        minimum, maximum: smallest and largest value that can be true, in the main unit.
        background: probability of each level in anyone with edema-like marrow signal; empty = it weighs nothing.
        mixed: other units that laboratories print for the same range of numbers.
    """

    code: str
    label: str
    also: tuple[str, ...]
    levels: tuple[str, ...]
    unit: str = ""
    factors: dict[str, float] = field(default_factory=dict)
    cuts: tuple[float, ...] = ()
    cuts_by_sex: dict[str, tuple[float, ...]] = field(default_factory=dict)
    cuts_child: tuple[float, ...] = ()
    minimum: float = 0.0
    maximum: float = math.inf
    background: tuple[float, ...] = ()
    mixed: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether a value with a unit is expected."""
        return bool(self.unit)

    def convert(self, value: float, unit: str) -> float | None:
        """The value in the main unit; ``None`` when the unit is not one of this item."""
        if not unit or _plain(unit) == _plain(self.unit):
            return value
        return next((value * factor for name, factor in self.factors.items() if _plain(name) == _plain(unit)), None)

    def level(self, value: float, sex: str = "", age: float | None = None) -> str:
        """The level a value (main unit) reaches, by the limits for this sex and age."""
        cuts = self.cuts_by_sex.get(sex, self.cuts)
        if self.cuts_child and age is not None and age < ADULT_FROM:
            cuts = self.cuts_child
        return self.levels[sum(value >= cut for cut in cuts)]

    def other_reading(self, value: float, sex: str = "", age: float | None = None) -> tuple[str, str] | None:
        """Another unit in which a bare number would be possible and of another level, with that level."""
        mine = self.level(value, sex, age)
        for unit in self.mixed:
            other = value * self.factors[unit]
            if self.minimum <= other <= self.maximum and (level := self.level(other, sex, age)) != mine:
                return unit, level
        return None

    def word(self, text: str) -> str | None:
        """The level a word such as ``high`` or ``slightly raised`` names; ``None`` when it names none."""
        said = text.strip().lower().replace(" ", "_").replace("-", "_")
        if said in self.levels:
            return said
        if self.numeric:
            return _numeric_word(said, self.levels)
        return self.levels[_ANSWERS[said]] if said in _ANSWERS else None


_ANSWERS = {
    **dict.fromkeys(("yes", "true", "present", "positive", "abnormal", "high", "raised", "detected"), -1),
    **dict.fromkeys(("no", "false", "absent", "negative", "normal", "none", "not_detected"), 0),
}
"""Answers to a yes/no item: index of the level meant."""

_UP = (
    "raised",
    "elevated",
    "high",
    "increased",
    "positive",
    "abnormal",
    "slightly_high",
    "slightly_raised",
    "mildly_high",
)
_VERY_UP = ("very_high", "markedly_raised", "markedly_high", "strongly_raised")
_DOWN = ("low", "decreased", "reduced", "deficient", "slightly_low")
_VERY_DOWN = ("very_low", "severely_low", "markedly_low")


def _numeric_word(said: str, levels: tuple[str, ...]) -> str | None:
    """The level of a numeric item a qualitative word means."""
    above = levels[levels.index("normal") + 1 :] if "normal" in levels else ()
    below = levels[: levels.index("normal")] if "normal" in levels else ()
    if said in _VERY_UP and above:
        return above[-1]
    if said in _UP and above:
        return above[0]
    if said in _VERY_DOWN and below:
        return below[0]
    if said in _DOWN and below:
        return below[-1]
    return None


def _plain(unit: str) -> str:
    """A unit without case, spaces and typographic variants, for comparison only."""
    text = unit.lower().replace("µ", "u").replace("μ", "u").replace("²", "2").replace("×", "").replace(" ", "")
    return text.replace("litre", "l").replace("hour", "h").replace("hr", "h").removeprefix("x")


def _numbers(raw: Any) -> tuple[float, ...]:
    return tuple(float(number) for number in raw or ())


def _lab(code: str, raw: dict[str, Any]) -> Lab:
    lab = Lab(
        code=code,
        label=raw["label"],
        also=tuple(raw.get("also", ())),
        levels=tuple(raw["levels"]),
        unit=str(raw.get("unit", "")),
        factors={str(name): float(factor) for name, factor in raw.get("units", {}).items()},
        cuts=_numbers(raw.get("cuts")),
        cuts_by_sex={sex: _numbers(cuts) for sex, cuts in raw.get("by_sex", {}).items()},
        cuts_child=_numbers(raw.get("child")),
        minimum=float(raw.get("min", 0.0)),
        maximum=float(raw.get("max", math.inf)),
        background=_numbers(raw.get("bg")),
        mixed=tuple(raw.get("mixed", ())),
    )
    expected = len(lab.levels) - 1 if lab.numeric else 0
    if len(lab.cuts) != expected or list(lab.cuts) != sorted(lab.cuts):
        raise KnowledgeError(
            f"lab {code!r}: {len(lab.cuts)} cuts for {len(lab.levels)} levels", "rising cuts, one fewer"
        )
    if odd := set(lab.mixed) - lab.factors.keys():
        raise KnowledgeError(f"lab {code!r}: mixed unit {min(odd)!r}", "a unit with a factor")
    if lab.background and (len(lab.background) != len(lab.levels) or abs(sum(lab.background) - 1) > 1e-6):
        raise KnowledgeError(f"lab {code!r}: background {lab.background}", "one share a level, summing to 1")
    return lab


@cache
def labs() -> dict[str, Lab]:
    """Every laboratory item by code.

    Raises:
        KnowledgeError: levels, limits and background that do not fit together.
    """
    data = read_yaml("findings/labs.yaml")
    return {code: _lab(code, raw) for part in ("numeric", "qualitative") for code, raw in data[part].items()}
