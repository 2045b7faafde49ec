"""May two visits be compared at all? Side, site, sequence class, field and release first; sizes only then."""

from __future__ import annotations

from marrowscope.anatomy.given import GIVEN_MASK
from marrowscope.assessment.types import Assessment, Outcome, SeriesRecord
from marrowscope.measurement import Severity

SAME_FIELD_T = 0.3
"""Field strengths closer than this are the same scanner class (1.5 T scanners state 1.494-1.5)."""

SAME_SPACING_SHARE = 0.5
"""Slice spacing may differ by half before small lesions stop being comparable."""

NO_T1, RED_MARROW = "no T1 was used", "red marrow may count as edema"


def fluid_series(assessment: Assessment) -> SeriesRecord | None:
    """The series lesions were sized on."""
    return next((s for s in assessment.series if s.used_as == "fluid"), None)


def obstacles(prior: Assessment, current: Assessment) -> tuple[str, ...]:
    """Every reason why sizes of the two visits must not be compared; empty = they may."""
    found = [
        *_differs("site", prior.site, current.site),
        *_differs("side", prior.side, current.side, unknown_is_obstacle=prior.site == "knee"),
    ]
    for name, visit in (("prior", prior), ("current", current)):
        if visit.outcome in (Outcome.NOT_ASSESSABLE, Outcome.NO_IMAGES):
            found.append(f"the {name} visit was not assessable")
        if unsuppressed(visit):
            found.append(f"fat suppression failed at the {name} visit: brightness there may be fat")
    if told_apart(prior) is not told_apart(current):
        found.append(f"{NO_T1} at the {'current' if told_apart(prior) else 'prior'} visit alone: {RED_MARROW}")
    a, b = fluid_series(prior), fluid_series(current)
    if a is None or b is None:
        return (*found, "a visit has no fluid series")
    return (*found, *_sequence_obstacles(a, b))


def told_apart(visit: Assessment) -> bool:
    """Whether red marrow could be told from edema: by a T1 series."""
    return any(s.used_as == "t1" for s in visit.series)


def bones_given(prior: Assessment, current: Assessment) -> bool:
    """Whether the bones of both visits were given, not found."""
    return all(v.provenance.anatomy == GIVEN_MASK for v in (prior, current))


def unsuppressed(visit: Assessment) -> bool:
    """Whether a quality check doubts the fat suppression that sizes rest on."""
    return any(c.code == "fat_suppression" and c.severity in (Severity.WARNING, Severity.REFUSE) for c in visit.qc)


def _sequence_obstacles(a: SeriesRecord, b: SeriesRecord) -> list[str]:
    found = _differs("sequence class", a.sequence_class, b.sequence_class, unknown_is_obstacle=True)
    found += _differs("plane", a.plane, b.plane)
    if a.field_t is not None and b.field_t is not None and abs(a.field_t - b.field_t) > SAME_FIELD_T:
        found.append(f"field strength differs: {a.field_t:g} T before, {b.field_t:g} T now")
    thin, thick = sorted((max(a.spacing_mm), max(b.spacing_mm)))
    if thick > thin * (1 + SAME_SPACING_SHARE):
        found.append(f"slice spacing differs: {max(a.spacing_mm):g} mm before, {max(b.spacing_mm):g} mm now")
    return found


def _differs(what: str, before: str, now: str, unknown_is_obstacle: bool = False) -> list[str]:
    unknown = {"", "unknown"}
    if before in unknown or now in unknown:
        return [f"{what} is not known at both visits"] if unknown_is_obstacle else []
    return [] if before == now else [f"{what} differs: {before} before, {now} now"]


def limits(prior: Assessment, current: Assessment) -> tuple[str, ...]:
    """What weakens the comparison without forbidding it."""
    a, b = fluid_series(prior), fluid_series(current)
    notes = []
    if prior.provenance.input_sha256 and prior.provenance.input_sha256 == current.provenance.input_sha256:
        notes.append("both visits hold the same images")
    dates = (prior.provenance.study_date, current.provenance.study_date)
    if all(dates) and dates[1] < dates[0]:
        notes.append(f"the later visit is dated {dates[1]}, before the earlier one ({dates[0]}): oldest first")
    if a is not None and b is not None and (a.field_t is None or b.field_t is None):
        notes.append("field strength is not stated at both visits")
    if not prior.side or not current.side:
        notes.append("side is not stated at both visits")
    if not told_apart(prior) and not told_apart(current):
        notes.append(f"{NO_T1} at either visit: {RED_MARROW}")
    return tuple(notes)
