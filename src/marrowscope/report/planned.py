"""The plan as blocks: when to come at once, tests, care with its cautions, what not to use, follow-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from marrowscope.report.references import References
from marrowscope.report.view import Block
from marrowscope.report.words import word

if TYPE_CHECKING:
    from marrowscope.reasoning.plan_types import Advice, Plan, PlannedCare, PlannedCaution, PlannedFollowUp, PlannedTest

EVIDENCE_LEVELS = (
    "Evidence: A consistent trials, B one or small or disagreeing trials, C observation, D none or contradicted. "
    "No doses are given."
)


def plan_blocks(plan: Plan, references: References) -> tuple[Block, ...]:
    """Every part of the plan that has something to say, the urgent first."""
    blocks = (
        _advice("See a doctor at once", plan.at_once, references, "alert"),
        _tests(plan.tests, references),
        _advice("Refer", plan.refer, references),
        _advice("Biopsy", plan.biopsy, references),
        _care("Care options", plan.care, references),
        Block("Ask before choosing", bullets=plan.ask_first),
        _care("Not to be used here", plan.not_to_use, references),
        _advice("Avoid", plan.avoid, references),
        _advice("Expected course", plan.course, references),
        _advice("Prevention", plan.prevention, references),
        Block("Follow-up", bullets=tuple(_follow_up(f, references) for f in plan.follow_up)),
    )
    return tuple(b for b in blocks if b.bullets or b.rows)


def _advice(title: str, items: Sequence[Advice], references: References, tone: str = "plain") -> Block:
    return Block(title, tone, bullets=tuple(_line(a, references) for a in items))


def _line(advice: Advice, references: References) -> str:
    soon = word("urgencies", advice.urgency.value) if advice.urgency else ""
    if soon and advice.label == advice.urgency:
        return f"{soon[:1].upper()}{soon[1:]}: {references.claim(advice.basis)}"
    return f"{advice.label}{f' ({soon})' if soon else ''}: {references.claim(advice.basis)}"


def _tests(tests: Sequence[PlannedTest], references: References) -> Block:
    rows = tuple(
        (t.label, word("urgencies", t.urgency.value), "; ".join(references.claim(r) for r in t.reasons)) for t in tests
    )
    return Block("Tests", columns=("Test", "How soon", "Why"), rows=rows)


def _care(title: str, options: Sequence[PlannedCare], references: References) -> Block:
    columns = ("Option", "Evidence", "What was shown", "Cautions here")
    rows = tuple(_option(o, references) for o in options)
    return Block(title, paragraphs=(EVIDENCE_LEVELS,), columns=columns, rows=rows)


def _option(option: PlannedCare, references: References) -> tuple[str, ...]:
    name = f"{option.label} ({word('care_roles', option.role.value)})"
    if option.off_label:
        name += ". Off-label"
    if option.ruled_out:
        name += ". LEFT OUT HERE"
    shown = f"{references.claim(option.effect)} Time: {references.claim(option.time)}"
    if option.off_label:
        shown += f" Licence: {references.claim(option.licence)}"
    return (name, option.level.value, shown, "; ".join(_caution(c, references) for c in option.cautions))


def _caution(caution: PlannedCaution, references: References) -> str:
    known = "" if caution.state.value == "present" else "ask: "
    return f"{known}{caution.label} ({word('caution_actions', caution.action.value)}) {references.claim(caution.basis)}"


def _follow_up(item: PlannedFollowUp, references: References) -> str:
    when = f"after {item.weeks[0]:g} to {item.weeks[1]:g} weeks: " if item.weeks else ""
    return f"{when}{references.claim(item.advice)}"
