"""The leaflet laid out as one HTML page without scripts or outside files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from marrowscope.knowledge.leaflet_words import leaflet_words
from marrowscope.knowledge.load import sources
from marrowscope.reasoning.leaflet_types import Leaflet

TEMPLATE = "patient.html"
"""The page, beside this module."""


def render_leaflet(leaflet: Leaflet, released_by: str | None = None) -> str:
    """The leaflet as one HTML page without scripts or outside files; a draft until a name releases it.

    Args:
        leaflet: the text.
        released_by: the clinician who releases it; ``None`` or blank keeps it a draft.
    """
    name = (released_by or "").strip()
    words = leaflet_words()
    status = words.released.text.format(name=name) if name else words.draft.text
    titles = [(sources()[key].title, sources()[key].url) for key in leaflet.source_keys]
    page: str = _template().render(leaflet=leaflet, status=status, draft=not name, foot=words.foot.text, sources=titles)
    return page


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
