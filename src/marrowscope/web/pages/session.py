"""Signing in with the token or a password, the reader's name, signing out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from marrowscope.web import records
from marrowscope.web.desk import Desk
from marrowscope.web.pages.common import OnDesk, Text
from marrowscope.web.problems import Refused
from marrowscope.web.security import cookie_of
from marrowscope.web.settings import SESSION_DAYS

router = APIRouter(include_in_schema=False)

SECONDS_A_DAY = 86_400


@router.get("/sign-in")
def sign_in_page(request: Request, desk: OnDesk, token: str = "") -> Response:
    """With the start-up token: a session, and the token leaves the address. With a user file: the form."""
    if desk.settings.users is not None:
        return desk.pages.page(request, "sign_in.html", failed=False)
    if not desk.sessions.token_holds(token):
        raise Refused(
            401, "a wrong or missing token", "the address printed at the start", "copy it again", "signed_out"
        )
    return _signed_in(desk, desk.sessions.open())


@router.post("/sign-in")
def sign_in(
    request: Request, desk: OnDesk, name: Text = "", password: Annotated[str, Form(max_length=1000)] = ""
) -> Response:
    """Name and password of the user file."""
    if desk.settings.users is None:
        raise Refused(404, "no passwords here", "the address printed at the start", "", "not_found")
    if not desk.sessions.password_holds(name, password):
        with desk.database.begin() as db:
            records.note(db, None, "", "sign-in refused")
        return desk.pages.page(request, "sign_in.html", 401, failed=True)
    return _signed_in(desk, desk.sessions.open(name))


def _signed_in(desk: Desk, cookie: str) -> Response:
    response = RedirectResponse("/", 303)
    response.set_cookie(
        desk.settings.cookie, cookie, max_age=SESSION_DAYS * SECONDS_A_DAY, httponly=True, samesite="strict",
        secure=desk.settings.tls,
    )  # fmt: skip
    return response


@router.post("/sign-out")
def sign_out(request: Request, desk: OnDesk) -> Response:
    """End the session."""
    desk.sessions.close(cookie_of(request, desk.settings.cookie))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(desk.settings.cookie)
    return response


@router.post("/reader")
def set_reader(request: Request, desk: OnDesk, name: Text) -> HTMLResponse:
    """The name that stands beside everything this browser does."""
    kept = desk.sessions.rename(cookie_of(request, desk.settings.cookie), name)
    request.scope["state"]["reader"] = kept
    return desk.pages.page(request, "parts/reader.html")


@router.get("/report.css")
def report_style() -> Response:
    """The report's own style, which its shared parts need on every page."""
    from marrowscope.report.html import stylesheet

    return Response(stylesheet(), media_type="text/css", headers={"cache-control": "private, max-age=600"})


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon's place."""
    return RedirectResponse("/static/icon.svg", 301)


@router.get("/healthz")
def health() -> dict[str, str]:
    """Whether the server answers."""
    return {"status": "ok"}
