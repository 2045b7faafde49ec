"""What the pages need of an assessment's reasoning beyond the report's own view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment

QUESTIONS_SHOWN = 3
"""More would be a second form on top of the form."""


@dataclass(frozen=True)
class Question:
    """Something unknown that would move the ranking: its code, words and why it is asked."""

    code: str
    label: str
    why: str


def next_questions(assessment: Assessment) -> tuple[Question, ...]:
    """The most informative unknowns, best first."""
    from marrowscope.knowledge.findings import vocabulary

    reasoning: Mapping[str, Any] = assessment.reasoning or {}
    entries = reasoning.get("next_questions") or reasoning.get("questions") or ()
    found = []
    for entry in entries:
        code = str(entry.get("code") or entry.get("finding") or "")
        if code in vocabulary():
            label = str(entry.get("label") or vocabulary()[code].label)
            found.append(Question(code, label, str(entry.get("why") or entry.get("reason") or "")))
    return tuple(found[:QUESTIONS_SHOWN])
