"""The report as one HTML page that needs nothing else: no script, no network, pictures inside.

The partial templates are shared: another page includes ``partials/report.html`` (or one section) with ``r`` set to a
:class:`ReportView` and ``pictures`` to a mapping of :class:`Picture`, and links :func:`stylesheet` as its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from marrowscope.report.view import ReportView

if TYPE_CHECKING:
    from marrowscope.report.figures import Figure


@dataclass(frozen=True)
class Picture:
    """One picture of a page: its address (a ``data:`` URI or a path), size in pixels and alternative text."""

    src: str
    width: int
    height: int
    caption: str


def loader() -> BaseLoader:
    """Finds this room's templates, for another page's environment."""
    return PackageLoader("marrowscope.report", "templates")


@cache
def environment() -> Environment:
    """Everything is escaped; a name that does not exist is an error, never an empty gap."""
    return Environment(
        loader=loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def stylesheet() -> str:
    """The report's style: light, dark by the reader's setting, light on paper."""
    return (resources.files("marrowscope.report") / "templates" / "report.css").read_text(encoding="utf-8")


def content_security_policy(style: str) -> str:
    """Only this page's own style and pictures; no script, frame, form or address beyond it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def inline_pictures(figures: Mapping[str, Figure]) -> dict[str, Picture]:
    """Figures as ``data:`` pictures."""
    return {
        name: Picture(f"data:image/png;base64,{base64.b64encode(f.png).decode()}", f.width, f.height, f.caption)
        for name, f in figures.items()
    }


def render_index(view: ReportView, figures: Mapping[str, Figure], files: Sequence[tuple[str, str]] = ()) -> str:
    """The whole page.

    Args:
        view: what it says. figures: its pictures. files: other files of the folder, with a word on each.
    """
    style = stylesheet()
    return (
        environment()
        .get_template("index.html")
        .render(
            r=view,
            pictures=inline_pictures(figures),
            files=files,
            css=Markup(style),  # noqa: S704 - our own file, and hashed in the page's policy
            csp=content_security_policy(style),
        )
    )
