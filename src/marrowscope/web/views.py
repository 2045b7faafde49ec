"""A revision as text: the report room's view, computed once a revision."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from marrowscope.web.db import Revision

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment
    from marrowscope.report.view import ReportView

KEPT_VIEWS = 64
"""Views kept in memory; one is a few tens of kilobytes."""


def assessment_of(revision: Revision) -> Assessment:
    """The revision's assessment."""
    return _assessment(revision.study_id, revision.number, revision.assessment)


def view_of(revision: Revision) -> ReportView:
    """The revision's report as text."""
    return _view(revision.study_id, revision.number, revision.assessment)


@lru_cache(KEPT_VIEWS)
def _assessment(_study: str, _number: int, text: str) -> Assessment:
    from marrowscope.assessment import from_json

    return from_json(text)


@lru_cache(KEPT_VIEWS)
def _view(study: str, number: int, text: str) -> ReportView:
    from marrowscope.report.build import report_view

    return report_view(_assessment(study, number, text))
