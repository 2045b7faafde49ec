"""Differential, not-to-miss checks and plan as FHIR RiskAssessment and CarePlan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from marrowscope.assessment.types import Assessment
from marrowscope.knowledge.causes import causes
from marrowscope.reasoning.questionnaire import LOCAL_SYSTEM

if TYPE_CHECKING:
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.reasoning.checks import Check

SHOWN_CAUSES = 10
"""Predictions listed; ``assessment.json`` ranks them all."""

PROBABILITY_DIGITS = 4
SNOMED = "http://snomed.info/sct"


class Book(Protocol):
    """Where resources are added."""

    def add(self, kind: str, name: str, **content: Any) -> dict[str, str]:
        """Add a resource; returns the reference to it."""
        ...


def local(code: str, text: str) -> dict[str, Any]:
    """A concept of marrowscope's own code system."""
    return {"coding": [{"system": LOCAL_SYSTEM, "code": code, "display": text}], "text": text}


def cause_concept(cause: str, label: str) -> dict[str, Any]:
    """A cause: our own code, and SNOMED CT's where the knowledge holds one."""
    known = causes().get(cause)
    concept = local(cause, label)
    if known is not None and known.snomed:
        concept["coding"].append({"system": SNOMED, "code": known.snomed})
    return concept


def _reasoning(a: Assessment) -> Reasoning | None:
    if not a.reasoning:
        return None
    from marrowscope.reasoning.answer import Reasoning

    return Reasoning.from_dict(dict(a.reasoning))


def risks(book: Book, a: Assessment, subject: Mapping[str, Any], author: dict[str, str]) -> list[dict[str, str]]:
    """One RiskAssessment for the ranking, one for each check; none without reasoning."""
    reasoning = _reasoning(a)
    if reasoning is None:
        return []
    status = "final" if a.signed else "preliminary"
    base = {**subject, "status": status, "performer": author}
    predictions = [
        {
            "outcome": cause_concept(row.cause, row.label),
            "probabilityDecimal": round(row.probability, PROBABILITY_DIGITS),
        }
        for row in reasoning.differential.rows[:SHOWN_CAUSES]
    ]
    made = [book.add("RiskAssessment", "differential", code=local("differential", "Differential of bone marrow edema"),
                     prediction=predictions, **base)]  # fmt: skip
    made += [_check(book, check, base) for check in reasoning.checks]
    return made


def _check(book: Book, check: Check, base: Mapping[str, Any]) -> dict[str, str]:
    risk = local(check.level.value, check.level.value.replace("_", " "))
    prediction = [
        {"outcome": local(f"check_{check.kind}", check.label), "qualitativeRisk": risk, "rationale": check.answer}
    ]
    note = [{"text": f"Not assessed: {'; '.join(check.not_assessed)}"}] if check.not_assessed else []
    return book.add(
        "RiskAssessment",
        f"check/{check.kind}",
        code=local(f"question_{check.kind}", check.question),
        prediction=prediction,
        mitigation="; ".join(check.settle) or None,
        note=note,
        **base,
    )


def care_plan(book: Book, a: Assessment, subject: Mapping[str, Any]) -> list[dict[str, str]]:
    """The plan as proposals, never orders: intent ``proposal``, draft until released."""
    reasoning = _reasoning(a)
    if reasoning is None:
        return []
    plan = reasoning.plan
    tests = [(t.test, t.label, f"Test: {t.label} ({t.urgency.value})") for t in plan.tests if not t.done]
    care = [(c.treatment, c.label, f"Option: {c.label}{' (off-label)' if c.off_label else ''}") for c in plan.care]
    activities = [
        {"detail": {"status": "not-started", "code": local(code, label), "description": text}}
        for code, label, text in (*tests, *care)
    ]
    status = "active" if a.signed else "draft"
    made = book.add("CarePlan", "plan", status=status, intent="proposal", title="Options for a clinician to decide on",
                    activity=activities, **subject)  # fmt: skip
    return [made]
