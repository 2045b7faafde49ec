"""Measurements become findings here, beside ``assess``: the one bridge between image and reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marrowscope.assessment.types import LesionRecord
from marrowscope.findings import Finding, Origin, State
from marrowscope.lesion.edits import Edit, EditKind
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake


def measured_findings(
    objects: Objects, lesions: tuple[LesionRecord, ...], totals: tuple[Measurement, ...]
) -> tuple[Finding, ...]:
    """Findings the image itself supports. A finding the exam does not allow is left out: that is unknown."""
    return ()


def entered_findings(intake: Intake | None, edits: tuple[Edit, ...]) -> tuple[Finding, ...]:
    """Findings a person gave: in the intake, and by SET_FINDING edits (a later one follows an earlier one)."""
    given = intake.findings if intake is not None else ()
    read = tuple(
        Finding(e.target, State(str(e.value)), Origin.READ, by=e.by) for e in edits if e.kind is EditKind.SET_FINDING
    )
    return (*given, *read)
