"""How what is not known yet can be known: which step answers which finding, how easily, and where it makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from marrowscope.knowledge.evidence import variables
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.knowledge.load import KnowledgeError, read_yaml


@dataclass(frozen=True)
class Step:
    """One way to learn something.

    Attributes:
        id, label: identifier and words.
        ease: weight on the information it brings, 0 to 1.
    """

    id: str
    label: str
    ease: float


@dataclass(frozen=True)
class Bounds:
    """Where a finding makes sense; ``None`` and empty mean anywhere.

    Attributes:
        sex: only in this sex.
        ages: only between these years.
        sites: only at these sites.
    """

    sex: str = ""
    ages: tuple[float, float] | None = None
    sites: frozenset[str] = frozenset()


@cache
def steps() -> dict[str, Step]:
    """Every step by id."""
    return {key: Step(key, raw["label"], float(raw["ease"])) for key, raw in read_yaml("asking.yaml")["steps"].items()}


@cache
def step_of() -> Mapping[str, Step]:
    """Variable -> the step that answers it. Regions are never asked.

    Raises:
        KnowledgeError: a named item that is not a variable.
    """
    found: dict[str, Step] = {}
    named: dict[str, Step] = {}
    for key, raw in read_yaml("asking.yaml")["steps"].items():
        named |= dict.fromkeys(raw.get("items", ()), steps()[key])
        places = {*raw.get("kinds", ()), *raw.get("sections", ())}
        found |= {name: steps()[key] for name in variables() if _place(name) & places}
    if unknown := named.keys() - variables().keys():
        raise KnowledgeError(f"asking.yaml: {min(unknown)!r}", "a finding that weighs")
    return found | named


def _place(variable: str) -> set[str]:
    if variable in labs():
        return {Kind.LAB.value}
    item = vocabulary().get(variable)
    return {item.kind.value, item.section} if item is not None and item.kind is not Kind.REGION else set()


@cache
def bounds() -> Mapping[str, Bounds]:
    """Variable -> where it makes sense; variables not named make sense anywhere."""
    data = read_yaml("asking.yaml")
    sites: dict[str, set[str]] = {}
    for site, codes in data["at"].items():
        for code in codes:
            sites.setdefault(code, set()).add(site)
    found = {}
    for code in {*sites, *data["only"]}:
        raw = data["only"].get(code, {})
        ages = (float(raw["age"][0]), float(raw["age"][1])) if "age" in raw else None
        found[code] = Bounds(raw.get("sex", ""), ages, frozenset(sites.get(code, ())))
    return found
