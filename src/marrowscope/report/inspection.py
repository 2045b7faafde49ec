"""The page and the data a refused study leaves: what was read, what each series is, and why none can be used."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from marrowscope.assessment.records import refusal_records, series_record
from marrowscope.report.build import check_line, series_line
from marrowscope.report.html import Picture, content_security_policy, environment, stylesheet
from marrowscope.report.view import RefusalLine

if TYPE_CHECKING:
    from marrowscope.errors import InputError
    from marrowscope.study import Study
    from marrowscope.study.types import Radiograph


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


def render_inspection(study: Study, refusal: InputError | None = None) -> str:
    """One self-contained page.

    Args:
        study: what was read. refusal: why nothing was assessed; None where nobody tried.
    """
    style = stylesheet()
    page = environment().get_template("inspection.html")
    return page.render(
        refusal=refusal,
        series=[series_line(series_record(s, "")) for s in study.series],
        checks=[(s.description, [check_line(c) for c in s.qc]) for s in study.series if s.qc],
        radiographs=[_radiograph(r) for r in study.radiographs],
        refusals=[RefusalLine(r.what, r.reason) for r in refusal_records(study)],
        css=Markup(style),  # noqa: S704 - our own file, and hashed in the page's policy
        csp=content_security_policy(style),
    )


@dataclass(frozen=True)
class RadiographLine:
    """One radiograph: what it is in words, its picture, or why there is none."""

    words: str
    picture: Picture | None
    no_picture: str


def _radiograph(radiograph: Radiograph) -> RadiographLine:
    from PIL import Image

    from marrowscope.report.raster import png_bytes

    facts = (radiograph.body_part, radiograph.view, radiograph.laterality)
    size = f"{radiograph.columns}x{radiograph.rows}"
    words = ", ".join(part for part in (radiograph.description or "Radiograph", *facts, size) if part)
    if radiograph.picture is None:
        return RadiographLine(words, None, radiograph.no_picture)
    rows, columns = radiograph.picture.shape
    png = base64.b64encode(png_bytes(Image.fromarray(radiograph.picture))).decode()
    return RadiographLine(words, Picture(f"data:image/png;base64,{png}", columns, rows, words), "")
