"""The whole answer for one intake: differential, checks, next questions and tests, plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from marrowscope.findings import Finding, State
from marrowscope.knowledge.findings import label_of
from marrowscope.reasoning.checks import Check, check_all
from marrowscope.reasoning.contradictions import contradictions, without_edema
from marrowscope.reasoning.differential import Differential, backgrounds, rank
from marrowscope.reasoning.intake import AgeGroup, Intake, Sex
from marrowscope.reasoning.observe import Overruled, observe, settle
from marrowscope.reasoning.plan import Plan, make_plan
from marrowscope.reasoning.questions import NextItem, next_items, questions, tests
from marrowscope.reasoning.remarks import remarks
from marrowscope.reasoning.table import UNLISTED

SCHEMA = "marrowscope-reasoning/1"

SAID_CAUSES = 2
"""Causes named in the impression."""

LEADING = 0.5
"""Probability from which a cause is called most likely rather than considered."""


@dataclass(frozen=True)
class Reasoning:
    """What an intake, with or without measured findings, comes to.

    Attributes:
        differential: ranked causes.
        checks: cancer, infection, unstable bone, in this order.
        next_questions, next_tests: what would settle most, best first.
        plan: tests with urgency, care with cautions, follow-up.
        overruled: measured findings that a person's reading contradicts; both are shown, the reading counts.
        background: observation -> its fixed background probability, the yardstick of all evidence.
        notes: what was left out or could not be used, in words.
    """

    differential: Differential
    checks: tuple[Check, ...]
    next_questions: tuple[NextItem, ...]
    next_tests: tuple[NextItem, ...]
    plan: Plan
    overruled: tuple[Overruled, ...]
    background: dict[str, float]
    notes: tuple[str, ...]

    def check(self, kind: str) -> Check:
        """The check of one kind: ``cancer``, ``infection`` or ``unstable``."""
        return next(check for check in self.checks if check.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with ``impression``: sentences for a short report."""
        return {
            "schema": SCHEMA,
            "impression": list(impression(self)),
            "differential": self.differential.to_dict(),
            "checks": [check.to_dict() for check in self.checks],
            "next_questions": [item.to_dict() for item in self.next_questions],
            "next_tests": [item.to_dict() for item in self.next_tests],
            "plan": self.plan.to_dict(),
            "overruled": [
                {"counted": pair.counted.to_dict(), "set_aside": pair.set_aside.to_dict()} for pair in self.overruled
            ],
            "background": {name: round(share, 5) for name, share in self.background.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            differential=Differential.from_dict(data["differential"]),
            checks=tuple(Check.from_dict(raw) for raw in data["checks"]),
            next_questions=tuple(NextItem.from_dict(raw) for raw in data["next_questions"]),
            next_tests=tuple(NextItem.from_dict(raw) for raw in data["next_tests"]),
            plan=Plan.from_dict(data["plan"]),
            overruled=tuple(
                Overruled(Finding.from_dict(raw["counted"]), Finding.from_dict(raw["set_aside"]))
                for raw in data["overruled"]
            ),
            background=dict(data["background"]),
            notes=tuple(data["notes"]),
        )


def reason_findings(intake: Intake, findings: Sequence[Finding] = ()) -> Reasoning:
    """Reason from an intake and measured findings.

    Args:
        intake: history, laboratory, images as read by a person; may be empty.
        findings: what the software measured; a person's reading of the same code comes before it.
    """
    seen, overruled = observe(intake, findings)
    differential = rank(intake, seen)
    settled, _ = settle((*intake.findings, *findings))
    whole = replace(intake, findings=tuple(settled.values()))
    checks = check_all(whole)
    items = next_items(whole, seen, {row.cause: row.probability for row in differential.rows})
    return Reasoning(
        differential=differential,
        checks=checks,
        next_questions=questions(items),
        next_tests=tests(items),
        plan=make_plan(whole, differential, checks),
        overruled=overruled,
        background=dict(backgrounds(seen)),
        notes=_notes(intake, overruled),
    )


def _notes(intake: Intake, overruled: Sequence[Overruled]) -> tuple[str, ...]:
    missing = [
        name
        for name, absent in (
            ("site", not intake.site),
            ("age", intake.age is None and intake.age_group is AgeGroup.UNKNOWN),
            ("sex", intake.sex is Sex.UNKNOWN),
        )
        if absent
    ]
    notes = [f"Not known: {', '.join(missing)}; the ranking averages over it."] if missing else []
    notes += [f"Contradiction: {line}." for line in contradictions(intake)]
    notes += [f"{line}." for line in remarks(intake)]
    if without_edema(intake):
        notes.append("Read without edema: what follows holds only if there is some after all.")
    if intake.uncoded:
        kept = "; ".join(line.rstrip(".") for line in intake.uncoded)
        notes.append(f"Kept, not weighed: {kept}.")
    for pair in overruled:
        said = "present" if pair.counted.state is State.PRESENT else "absent"
        notes.append(
            f"{label_of(pair.counted.code)}: read as {said} by a person, measured otherwise; the reading counts."
        )
    return tuple(notes)


def impression(reasoning: Reasoning) -> tuple[str, ...]:
    """Sentences for a short report: the leading causes, each raised check, the next step."""
    listed = [row for row in reasoning.differential.rows if row.cause != UNLISTED][:SAID_CAUSES]
    verb = "Most likely" if listed[0].probability >= LEADING else "To consider first"
    named = listed[:1] if listed[0].probability >= LEADING else listed
    sentences = [f"{verb}: {' or '.join(row.label for row in named)}."]
    sentences += [
        f"{check.label}: {check.level.value.replace('_', ' ')}." for check in reasoning.checks if check.level.positive
    ]
    if reasoning.next_tests:
        best = reasoning.next_tests[0]
        sentences.append(f"Next step that tells most: {best.step_label} ({best.label}).")
    return tuple(sentences)
