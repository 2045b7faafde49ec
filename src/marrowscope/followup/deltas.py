"""Exam-wide numbers at two visits: difference and ratio with their intervals, and the verdict against the limit."""

from __future__ import annotations

from collections.abc import Iterable

from marrowscope.assessment.types import Assessment, LesionRecord
from marrowscope.followup.comparable import bones_given
from marrowscope.followup.sdc import ABSOLUTE, RATIO, Limit, limits_of, passes
from marrowscope.followup.types import Delta
from marrowscope.measurement import Measurement

NO_CHANGE = "no measurable change"
UNKNOWN = "change of unknown significance"
NOT_ASSESSABLE = "not assessable"

VOLUME, BRIGHTNESS = "edema_volume", "edema_brightness"
"""Measures of the whole exam: cm3, and the edema's brightness over reference marrow weighted by lesion volume."""

BOTH = "intervals of both visits"
SDC = "smallest detectable change"


def volume_of(lesions: Iterable[LesionRecord], code: str = "volume") -> Measurement:
    """Volume of several lesions together in cm3, 0 for none, with the sum of their intervals."""
    volumes = [m for x in lesions if (m := x.measurement("volume")) is not None and m.value is not None]
    value = sum(m.value or 0.0 for m in volumes)
    low = sum(m.low if m.low is not None else m.value or 0.0 for m in volumes)
    high = sum(m.high if m.high is not None else m.value or 0.0 for m in volumes)
    basis = "; ".join(sorted({m.interval_basis for m in volumes if m.interval_basis})) or "no lesion"
    return Measurement.of(code, value, "cm3", (low, high), basis)


def brightness_of(lesions: Iterable[LesionRecord], code: str = BRIGHTNESS) -> Measurement:
    """Fluid brightness over reference marrow of several lesions together, weighted by their volumes."""
    pairs = []
    for lesion in lesions:
        size, bright = lesion.measurement("volume"), lesion.measurement("fluid_over_reference")
        if size is not None and size.value and bright is not None and bright.value is not None:
            pairs.append((size.value, bright.value))
    if not pairs:
        return Measurement.not_assessable(code, "1", "no edema whose brightness was measured")
    return Measurement.of(code, sum(v * b for v, b in pairs) / sum(v for v, _ in pairs), "1")


def exam_deltas(
    prior: Assessment, current: Assessment, left_out: frozenset[str], reasons: tuple[str, ...]
) -> tuple[Delta, ...]:
    """Volume, brightness, and every score that both visits have.

    Args:
        left_out: bones that could not be compared; their edema does not count at either visit. Scores count it all the
            same, so that none is compared where such a bone had any.
        reasons: why nothing may be compared; empty = it may.
    """
    before, after = ([x for x in a.edema if x.bone not in left_out] for a in (prior, current))
    volumes = [_total(a, x, left_out) for a, x in ((prior, before), (current, after))]
    earlier = {s.id: s for s in prior.scores}
    gone = sorted({x.bone for a in (prior, current) for x in a.edema if x.bone in left_out})
    counted = (*reasons, *(f"the score counts the {b.replace('_', ' ')}, which was left out" for b in gone))

    def limits(code: str) -> tuple[Limit, ...]:
        return limits_of(code, current.site, bones_given(prior, current))

    return (
        delta(VOLUME, volumes[0], volumes[1], reasons, limits(VOLUME)),
        delta(
            BRIGHTNESS, brightness_of(before), brightness_of(after), reasons, limits(BRIGHTNESS)
        ),
        *(delta(s.id, earlier[s.id].total, s.total, counted, limits(s.id)) for s in current.scores if s.id in earlier),
    )  # fmt: skip


def _total(a: Assessment, lesions: list[LesionRecord], left_out: frozenset[str]) -> Measurement:
    total = a.total(VOLUME)
    if total is None:
        return Measurement.not_assessable(VOLUME, "cm3", "the visit has no edema volume")
    return volume_of(lesions, VOLUME) if left_out and total.measured else total


def delta(
    code: str, before: Measurement, after: Measurement, reasons: tuple[str, ...], limits: tuple[Limit, ...]
) -> Delta:
    """One number at both visits, judged."""
    words = "; ".join(x.words for x in limits) or "not known"
    if reasons or before.value is None or after.value is None:
        why = "; ".join(reasons) or before.reason or after.reason
        missing = (
            Measurement.not_assessable(f"{code}_change", after.unit, why),
            Measurement.not_assessable(f"{code}_ratio", "1", why),
        )
        return Delta(code, before, after, *missing, NOT_ASSESSABLE, words)
    change = after.value - before.value
    interval, basis = _interval(before, after, limits)
    difference = Measurement.of(f"{code}_change", change, after.unit, interval, basis)
    verdict = _verdict(change, passes(limits, before.value, after.value))
    return Delta(code, before, after, difference, ratio_of(code, before, after, limits), verdict, words)


def _interval(
    before: Measurement, after: Measurement, limits: tuple[Limit, ...]
) -> tuple[tuple[float, float] | None, str]:
    """Interval of a difference: from both visits' own intervals, else from the limit in the measure's unit."""
    if before.low is not None and before.high is not None and after.low is not None and after.high is not None:
        return (after.low - before.high, after.high - before.low), BOTH
    sizes = [x.size for x in limits if x.kind == ABSOLUTE]
    if not sizes or before.value is None or after.value is None:
        return None, ""
    change = after.value - before.value
    return (change - max(sizes), change + max(sizes)), SDC


def ratio_of(code: str, before: Measurement, after: Measurement, limits: tuple[Limit, ...] = ()) -> Measurement:
    """After over before; its interval is the ratio divided and multiplied by the largest known factor."""
    if not before.value or after.value is None:
        return Measurement.not_assessable(f"{code}_ratio", "1", "nothing to compare with at the prior visit")
    ratio = after.value / before.value
    factors = [x.size for x in limits if x.kind == RATIO]
    interval = (ratio / max(factors), ratio * max(factors)) if factors else None
    return Measurement.of(f"{code}_ratio", ratio, "1", interval, SDC if interval else "")


def _verdict(change: float, passed: bool | None) -> str:
    if passed is None:
        return UNKNOWN if change else NO_CHANGE
    if not passed:
        return NO_CHANGE
    return "increase" if change > 0 else "decrease"
