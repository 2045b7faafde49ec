"""What the pages show of an assessment's reasoning: checks, causes whose reasons add up, the next question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment

QUESTIONS_SHOWN = 3
"""More would be a second form on top of the form."""

CAUSES_SHOWN = 8

SHOWN_DECIBANS = 0.05
"""A lighter term would read +0.0; such terms share one line with their sum."""

CALM_LEVELS = frozenset({"no_sign", "no sign"})
OPEN_LEVELS = frozenset({"incomplete"})


@dataclass(frozen=True)
class Question:
    """Something unknown that would move the ranking.

    Attributes:
        code: finding code where it can be answered by yes or no; else empty. field: form field it is answered in.
        label: words. why: what each answer would make most likely. options: (value, words) of a closed field.
    """

    code: str
    field: str
    label: str
    why: str
    options: tuple[tuple[str, str], ...] = ()


FIELDS = {"duration": "weeks", "onset": "onset", "site": "site", "age": "age", "sex": "sex", "setting": "setting"}
"""Variables that are asked as facts of the form, not as findings."""


def next_questions(assessment: Assessment) -> tuple[Question, ...]:
    """The most informative unknowns, best first: what can be asked, then what can be read on the images."""
    from marrowscope.knowledge.findings import vocabulary
    from marrowscope.web.intake_form import field_options

    reasoning = assessment.reasoning or {}
    found = []
    for entry in (*reasoning.get("next_questions", ()), *reasoning.get("next_tests", ())):
        name = str(entry["variable"])
        code = name if name in vocabulary() else ""
        if code or name in FIELDS:
            field = FIELDS.get(name, "")
            why = _why(entry.get("answers", ()))
            found.append(Question(code, field, str(entry["label"]), why, field_options(field)))
    return tuple(found[:QUESTIONS_SHOWN])


def _why(answers: Sequence[Mapping[str, Any]]) -> str:
    said = {"present": "yes", "absent": "no"}
    parts = [
        f"If {said.get(level, level.replace('_', ' '))}: mostly {str(a['group']).lower()} "
        f"({100 * float(a['probability']):.0f} %)"
        for a in answers
        if (level := str(a["level"]))
    ]
    return ". ".join(parts[:3]) + "." if parts else ""


@dataclass(frozen=True)
class Check:
    """A not-to-miss check as shown: ``tone`` is calm, incomplete or raised."""

    title: str
    level: str
    tone: str
    raw: Mapping[str, Any]


def checks(assessment: Assessment) -> tuple[Check, ...]:
    """The checks, raised ones first."""
    found = []
    for raw in (assessment.reasoning or {}).get("checks", ()):
        level = str(raw["level"])
        tone = "calm" if level in CALM_LEVELS else "incomplete" if level in OPEN_LEVELS else "raised"
        found.append(Check(str(raw["label"]), level.replace("_", " "), tone, raw))
    order = ("raised", "incomplete", "calm")
    return tuple(sorted(found, key=lambda c: order.index(c.tone)))


def causes(assessment: Assessment) -> tuple[Mapping[str, Any], ...]:
    """The leading causes with every term; prior + terms + normaliser = posterior, in decibans."""
    differential = (assessment.reasoning or {}).get("differential", {})
    rows = sorted(differential.get("rows", ()), key=lambda row: -float(row["probability"]))
    return tuple({**row, "terms": _weighed(row.get("terms", ()))} for row in rows[:CAUSES_SHOWN])


def _weighed(terms: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The terms, heaviest first, each with whether it shows at one decimal."""
    ordered = sorted(terms, key=lambda t: -abs(float(t["decibans"])))
    return [{**t, "heavy": abs(float(t["decibans"])) >= SHOWN_DECIBANS} for t in ordered]


def normaliser(assessment: Assessment) -> float:
    """Decibans added to every cause alike."""
    return float((assessment.reasoning or {}).get("differential", {}).get("normaliser_decibans", 0.0))
