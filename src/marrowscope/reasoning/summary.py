"""The answer as plain text for the screen: what leads and why, the three checks, what next."""

from __future__ import annotations

from collections.abc import Iterator

from marrowscope.knowledge.load import sources
from marrowscope.reasoning.answer import Reasoning
from marrowscope.reasoning.checks import Check
from marrowscope.reasoning.differential import Row, Term
from marrowscope.reasoning.plan_text import plan_lines
from marrowscope.reasoning.questions import NextItem

CAUSES_SHOWN = 5
REASONS_SHOWN = 4
ITEMS_SHOWN = 3
TITLE_SHOWN = 60
"""Lines a reader takes in at once; everything else is in the results folder and in ``--json``."""


def summary(reasoning: Reasoning, shown: int = CAUSES_SHOWN) -> str:
    """The whole answer as text.

    Args:
        reasoning: the answer. shown: how many causes.
    """
    parts = [
        *_causes(reasoning, shown),
        *(line for check in reasoning.checks for line in _check(check)),
        *_next(reasoning),
        *plan_lines(reasoning.plan),
        *(f"Note: {note}" for note in reasoning.notes),
        "Draft for a clinician to decide upon; figures are probabilities among what was asked, not a diagnosis.",
    ]
    return "\n".join(parts)


def _causes(reasoning: Reasoning, shown: int) -> Iterator[str]:
    setting = reasoning.differential.setting
    yield f"Causes (prior for {setting.replace('_', ' ')} setting; range over settings and doubt of the prior)"
    for i, row in enumerate(reasoning.differential.rows[:shown], 1):
        yield from _row(i, row)


def _row(place: int, row: Row) -> Iterator[str]:
    share = f"{row.probability:.0%} ({row.low:.0%} to {row.high:.0%})"
    yield f"  {place}. {row.label}  {share}  [{row.group.replace('_', ' ')}]"
    for sign, terms in (("for", row.reasons_for), ("against", row.reasons_against)):
        if terms:
            yield f"     {sign}: " + "; ".join(_term(term) for term in terms[:REASONS_SHOWN])


def _term(term: Term) -> str:
    if term.sources:
        basis = sources()[term.sources[0]].title[:TITLE_SHOWN]
    elif term.association:
        basis = f"judgement; stated by {sources()[term.association[0]].title[:TITLE_SHOWN]}"
    else:
        basis = "judgement"
    return f"{term.label} {term.decibans:+.1f} dB ({basis})"


def _check(check: Check) -> Iterator[str]:
    yield f"{check.question} {check.answer}"
    for name, hits in (("because", check.met), ("explained away", check.explained), ("flags", check.flags)):
        if hits:
            yield f"  {name}: " + "; ".join(hit.claim.text for hit in hits)
    if check.explained_by and not check.met:
        yield "  the signal is explained by: " + ", ".join(check.explained_by[:REASONS_SHOWN])
    if check.not_assessed:
        yield "  not assessed: " + "; ".join(check.not_assessed)
    if check.settle:
        yield "  would settle it: " + "; ".join(check.settle)
    yield f"  who: {check.who}; within: {check.within}"


def _next(reasoning: Reasoning) -> Iterator[str]:
    for name, items in (("Ask next", reasoning.next_questions), ("Test next", reasoning.next_tests)):
        yield name
        yield from (f"  {_item(item)}" for item in items[:ITEMS_SHOWN])
        if not items:
            yield "  nothing would move the ranking by much; the plan says what the cause needs"


def _item(item: NextItem) -> str:
    answers = "; ".join(f"{answer.level}: {answer.group} {answer.probability:.0%}" for answer in item.answers)
    return f"{item.step_label}: {item.label} ({item.gain:.2f} bit; {answers})"
