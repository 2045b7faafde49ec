"""CDS Hooks cards from one reasoning: checks first, then causes, then the next test; and what fits an order."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marrowscope import __version__
from marrowscope.exchange.cds_orders import IMAGING
from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.checks import Level
from marrowscope.reasoning.questionnaire import LOCAL_SYSTEM, coding
from marrowscope.reasoning.table import UNLISTED

if TYPE_CHECKING:
    from marrowscope.exchange.cds_orders import Order
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.reasoning.checks import Check
    from marrowscope.reasoning.intake import Intake
    from marrowscope.reasoning.plan_types import PlannedTest

SUMMARY_LENGTH: Final = 139
"""A summary is shorter than 140 characters (CDS Hooks 2.0, card attributes)."""

SHOWN_CAUSES: Final = 5
SHOWN_TESTS: Final = 3

IN_WORDS: Final = {
    Urgency.EMERGENCY: "same day",
    Urgency.URGENT: "within two weeks",
    Urgency.SOON: "within six weeks",
    Urgency.ROUTINE: "not urgent",
}
PRESSING: Final = (Urgency.EMERGENCY, Urgency.URGENT)

NOT_ORDERED: Final = frozenset({"examination"})
"""Tests that a clinician does on the spot."""

OVERRIDE: Final = (
    coding("already_known", "Already known and acted on"),
    coding("not_applicable", "Does not apply to this patient"),
    coding("clinical_judgement", "Clinical judgement"),
)
"""Reasons a clinician may give for setting a warning aside."""


@dataclass(frozen=True)
class Deck:
    """Makes cards whose ids are derived from the call, so that the same call gives the same cards.

    Attributes:
        instance: hookInstance. patient_id: id of the Patient that suggestions are for.
    """

    instance: str
    patient_id: str

    def card(
        self, topic: str, label: str, indicator: str, summary: str, lines: Iterable[str], **more: Any
    ) -> dict[str, Any]:
        """One card; ``lines`` are markdown."""
        source = {"label": f"marrowscope {__version__}, for research use", "topic": coding(topic, label)}
        loud = {"overrideReasons": [dict(r) for r in OVERRIDE]} if indicator != "info" else {}
        return {
            "uuid": self.id(topic),
            "summary": shortened(summary),
            "detail": "\n".join(lines),
            "indicator": indicator,
            "source": source,
            **loud,
            **more,
        }

    def id(self, name: str) -> str:
        """A UUID of this call."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.instance}\x1f{name}"))

    def suggestions(self, tests: Sequence[PlannedTest]) -> dict[str, Any]:
        """Draft proposals of tests, one to choose; nothing when there is none."""
        orderable = [t for t in tests if t.test not in NOT_ORDERED]
        if not orderable:
            return {}
        made = [
            {
                "label": f"Propose: {t.label}",
                "uuid": self.id(f"suggest {t.test}"),
                "isRecommended": n == 0,
                "actions": [{"type": "create", "description": f"Draft {t.label}", "resource": self._request(t)}],
            }
            for n, t in enumerate(orderable)
        ]
        return {"suggestions": made, "selectionBehavior": "at-most-one"}

    def _request(self, test: PlannedTest) -> dict[str, Any]:
        """A proposal, never an order: intent ``proposal``, status ``draft``."""
        return {
            "resourceType": "ServiceRequest",
            "status": "draft",
            "intent": "proposal",
            "priority": "stat"
            if test.urgency is Urgency.EMERGENCY
            else "urgent"
            if test.urgency in PRESSING
            else "routine",
            "code": {
                "coding": [{"system": LOCAL_SYSTEM, "code": test.test, "display": test.label}],
                "text": test.label,
            },
            "subject": {"reference": f"Patient/{self.patient_id}"},
            "note": [{"text": "; ".join(reason.text for reason in test.reasons)}] if test.reasons else [],
        }


def shortened(text: str) -> str:
    """At most :data:`SUMMARY_LENGTH` characters, cut between words."""
    if len(text) <= SUMMARY_LENGTH:
        return text
    return text[: SUMMARY_LENGTH - 3].rsplit(" ", 1)[0].rstrip(",;") + "..."


def view_cards(deck: Deck, reasoning: Reasoning) -> list[dict[str, Any]]:
    """Cards of ``patient-view``: checks that are raised or that a red flag holds open, causes, next test."""
    made = [card for check in reasoning.checks if (card := check_card(deck, check)) is not None]
    return [*made, _causes(deck, reasoning), *_next(deck, reasoning)]


def check_card(deck: Deck, check: Check) -> dict[str, Any] | None:
    """Critical when raised, a warning when a red flag stands; None when calm."""
    if not check.level.positive and not (check.level is Level.INCOMPLETE and check.flags):
        return None
    words = check.level.value.replace("_", " ")
    lines = [f"**{check.question}** {check.answer}", ""]
    lines += [
        f"- {hit.claim.text} ({', '.join(hit.because)})" if hit.because else f"- {hit.claim.text}"
        for hit in (*check.met, *check.flags)
    ]
    lines += [f"- Not assessed: {'; '.join(check.not_assessed)}"] if check.not_assessed else []
    lines += [f"- What would settle it: {'; '.join(check.settle)}"] if check.settle else []
    lines += [f"- Who, within: {check.who}, {check.within}"] if check.who else []
    flags = ", ".join(f"{', '.join(hit.because) or hit.id}" for hit in check.flags)
    summary = f"{check.label}: {words}" + (f"; red flag: {flags}" if flags else "")
    return deck.card(
        f"check_{check.kind}", check.label, "critical" if check.level.positive else "warning", summary, lines
    )


def _causes(deck: Deck, reasoning: Reasoning) -> dict[str, Any]:
    rows = [row for row in reasoning.differential.rows if row.cause != UNLISTED][:SHOWN_CAUSES]
    summary = f"Bone marrow edema: consider {', '.join(row.label for row in rows[:3])}"
    lines = [
        f"{n}. {r.label}: {100 * r.probability:.0f} % ({100 * r.low:.0f} to {100 * r.high:.0f})"
        for n, r in enumerate(rows, 1)
    ]
    lines += ["", *(f"- {note}" for note in reasoning.notes)]
    if reasoning.next_questions:
        lines.append(f"- Next question: {reasoning.next_questions[0].label}")
    return deck.card("causes", "Causes", "info", summary, lines)


def _open(reasoning: Reasoning) -> list[PlannedTest]:
    return [test for test in reasoning.plan.tests if not test.done]


def _next(deck: Deck, reasoning: Reasoning) -> list[dict[str, Any]]:
    wanted = _open(reasoning)[:SHOWN_TESTS]
    if not wanted:
        return []
    summary = f"Next test: {wanted[0].label} ({IN_WORDS[wanted[0].urgency]})"
    return [deck.card("next_test", "Next test", "info", summary, map(_line, wanted), **deck.suggestions(wanted))]


def _line(test: PlannedTest) -> str:
    reasons = "; ".join(reason.text for reason in test.reasons)
    return f"- **{test.label}**, {IN_WORDS[test.urgency]}: {reasons}"


def order_cards(deck: Deck, reasoning: Reasoning, intake: Intake, orders: Sequence[Order]) -> list[dict[str, Any]]:
    """Cards of ``order-select``: whether each imaging order of this joint is the next test; raised checks with them."""
    concerned = [o for o in orders if o.test and o.concerns(intake.site)]
    if not concerned:
        return []
    raised = [c for check in reasoning.checks if check.level.positive and (c := check_card(deck, check)) is not None]
    return [*raised, *(_order_card(deck, reasoning, order) for order in concerned)]


def _order_card(deck: Deck, reasoning: Reasoning, order: Order) -> dict[str, Any]:
    from marrowscope.knowledge.lay import tests

    label = tests()[order.test].label
    planned = next((t for t in reasoning.plan.tests if t.test == order.test), None)
    images = [t for t in _open(reasoning) if t.test in IMAGING]
    first = [t for t in images if t.test != order.test]
    ahead = _ahead(images, order.test)

    def card(indicator: str, summary: str, lines: Iterable[str], tests_: Sequence[PlannedTest] = ()) -> dict[str, Any]:
        topic = f"order {order.reference}"
        made = deck.card(topic, "Order", indicator, summary, lines, **deck.suggestions(tests_))
        return {**made, "source": {**made["source"], "topic": coding("order", "Imaging order")}}

    if planned is not None and planned.done:
        return card(
            "warning",
            f"{label} was done already: read it for this question before it is repeated",
            [_line(planned)],
            first[:1],
        )
    if planned is not None and not ahead:
        return card("info", f"{label} is the next test here ({IN_WORDS[planned.urgency]})", [_line(planned)])
    if not first:
        return card(
            "info", f"{label}: the plan for this patient asks for no images", [f"- {tests()[order.test].role.text}"]
        )
    indicator = "warning" if ahead and ahead[0].urgency in PRESSING else "info"
    shown = (ahead or first)[:SHOWN_TESTS]
    lines = [*map(_line, shown), *(f"- {label} cannot show: {claim.text}" for claim in tests()[order.test].cannot[:1])]
    lines += [_line(planned)] if planned is not None else []
    return card(indicator, f"Before {label}: {shown[0].label} ({IN_WORDS[shown[0].urgency]})", lines, shown)


def _ahead(wanted: Sequence[PlannedTest], test: str) -> list[PlannedTest]:
    """Open tests that the plan puts before this one; all of them when it is not planned."""
    names = [t.test for t in wanted]
    return list(wanted[: names.index(test)] if test in names else wanted)
