"""Reasoning as blocks of text: the checks, the ranked causes, what would settle it, the plan, each with its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marrowscope.report.references import References
from marrowscope.report.view import Block, CauseLine
from marrowscope.report.words import percent_text, word

if TYPE_CHECKING:
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.reasoning.checks import Check, Hit
    from marrowscope.reasoning.differential import Differential, Row, Term
    from marrowscope.reasoning.questions import NextItem

CAUSES_SHOWN = 8
"""Listed causes on paper; ``assessment.json`` ranks them all."""

REASONS_SHOWN = 4
"""Reasons for and against a cause, strongest first."""

QUESTIONS_SHOWN = 5
"""Open questions and tests listed, most informative first."""

MINUS, NO_BREAK = "−", "\u00a0"
NO_SIGN, INCOMPLETE = "no_sign", "incomplete"


def reasoning_parts(raw: Mapping[str, Any] | None, references: References) -> dict[str, Any]:
    """The fields of :class:`ReportView` that come from reasoning; none without it.

    Args:
        raw: ``Assessment.reasoning``.
        references: gives each source its number; the caller lists them.
    """
    if not raw:
        return {}
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.report.planned import plan_blocks

    reasoning = Reasoning.from_dict(dict(raw))
    return {
        "checks": tuple(check_block(c, references) for c in reasoning.checks),
        "checks_first": any(c.level.value != NO_SIGN for c in reasoning.checks),
        "causes": cause_lines(reasoning.differential, references),
        "ranking_notes": _ranking_notes(reasoning),
        "plan": (*_settling(reasoning), *plan_blocks(reasoning.plan, references)),
    }


def check_block(check: Check, references: References) -> Block:
    """One check: its level and answer first, then why, what is open, who acts and when."""
    level = check.level.value
    hits = [_hit(h, references, "red flag: ") for h in check.flags]
    bullets = [_hit(h, references) for h in check.met] + hits
    bullets += [_hit(h, references, f"explained by {', '.join(h.explained)}: ") for h in check.explained]
    lines = [
        ("Explained by", check.explained_by),
        ("Not assessed", check.not_assessed),
        ("What would settle it", check.settle),
        ("Who should act", (f"{check.who}, {check.within}",) if check.who and check.within else ()),
    ]
    return Block(
        title=f"{check.label}: {word('check_levels', level)}",
        tone="alert" if check.level.positive else "plain",
        lead=check.answer,
        bullets=tuple(bullets),
        paragraphs=tuple(f"{name}: {sentence(parts)}" for name, parts in lines if parts),
        fine_print=(f"What this check cannot see: {sentence(check.limits)}",) if check.limits else (),
    )


def sentence(parts: Sequence[str]) -> str:
    """Parts joined by semicolons into one sentence, whatever each ended with."""
    return "; ".join(part.rstrip(" .") for part in parts) + "."


def _hit(hit: Hit, references: References, before: str = "") -> str:
    because = f" ({', '.join(hit.because)})" if hit.because else ""
    return f"{before}{references.claim(hit.claim)}{because}"


def cause_lines(differential: Differential, references: References) -> tuple[CauseLine, ...]:
    """The most probable listed causes, then the share that no listed cause explains."""
    from marrowscope.reasoning.table import UNLISTED

    listed = [r for r in differential.rows if r.cause != UNLISTED][:CAUSES_SHOWN]
    unlisted = [r for r in differential.rows if r.cause == UNLISTED]
    return tuple(_cause(n, row, references) for n, row in enumerate([*listed, *unlisted], start=1))


def _cause(rank: int, row: Row, references: References) -> CauseLine:
    from marrowscope.reasoning.differential import group_label
    from marrowscope.reasoning.table import UNLISTED

    return CauseLine(
        rank=rank,
        label=row.label,
        group="" if row.cause == UNLISTED else group_label(row.group),
        share_text=percent_text(row.probability),
        range_text=f"{percent_text(row.low)} to {percent_text(row.high)}",
        share=row.probability,
        reasons_for=_terms(row.reasons_for, references),
        reasons_against=_terms(row.reasons_against, references),
    )


def _terms(terms: Sequence[Term], references: References) -> tuple[str, ...]:
    return tuple(f"{t.label} {decibans_text(t.decibans)} {references.keys(t.sources)}" for t in terms[:REASONS_SHOWN])


def decibans_text(decibans: float) -> str:
    """``+7.4 dB`` or ``−0.8 dB``, kept on one line."""
    return f"{decibans:+.1f}{NO_BREAK}dB".replace("-", MINUS)


def _ranking_notes(reasoning: Reasoning) -> tuple[str, ...]:
    rows = reasoning.differential.rows
    setting = reasoning.differential.setting.replace("_", " ")
    shown = (
        f"{min(CAUSES_SHOWN, len(rows) - 1)} of {len(rows) - 1} causes are shown, ranked for the setting: {setting}.",
        "The range is over all settings and over the doubt of the cause's prior.",
        "Evidence is in decibans (dB): +10 dB makes a cause ten times as likely against the same fixed background.",
    )
    return (*shown, *reasoning.notes)


def _settling(reasoning: Reasoning) -> tuple[Block, ...]:
    parts = (("What to ask next", reasoning.next_questions), ("What to test next", reasoning.next_tests))
    return tuple(
        Block(title, bullets=tuple(_item(i) for i in items[:QUESTIONS_SHOWN])) for title, items in parts if items
    )


def _item(item: NextItem) -> str:
    answers = "; ".join(
        f"{a.level} ({percent_text(a.chance)}): {a.group} {percent_text(a.probability)}" for a in item.answers
    )
    return f"{item.label} ({item.step_label}). {answers}"
