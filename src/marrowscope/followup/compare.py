"""Two visits of one joint, compared: checks first, then bones, lesions, totals and scores."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from marrowscope.assessment.types import Assessment
from marrowscope.followup.comparable import bones_given, limits, obstacles
from marrowscope.followup.deltas import VOLUME, brightness_of, exam_deltas, ratio_of, volume_of
from marrowscope.followup.match import Group, match
from marrowscope.followup.person import contradictions
from marrowscope.followup.register import BoneTransform, moved_mask, register_bone
from marrowscope.followup.sdc import Limit, limits_of, passes
from marrowscope.followup.types import Change, Delta, Fate, LesionChange, Visit, VisitPoint, fate_words
from marrowscope.labelmap import BoolArray
from marrowscope.measurement import Measurement
from marrowscope.volume import FloatArray

MINIMUM_FIT_DICE = 0.8
"""A bone whose registered masks overlap less is not the same bone in the same state: its lesions are not matched."""

MINIMUM_COVERED = 0.8
"""Share of a bone that both fields of view must hold before its edema is compared."""


MINIMUM_INSIDE = 0.5
"""Share of a bone's edema (of the visit with more) that must lie inside the bone as outlined at both. In 24 of 26
simulated pairs it was 0.6 or more; in two the model had cut a lesion out of the bone (0.10, 0.21): a false decrease."""

FEWEST_VOXELS = 5
"""Edema of fewer voxels on the other visit's grid is too little to judge an outline by."""

SAME_PERSON_MM = 1.4
"""Median distance of femur or tibia surfaces after registration, mm. Two visits of one knee had 0.45 to 1.35 (30
simulated pairs, 18 of them real people years apart); of 28 pairs of different people 25 had more, or did not fit."""


def compare(prior: Visit, current: Visit) -> Change:
    """What changed from ``prior`` to ``current``.

    Sizes are compared only between matching side, site, sequence class, plane, field and coverage; otherwise every
    difference is ``not_assessable`` with the reason, as where the headers speak of two patients and nobody vouches for
    one. A bone that does not fit or was cut off at one visit is left out
    of both visits' totals, and said so; where no bone is left, nothing is compared.
    """
    a, b = prior.assessment, current.assessment
    two_people, doubts = _people(prior, current)
    reasons = (*two_people, *obstacles(a, b))
    transforms = {} if reasons else _transforms(prior, current)
    problems = {} if reasons else _poor_fits(prior, current, transforms)
    if not reasons and not set(transforms) - set(problems):
        reasons = tuple(problems.values()) or ("no bone was found at both visits",)
    comparable = not reasons
    known = limits_of(VOLUME, b.site, bones_given(a, b))
    fitting = {code: t for code, t in transforms.items() if code not in problems}
    lesions = tuple(_lesion_change(g, known) for g in match(prior, current, fitting)) if comparable else ()
    deltas = exam_deltas(a, b, frozenset(problems) if comparable else frozenset(), reasons)
    notes = (*(f"left out at both visits: {words}" for words in problems.values()), *_one_person(fitting))
    return Change(
        comparable=comparable,
        reasons=(*reasons, *doubts, *(notes if comparable else ()), *limits(a, b)),
        prior_date=a.provenance.study_date,
        current_date=b.provenance.study_date,
        fits=tuple(t.fit for t in transforms.values()),
        lesions=lesions,
        deltas=deltas,
        visits=(*earlier_visits(a), VisitPoint(b.provenance.study_date, _total(b), comparable)),
        summary=_summary(comparable, reasons, lesions, deltas),
    )


def _people(prior: Visit, current: Visit) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why the visits are of two patients by their headers, and what is doubtful about it; empty where nothing is."""
    clear, doubtful = contradictions((prior.person, prior.assessment), (current.person, current.assessment))
    if clear and (prior.vouched or current.vouched):
        said = f"the headers speak of two patients (they differ in {', '.join(clear)}), taken as one because told so"
        return (), (said,)
    refused = (f"the headers speak of two patients: they differ in {', '.join(clear)}",) * bool(clear)
    doubts = (
        f"the headers differ in {', '.join(doubtful)}, as they may after de-identification or between two hospitals:"
        " check that both visits are of one person",
    ) * bool(doubtful)
    return refused, doubts


def _one_person(fitting: dict[str, BoneTransform]) -> tuple[str, ...]:
    """A doubt, where the shape of a long bone differs more than one person's did at two visits."""
    apart = max((fitting[b].fit.residual_mm for b in ("femur", "tibia") if b in fitting), default=0.0)
    return (f"bones differ in shape by {apart:.1f} mm: check that both visits are of one person",) * (
        apart > SAME_PERSON_MM
    )


def _transforms(prior: Visit, current: Visit) -> dict[str, BoneTransform]:
    shared = [c for c in prior.bones.codes if c in current.bones.codes]
    found = {code: register_bone(code, prior.bones, current.bones) for code in shared}
    return {code: t for code, t in found.items() if t is not None}


def _poor_fits(prior: Visit, current: Visit, transforms: dict[str, BoneTransform]) -> dict[str, str]:
    """Bones that cannot be compared, each with why: those with edema at either visit, and every bone registered."""
    with_edema = {x.bone for v in (prior, current) for x in v.assessment.edema if x.bone}
    problems = {}
    for bone in sorted(with_edema | set(transforms)):
        name = bone.replace("_", " ")
        fit = transforms[bone].fit if bone in transforms else None
        if fit is None or fit.dice_after < MINIMUM_FIT_DICE:
            problems[bone] = f"the {name} of both visits could not be laid on each other"
        elif fit.covered < MINIMUM_COVERED:
            problems[bone] = f"only {100 * fit.covered:.0f} % of the {name} is in view at both visits"
        elif bone in with_edema and (share := _inside(prior, current, transforms[bone], bone)) < MINIMUM_INSIDE:
            problems[bone] = f"the {name} is outlined otherwise where edema lies ({100 * share:.0f} % of it inside)"
    return problems


def _inside(prior: Visit, current: Visit, transform: BoneTransform, bone: str) -> float:
    """Share of a bone's edema that lies inside the bone as outlined at the other visit, of the visit with more edema.

    A small lesion at the cortex of one visit says nothing where the other visit's large one lies inside.
    """
    back = np.asarray(np.linalg.inv(transform.matrix), dtype=np.float64)
    pairs = ((prior, current, transform.matrix), (current, prior, back))
    largest = max(_edema_mm3(visit, bone) for visit in (prior, current))
    if not largest:
        return 1.0
    return 1 - max(_outside_mm3(source, target, matrix, bone) for source, target, matrix in pairs) / largest


def _edema(visit: Visit, bone: str) -> BoolArray:
    labels = [x.label for x in visit.assessment.edema if x.bone == bone]
    return np.asarray(np.isin(visit.lesions.volume.array, labels))


def _edema_mm3(visit: Visit, bone: str) -> float:
    return float(_edema(visit, bone).sum()) * visit.lesions.volume.voxel_volume_mm3


def _outside_mm3(source: Visit, target: Visit, matrix: FloatArray, bone: str) -> float:
    """Volume of the source's edema of a bone outside the target's bone; 0 where there is too little to judge."""
    edema = _edema(source, bone)
    if not edema.any():
        return 0.0
    laid = moved_mask(edema, source.lesions.volume, matrix, target.bones.volume)
    share = 1 - float(target.bones.mask(bone)[laid].mean()) if laid.sum() >= FEWEST_VOXELS else 0.0
    return share * _edema_mm3(source, bone)


def _lesion_change(group: Group, known: tuple[Limit, ...]) -> LesionChange:
    before, after = volume_of(group.prior), volume_of(group.current)
    fate, measurable = group.shape, passes(known, before.value, after.value)
    if fate is Fate.PERSISTING and measurable and before.value is not None and after.value is not None:
        fate = Fate.GROWN if after.value > before.value else Fate.SHRUNK
    largest = (*group.current, *group.prior)[0]
    return LesionChange(
        fate,
        tuple(x.code for x in group.prior),
        tuple(x.code for x in group.current),
        largest.bone,
        largest.place,
        before,
        after,
        ratio_of("volume", before, after, known),
        brightness_of(group.prior),
        brightness_of(group.current),
        None if fate is Fate.NOT_COMPARABLE else measurable,
    )


def _total(a: Assessment) -> Measurement:
    missing = Measurement.not_assessable(VOLUME, "cm3", "the visit has no edema volume")
    return a.total(VOLUME) or missing


def earlier_visits(prior: Assessment) -> tuple[VisitPoint, ...]:
    """The prior's own line of visits, where it was itself compared, else the prior alone."""
    known: list[dict[str, Any]] = list((prior.change or {}).get("visits", ()))
    if not known:
        return (VisitPoint(prior.provenance.study_date, _total(prior)),)
    return tuple(VisitPoint(v["date"], Measurement.from_dict(dict(v["volume"])), v["comparable"]) for v in known)


def _summary(
    comparable: bool, reasons: tuple[str, ...], lesions: tuple[LesionChange, ...], deltas: tuple[Delta, ...]
) -> str:
    if not comparable:
        return f"Change is not assessable: {'; '.join(reasons)}."
    volume = deltas[0]
    counts = Counter(fate_words(x.fate, x.measurable) for x in sorted(lesions, key=lambda x: tuple(Fate).index(x.fate)))
    parts = "; ".join(f"{n} {words}" for words, n in counts.items())
    if volume.before.value is None or volume.after.value is None:
        sizes = f"Edema volume: {volume.difference.reason or volume.verdict}"
    else:
        sizes = f"Edema volume {volume.before.value:.1f} cm3 before, {volume.after.value:.1f} cm3 now: {volume.verdict}"
    return f"{sizes}. Lesions: {parts or 'none'}."
