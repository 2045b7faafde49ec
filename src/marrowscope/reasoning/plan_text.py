"""The plan as lines for a terminal: the urgent first, options with what to mind, left-out ones with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from marrowscope.findings import State
from marrowscope.knowledge.care import Action
from marrowscope.reasoning.plan_types import Plan, PlannedCare, PlannedTest

CARE_SHOWN = 10
"""Options shown; the report holds all of them."""


def plan_lines(plan: Plan) -> Iterator[str]:
    """The plan in short: tests, referral, options, what is left out and why, what to ask, follow-up, when to come."""
    yield f"Plan ({plan.urgency})"
    yield from (f"  test: {_test(test)}" for test in plan.tests)
    yield from (f"  avoid: {advice.label}: {advice.basis.text}" for advice in plan.avoid)
    yield from (f"  refer: {advice.label}: {advice.basis.text}" for advice in plan.refer)
    yield from (f"  care: {_option(option)}" for option in plan.offered[:CARE_SHOWN])
    yield from (f"  left out here: {_left_out(option)}" for option in plan.care if option.ruled_out)
    yield from (f"  not to be used: {option.label}: {option.effect.text}" for option in plan.not_to_use)
    if plan.ask_first:
        yield f"  ask before choosing: {' '.join(plan.ask_first)}"
    yield from (f"  follow-up: {item.advice.text}" for item in plan.follow_up)
    yield from (f"  {advice.label.lower()}: {advice.basis.text}" for advice in plan.at_once)


def _test(test: PlannedTest) -> str:
    return f"{test.label}, {test.urgency}: {' '.join(reason.text for reason in test.reasons)}"


def _option(option: PlannedCare) -> str:
    off_label = ", off-label" if option.off_label else ""
    mind = "; ".join(c.basis.text for c in option.applying)
    minded = f" Mind: {mind}" if mind else ""
    return f"{option.label} ({option.role}, evidence {option.level}{off_label}).{minded}"


def _left_out(option: PlannedCare) -> str:
    reasons = [c for c in option.cautions if c.state is State.PRESENT and c.action is Action.AVOID]
    return f"{option.label}: {'; '.join(f'{c.label.lower()}: {c.basis.text}' for c in reasons)}"
