"""Quantitative measures and their published cut-offs: comparator, preconditions and limits (``data/measures``)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.load import Claim, KnowledgeError, check_sources, merge, read_folder

FOLDER = "measures"
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Cutoff:
    """One published cut-off.

    Attributes:
        key: name inside the measure.
        op, value, unit: ``<`` 20 ``%``.
        favours: what a value beyond it speaks for.
        against: what the study compared with; the figures hold against this and nothing else.
        regions: site ids it was studied in.
        needs: preconditions by code; unmet or unknown ones forbid its use.
        never: situations by code in which it must not be used.
        sensitivity, specificity: in 0..1, where printed.
        basis: the claim with its source.
    """

    key: str
    op: str
    value: float
    unit: str
    favours: str
    against: str
    regions: tuple[str, ...]
    needs: tuple[str, ...]
    never: tuple[str, ...]
    sensitivity: float | None
    specificity: float | None
    basis: Claim

    def met(self, value: float) -> bool:
        """Whether a measured value lies on the side the cut-off speaks of."""
        return COMPARE[self.op](value, self.value)


@dataclass(frozen=True)
class Measure:
    """One quantity: what it means, its cut-offs, and what is open about it."""

    id: str
    label: str
    plain: str
    unit: str
    meaning: tuple[Claim, ...]
    cutoffs: Mapping[str, Cutoff]
    open: tuple[Claim, ...]

    def cutoff(self, key: str) -> Cutoff:
        """A cut-off by name.

        Raises:
            KnowledgeError: no such cut-off.
        """
        if key not in self.cutoffs:
            raise KnowledgeError(f"measure {self.id!r} has no cut-off {key!r}", f"one of {', '.join(self.cutoffs)}")
        return self.cutoffs[key]


def _share(raw: Mapping[str, Any], name: str, where: str) -> float | None:
    if name not in raw:
        return None
    value = float(raw[name])
    if not 0 <= value <= 1:
        raise KnowledgeError(f"{where}: {name} {value}", "a share between 0 and 1")
    return value


def _cutoff(key: str, raw: Mapping[str, Any], unit: str, where: str) -> Cutoff:
    if raw["op"] not in COMPARE or not math.isfinite(float(raw["value"])):
        raise KnowledgeError(f"{where}: {raw['op']} {raw['value']}", f"a finite number and one of {list(COMPARE)}")
    return Cutoff(
        key=key,
        op=raw["op"],
        value=float(raw["value"]),
        unit=raw.get("unit", unit),
        favours=raw["favours"],
        against=raw["against"],
        regions=tuple(raw["regions"]),
        needs=tuple(raw["needs"]),
        never=tuple(raw["never"]),
        sensitivity=_share(raw, "sensitivity", where),
        specificity=_share(raw, "specificity", where),
        basis=Claim.parse({name: raw[name] for name in ("text", "src", "judgement") if name in raw}, where),
    )


def _measure(key: str, raw: Mapping[str, Any]) -> Measure:
    try:
        return Measure(
            id=key,
            label=raw["label"],
            plain=raw["plain"],
            unit=raw["unit"],
            meaning=tuple(Claim.parse(claim, key) for claim in raw["meaning"]),
            cutoffs={n: _cutoff(n, part, raw["unit"], f"{key}.{n}") for n, part in raw["cutoffs"].items()},
            open=tuple(Claim.parse(claim, key) for claim in raw["open"]),
        )
    except KeyError as error:
        raise KnowledgeError(f"measure {key!r} lacks {error}", "label, plain, unit, meaning, cutoffs, open") from error


@cache
def measures() -> dict[str, Measure]:
    """Every measure by id.

    Raises:
        KnowledgeError: a duplicate id, a missing part, a claim without basis, or a number out of range.
    """
    return {key: _measure(key, raw) for key, raw in merge(read_folder(FOLDER), "measure").items()}


def check_measures() -> None:
    """Refuse unknown sources; run by the tests, not at every start.

    Raises:
        KnowledgeError: the first fault found.
    """
    for measure in measures().values():
        for claim in (*measure.meaning, *measure.open, *(cutoff.basis for cutoff in measure.cutoffs.values())):
            check_sources(claim.sources, measure.id)
