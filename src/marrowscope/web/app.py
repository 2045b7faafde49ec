"""The app: parts put together, nothing decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from marrowscope import __version__
from marrowscope.web import problems
from marrowscope.web.desk import Desk, make_desk
from marrowscope.web.pages import ROUTERS
from marrowscope.web.render import STATIC
from marrowscope.web.security import Gate
from marrowscope.web.settings import WebSettings


def create_app(settings: WebSettings) -> tuple[ASGIApp, FastAPI]:
    """The app behind its gate, and the app itself (its OpenAPI is at ``/api/openapi.json``).

    Raises:
        UsageError: the database or the user file cannot be used.
    """
    desk = make_desk(settings)
    app = FastAPI(
        title="marrowscope reading room",
        version=__version__,
        lifespan=_lifespan(desk),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    app.state.pages = desk.pages
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return Gate(app, settings, desk.sessions), app


def _lifespan(desk: Desk):  # type: ignore[no-untyped-def]
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if desk.runner is not None:
            desk.runner.start()
        try:
            yield
        finally:
            if desk.runner is not None:
                desk.runner.stop()
            desk.queue.close()
            desk.database.close()

    return lifespan
