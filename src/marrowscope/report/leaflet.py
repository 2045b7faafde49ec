"""``patient.html`` of an assessment: the leaflet drafted from its reasoning, released when the assessment is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment


def patient_page(assessment: Assessment) -> str:
    """The leaflet as one HTML page; a draft until the assessment is released by name.

    Args:
        assessment: with reasoning (see :func:`has_leaflet`).
    """
    from dataclasses import replace

    from marrowscope.assessment.types import Outcome, ReleaseStatus
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.reasoning.intake import Intake
    from marrowscope.reasoning.leaflet import ObjectsSummary, make_leaflet, render_leaflet

    intake = Intake.from_dict(dict(assessment.intake)) if assessment.intake else Intake()
    intake = replace(intake, site=intake.site or assessment.site, side=intake.side or assessment.side)
    seen = ObjectsSummary(assessment.outcome.value, len(assessment.edema))
    images = None if assessment.outcome is Outcome.NO_IMAGES else seen
    reasoning = Reasoning.from_dict(dict(assessment.reasoning or {}))
    signed = assessment.released_by if assessment.status is not ReleaseStatus.PRELIMINARY else None
    return render_leaflet(make_leaflet(reasoning, intake, images), signed)


def has_leaflet(assessment: Assessment) -> bool:
    """Whether there is reasoning to make a leaflet of."""
    return bool(assessment.reasoning)
