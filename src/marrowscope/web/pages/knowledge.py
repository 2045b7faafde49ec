"""Every cause, symptom, test, treatment and question as a page with its sources."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from marrowscope.web.knowledge_view import SHELVES, shelf, topic_page
from marrowscope.web.pages.common import OnDesk
from marrowscope.web.records import NotFoundError

router = APIRouter(include_in_schema=False)

Kind = Annotated[str, Path(pattern="^[a-z-]{1,20}$")]
Key = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,80}$")]


@router.get("/knowledge")
def shelves(request: Request, desk: OnDesk) -> HTMLResponse:
    """Everything, by shelf, with one filter."""
    found = [(kind, title, shelf(kind)) for kind, title in SHELVES.items()]
    return desk.pages.page(request, "knowledge.html", shelves=found)


@router.get("/knowledge/{kind}/{key}")
def entry(request: Request, desk: OnDesk, kind: Kind, key: Key) -> HTMLResponse:
    """One topic."""
    page = topic_page(kind, key)
    if page is None:
        raise NotFoundError("no such page", "a page of the knowledge list", "open /knowledge")
    return desk.pages.page(request, "knowledge_entry.html", entry=page, shelf=SHELVES[kind])
