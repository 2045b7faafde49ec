"""The patient's leaflet of an assessment as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marrowscope.web.records import NotFoundError

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment


def leaflet_html(assessment: Assessment, intake: Mapping[str, Any], released_by: str | None) -> str:
    """Drafted from the assessment's reasoning; marked as a draft until ``released_by`` is given.

    Raises:
        NotFoundError: the assessment holds no reasoning.
    """
    from dataclasses import replace

    from marrowscope.assessment.types import Outcome
    from marrowscope.reasoning.answer import Reasoning
    from marrowscope.reasoning.intake import Intake
    from marrowscope.reasoning.leaflet import make_leaflet
    from marrowscope.reasoning.leaflet_page import render_leaflet
    from marrowscope.reasoning.leaflet_types import ObjectsSummary

    if not assessment.reasoning:
        raise NotFoundError("no reasoning to make a leaflet of", "an intake", "fill the intake")
    known = Intake.from_dict(dict(intake)) if intake else Intake()
    known = replace(known, site=known.site or assessment.site, side=known.side or assessment.side)
    seen = None
    if assessment.outcome is not Outcome.NO_IMAGES:
        seen = ObjectsSummary(assessment.outcome.value, len(assessment.edema))
    return render_leaflet(make_leaflet(Reasoning.from_dict(dict(assessment.reasoning)), known, seen), released_by)
