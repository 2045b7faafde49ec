"""Two visits of one joint, compared: checks first, then bones, lesions, totals and scores."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from marrowscope.assessment.types import Assessment
from marrowscope.followup.comparable import limits, obstacles
from marrowscope.followup.match import Group, match
from marrowscope.followup.register import BoneTransform, register_bone
from marrowscope.followup.types import Change, Delta, Fate, LesionChange, Visit
from marrowscope.measurement import Measurement
from marrowscope.scoring.types import Score

MINIMUM_FIT_DICE = 0.8
"""A bone whose registered masks overlap less is not the same bone in the same state: its lesions are not matched."""

MINIMUM_COVERED = 0.8
"""Share of a bone that both fields of view must hold before its edema is compared."""

NO_CHANGE = "no measurable change"
UNKNOWN = "change of unknown significance"
NOT_ASSESSABLE = "not assessable"


def compare(prior: Visit, current: Visit) -> Change:
    """What changed from ``prior`` to ``current``.

    Sizes are compared only between matching side, site, sequence class, plane, field and coverage; otherwise every
    difference is ``not_assessable`` with the reason.
    """
    a, b = prior.assessment, current.assessment
    reasons = obstacles(a, b)
    transforms = {} if reasons else _transforms(prior, current)
    if not reasons:
        reasons = _poor_fits(prior, transforms)
    comparable = not reasons
    lesions = tuple(_lesion_change(g, b) for g in match(prior, current, transforms)) if comparable else ()
    deltas = (_volume_delta(a, b, reasons), *_score_deltas(a, b, reasons))
    return Change(
        comparable=comparable,
        reasons=(*reasons, *limits(a, b)),
        prior_date=a.provenance.study_date,
        current_date=b.provenance.study_date,
        fits=tuple(t.fit for t in transforms.values()),
        lesions=lesions,
        deltas=deltas,
        summary=_summary(comparable, reasons, lesions, deltas),
    )


def _transforms(prior: Visit, current: Visit) -> dict[str, BoneTransform]:
    shared = [c for c in prior.bones.codes if c in current.bones.codes]
    found = {code: register_bone(code, prior.bones, current.bones) for code in shared}
    return {code: t for code, t in found.items() if t is not None}


def _poor_fits(prior: Visit, transforms: dict[str, BoneTransform]) -> tuple[str, ...]:
    """Bones with edema at the prior visit, or all bones, that could not be laid on each other."""
    needed = {x.bone for x in prior.assessment.edema if x.bone} or set(prior.bones.codes[:1])
    problems = []
    for bone in sorted(needed):
        fit = transforms[bone].fit if bone in transforms else None
        if fit is None or fit.dice_after < MINIMUM_FIT_DICE:
            problems.append(f"the {bone.replace('_', ' ')} of both visits could not be laid on each other")
        elif fit.covered < MINIMUM_COVERED:
            problems.append(f"only {100 * fit.covered:.0f} % of the {bone.replace('_', ' ')} is in view at both visits")
    return tuple(problems)


def _lesion_change(group: Group, current: Assessment) -> LesionChange:
    before, after = _sum(group.prior), _sum(group.current)
    ratio = _ratio(before, after)
    measurable = _passes_volume(before, after, current.site)
    fate = group.shape
    if fate is Fate.PERSISTING and measurable and before.value is not None and after.value is not None:
        fate = Fate.GROWN if after.value > before.value else Fate.SHRUNK
    place = (*group.current, *group.prior)[0].place
    codes = tuple(x.code for x in group.prior), tuple(x.code for x in group.current)
    return LesionChange(fate, *codes, place, before, after, ratio, measurable)


def _sum(lesions: tuple[Any, ...]) -> Measurement:
    volumes = [m for x in lesions if (m := x.measurement("volume")) is not None and m.value is not None]
    value = sum(m.value for m in volumes)
    low = sum(m.low if m.low is not None else m.value for m in volumes)
    high = sum(m.high if m.high is not None else m.value for m in volumes)
    return Measurement.of("volume", value, "cm3", (low, high), "plausible thresholds")


def _ratio(before: Measurement, after: Measurement) -> Measurement:
    if not before.value or after.value is None:
        return Measurement.not_assessable("volume_ratio", "1", "nothing to compare with at the prior visit")
    return Measurement.of("volume_ratio", after.value / before.value, "1")


@cache
def _sdc() -> dict[str, Any]:
    text = (resources.files("marrowscope.followup") / "data" / "sdc.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def volume_limit(site: str) -> dict[str, Any] | None:
    """The smallest detectable change of volume at a site, or None where none is known."""
    return next((x for x in _sdc()["volume"] if site in x["sites"]), None)


def _passes_volume(before: Measurement, after: Measurement, site: str) -> bool | None:
    """Whether a change of volume passes the site's limit; appearing or vanishing passes the floor or not."""
    limit = volume_limit(site)
    if limit is None or before.value is None or after.value is None:
        return None
    floor = float(limit.get("floor_cm3", 0.0))
    if abs(after.value - before.value) <= floor:
        return False
    small, large = sorted((before.value, after.value))
    return bool(small == 0 or large / small > float(limit["factor"]))


def _volume_delta(a: Assessment, b: Assessment, reasons: tuple[str, ...]) -> Delta:
    before, after = _total(a), _total(b)
    limit = volume_limit(b.site)
    words = f"factor {limit['factor']:g} ({limit['basis'].strip()})" if limit else "not known at this site"
    return _delta("edema_volume", before, after, reasons, _passes_volume(before, after, b.site), words)


def _total(a: Assessment) -> Measurement:
    missing = Measurement.not_assessable("edema_volume", "cm3", "the visit has no edema volume")
    return a.total("edema_volume") or missing


def _score_deltas(a: Assessment, b: Assessment, reasons: tuple[str, ...]) -> tuple[Delta, ...]:
    earlier = {s.id: s for s in a.scores}
    return tuple(_score_delta(earlier[s.id], s, reasons) for s in b.scores if s.id in earlier)


def _score_delta(before: Score, after: Score, reasons: tuple[str, ...]) -> Delta:
    limit = next((x for x in _sdc()["scores"] if x["score"] == after.id), None)
    passes = None
    if limit is not None and before.total.value is not None and after.total.value is not None:
        passes = abs(after.total.value - before.total.value) > limit["points"]
    words = f"{limit['points']:g} points ({limit['basis']})" if limit else "not known for this score"
    return _delta(after.id, before.total, after.total, reasons, passes, words)


def _delta(
    code: str, before: Measurement, after: Measurement, reasons: tuple[str, ...], passes: bool | None, limit: str
) -> Delta:
    if reasons or before.value is None or after.value is None:
        why = "; ".join(reasons) or before.reason or after.reason
        missing = Measurement.not_assessable(f"{code}_change", after.unit, why)
        return Delta(code, before, after, missing, NOT_ASSESSABLE, limit)
    change = after.value - before.value
    interval = None
    if before.low is not None and before.high is not None and after.low is not None and after.high is not None:
        interval = (after.low - before.high, after.high - before.low)
    difference = Measurement.of(f"{code}_change", change, after.unit, interval, "plausible thresholds of both visits")
    return Delta(code, before, after, difference, _verdict(change, passes), limit)


def _verdict(change: float, passes: bool | None) -> str:
    if passes is None:
        return UNKNOWN if change else NO_CHANGE
    if not passes:
        return NO_CHANGE
    return "increase" if change > 0 else "decrease"


def _summary(
    comparable: bool, reasons: tuple[str, ...], lesions: tuple[LesionChange, ...], deltas: tuple[Delta, ...]
) -> str:
    if not comparable:
        return f"Change is not assessable: {'; '.join(reasons)}."
    volume = deltas[0]
    counts = {fate: sum(x.fate is fate for x in lesions) for fate in Fate}
    parts = ", ".join(f"{n} {fate.value}" for fate, n in counts.items() if n)
    before, after = volume.before.value or 0.0, volume.after.value or 0.0
    return f"Edema volume {before:.1f} cm3 before, {after:.1f} cm3 now: {volume.verdict}. Lesions: {parts or 'none'}."
