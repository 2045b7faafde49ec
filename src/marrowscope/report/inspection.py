"""The page and the data a refused study leaves: what was read, what each series is, and why none can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from marrowscope.assessment.records import refusal_records, series_record
from marrowscope.report.build import check_line, series_line
from marrowscope.report.html import content_security_policy, environment, stylesheet
from marrowscope.report.view import RefusalLine

if TYPE_CHECKING:
    from marrowscope.errors import InputError
    from marrowscope.study import Study


def inspection_data(study: Study, refusal: InputError) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "refusal": refusal.to_dict(),
        "series": [
            {
                "number": s.number,
                "description": s.description,
                "role": s.role.value,
                "sequence_class": s.sequence_class.value,
                "plane": s.plane,
                "shape": list(s.volume.shape),
                "reasons": [r.text for r in s.reasons],
                "qc": [c.to_dict() for c in s.qc],
            }
            for s in study.series
        ],
        "refusals": [r.to_dict() for r in study.refusals],
    }


def render_inspection(study: Study, refusal: InputError) -> str:
    """One self-contained page."""
    style = stylesheet()
    page = environment().get_template("inspection.html")
    return page.render(
        refusal=refusal,
        series=[series_line(series_record(s, "")) for s in study.series],
        checks=[(s.description, [check_line(c) for c in s.qc]) for s in study.series if s.qc],
        refusals=[RefusalLine(r.what, r.reason) for r in refusal_records(study)],
        css=Markup(style),  # noqa: S704 - our own file, and hashed in the page's policy
        csp=content_security_policy(style),
    )
