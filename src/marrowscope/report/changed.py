"""Change since an earlier visit as blocks of text and tables, from ``Assessment.change``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.followup.types import fate_words
from marrowscope.measurement import Measurement
from marrowscope.report.view import Block
from marrowscope.report.words import word

LINE_FROM = 2
"""More visits than this are shown on a line."""


def change_blocks(change: Mapping[str, Any] | None) -> tuple[Block, ...]:
    """Summary and exam-wide numbers, then lesion by lesion, then how well the visits fit; none without a prior."""
    if not change:
        return ()
    blocks = (_overview(change), _lesions(change), _visits(change), _fits(change))
    return tuple(block for block in blocks if block is not None)


def _overview(change: Mapping[str, Any]) -> Block:
    dates = f"{change['prior_date'] or 'date not stated'} to {change['current_date'] or 'date not stated'}"
    rows = tuple(
        (
            word("measurements", d["code"]),
            _number(d["before"]),
            _number(d["after"]),
            _interval(d["difference"]),
            _ratio(d["ratio"]),
            d["verdict"],
        )
        for d in change["deltas"]
    )
    limits = tuple(
        f"{word('measurements', d['code'])}: smallest detectable change {d['limit']}" for d in change["deltas"]
    )
    basis = "Interval of a ratio: the smallest detectable change. Interval of a difference: what both visits' own "
    basis += "intervals allow, where they have one, else the smallest detectable change."
    return Block(
        title=dates,
        lead=change["summary"],
        bullets=tuple(f"Limit of this comparison: {r}" for r in change["reasons"]),
        columns=("Measure", "Before", "Now", "Difference", "Ratio", "Verdict"),
        rows=rows,
        fine_print=(basis, *limits),
    )


def _lesions(change: Mapping[str, Any]) -> Block | None:
    if not change["lesions"]:
        return None
    rows = tuple(
        (
            x["place"],
            fate_words(x["fate"], x["measurable"]),
            f"{_codes(x['prior'])} to {_codes(x['current'])}",
            _number(x["before"]),
            _number(x["after"]),
            _ratio(x["ratio"]),
            f"{_value(x['brightness_before'])} to {_value(x['brightness_after'])}",
        )
        for x in change["lesions"]
    )
    return Block(
        title="Lesion by lesion",
        columns=("Where", "What became of it", "Numbers", "Volume before", "Volume now", "Ratio", "Brightness"),
        rows=rows,
        fine_print=(
            "Too small to be sure: its volume does not pass the smallest detectable change. "
            "Brightness: median over reference marrow, weighted by volume where lesions split or merged.",
        ),
    )


def _visits(change: Mapping[str, Any]) -> Block | None:
    """Every visit on one line, where there are more than two."""
    if len(change["visits"]) <= LINE_FROM:
        return None
    rows = tuple(
        (
            str(n),
            v["date"] or "date not stated",
            _number(v["volume"]),
            "" if n == 1 else "yes" if v["comparable"] else "no",
        )
        for n, v in enumerate(change["visits"], start=1)
    )
    return Block(
        title="All visits", columns=("Visit", "Date", "Edema volume", "Comparable with the one before"), rows=rows
    )


def _fits(change: Mapping[str, Any]) -> Block | None:
    if not change["fits"]:
        return None
    bullets = tuple(
        f"{f['bone'].replace('_', ' ')}: masks overlap {f['dice_before']:.2f} before and {f['dice_after']:.2f} after"
        f" rigid registration (Dice), surfaces {f['residual_mm']:.1f} mm apart; it had turned"
        f" {f['turn_deg']:.1f} degrees and moved {f['shift_mm']:.0f} mm;"
        f" {100 * f['covered']:.0f} % of it in view at both visits"
        for f in change["fits"]
    )
    return Block(title="How the visits were laid on each other", bullets=bullets)


def _codes(codes: list[str]) -> str:
    return ", ".join(c.replace("lesion_", "") for c in codes) or "none"


def _ratio(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    if m.value is None:
        return ""
    ends = f" ({m.low:.2f} to {m.high:.2f})" if m.low is not None and m.high is not None else ""
    return f"{m.value:.2f}{ends}"


def _value(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    return "none" if m.value is None else f"{m.value:.2f}"


def _number(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    return m.reason if m.value is None else f"{m.value:.2f} {'' if m.unit == '1' else m.unit}".strip()


def _interval(data: Mapping[str, Any]) -> str:
    m = Measurement.from_dict(dict(data))
    if m.value is None:
        return "not assessable"
    ends = f" ({m.low:+.2f} to {m.high:+.2f})" if m.low is not None and m.high is not None else ""
    return f"{m.value:+.2f} {'' if m.unit == '1' else m.unit}".strip() + ends
