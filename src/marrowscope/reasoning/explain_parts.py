"""Headed statements: what every explained topic is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from marrowscope.knowledge.care import Role
from marrowscope.knowledge.load import Claim

ROLE_WORDS = {
    Role.USUAL: "ordinary care",
    Role.OPTION: "an option",
    Role.SPECIALIST: "a specialist's decision",
    Role.AGAINST: "not to be used",
}


@dataclass(frozen=True)
class Part:
    """Statements under one heading."""

    heading: str
    claims: tuple[Claim, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"heading": self.heading, "claims": [claim.to_dict() for claim in self.claims]}


Both = tuple[tuple[Part, ...], tuple[Claim, ...]]


def headed(*pairs: tuple[str, Iterable[Claim]]) -> tuple[Part, ...]:
    """Headed parts, empty ones left out."""
    made = (Part(heading, tuple(claims)) for heading, claims in pairs)
    return tuple(part for part in made if part.claims)


def said(text: str) -> Claim:
    """A statement of our own about an entry."""
    return Claim(text, judgement=True)
