"""Change since an earlier visit as blocks of text and tables, from ``Assessment.change``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.measurement import Measurement
from marrowscope.report.view import Block
from marrowscope.report.words import word

TONES = {"increase": "alert"}


def change_blocks(change: Mapping[str, Any] | None) -> tuple[Block, ...]:
    """Summary and exam-wide numbers, then lesion by lesion, then how well the visits fit; none without a prior."""
    if not change:
        return ()
    return tuple(block for block in (_overview(change), _lesions(change), _fits(change)) if block is not None)


def _overview(change: Mapping[str, Any]) -> Block:
    dates = f"{change['prior_date'] or 'date not stated'} to {change['current_date'] or 'date not stated'}"
    rows = tuple(
        (
            word("measurements", d["code"]),
            _number(d["before"]),
            _number(d["after"]),
            _interval(d["difference"]),
            d["verdict"],
        )
        for d in change["deltas"]
    )
    limits = tuple(
        f"{word('measurements', d['code'])}: smallest detectable change {d['limit']}" for d in change["deltas"]
    )
    return Block(
        title=dates,
        lead=change["summary"],
        bullets=tuple(f"Limit of this comparison: {r}" for r in change["reasons"]),
        columns=("Measure", "Before", "Now", "Difference", "Verdict"),
        rows=rows,
        fine_print=limits,
    )


def _lesions(change: Mapping[str, Any]) -> Block | None:
    if not change["lesions"]:
        return None
    rows = tuple(
        (x["place"], x["fate"], _codes(x["prior"]), _codes(x["current"]), _number(x["before"]), _number(x["after"]))
        for x in change["lesions"]
    )
    return Block(
        title="Lesion by lesion",
        columns=("Where", "What became of it", "Before", "Now", "Volume before", "Volume now"),
        rows=rows,
    )


def _fits(change: Mapping[str, Any]) -> Block | None:
    if not change["fits"]:
        return None
    bullets = tuple(
        f"{f['bone'].replace('_', ' ')}: masks overlap {f['dice_before']:.2f} before and {f['dice_after']:.2f} after"
        f" registration (Dice); {100 * f['covered']:.0f} % of it in view at both visits"
        for f in change["fits"]
    )
    return Block(title="How the visits were laid on each other", bullets=bullets)


def _codes(codes: list[str]) -> str:
    return ", ".join(c.replace("lesion_", "") for c in codes) or "none"


def _number(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    return m.reason if m.value is None else f"{m.value:.2f} {'' if m.unit == '1' else m.unit}".strip()


def _interval(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    if m.value is None:
        return "not assessable"
    ends = f" ({m.low:+.2f} to {m.high:+.2f})" if m.low is not None and m.high is not None else ""
    return f"{m.value:+.2f} {'' if m.unit == '1' else m.unit}".strip() + ends
