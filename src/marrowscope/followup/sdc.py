"""The smallest detectable change of each measure, by site, with where each figure comes from (``data/sdc.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from marrowscope.tables import parse_yaml

RATIO, ABSOLUTE = "ratio", "absolute"
FOUND = "found"


@dataclass(frozen=True)
class Limit:
    """One smallest detectable change.

    Attributes:
        id: its name. measure: measurement or score. sites: where it holds, empty = everywhere.
        bones: ``found`` where it holds only for bones found by marrowscope, empty = for given ones too.
        kind: ``ratio``: the larger value over the smaller must pass ``size``; ``absolute``: the difference must.
        size: factor, or difference in the measure's unit.
        floor: smallest difference that counts at all, in the measure's unit; the rule where one value is 0.
        origin: ``published``, ``own test-retest simulation``, ``own simulated visits`` or ``own re-scored readings``.
        basis: how it was found. command: what to type to find it again, empty for a published one.
        source: source key of a published one.
    """

    id: str
    measure: str
    kind: str
    size: float
    origin: str
    basis: str
    sites: tuple[str, ...] = ()
    bones: str = ""
    floor: float = 0.0
    command: str = ""
    source: str = ""

    def passed(self, before: float, after: float) -> bool:
        """Whether a change is larger than this."""
        if abs(after - before) <= self.floor:
            return False
        if self.kind == ABSOLUTE:
            return abs(after - before) > self.size
        small, large = sorted((before, after))
        return small <= 0 or large / small > self.size

    @property
    def words(self) -> str:
        """Size, origin and basis in words."""
        size = f"factor {self.size:g}" if self.kind == RATIO else f"{self.size:g}"
        floor = f" and more than {self.floor:g}" if self.floor else ""
        return f"{size}{floor} ({self.origin}: {self.basis})"


@cache
def all_limits() -> tuple[Limit, ...]:
    """Every entry of the data file."""
    text = (resources.files("marrowscope.followup") / "data" / "sdc.yaml").read_text(encoding="utf-8")
    return tuple(_limit(entry) for entry in parse_yaml(text)["limits"])


def _limit(entry: dict[str, Any]) -> Limit:
    return Limit(**{**entry, "sites": tuple(entry.get("sites", ())), "basis": " ".join(entry["basis"].split())})


def limits_of(measure: str, site: str, bones_given: bool = False) -> tuple[Limit, ...]:
    """Every limit known for a measure at a site; a change counts when it passes them all.

    Args:
        bones_given: the bones of both visits were given, so that the error of finding them does not count.
    """
    at_site = (x for x in all_limits() if x.measure == measure and (not x.sites or site in x.sites))
    return tuple(x for x in at_site if not (bones_given and x.bones == FOUND))


def passes(limits: tuple[Limit, ...], before: float | None, after: float | None) -> bool | None:
    """Whether a change passes every limit; None where none is known or a value is missing."""
    if not limits or before is None or after is None:
        return None
    return all(x.passed(before, after) for x in limits)
