"""Every error the app answers with: one JSON shape, or the same words as a page."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from marrowscope.errors import (
    ExchangeError,
    InputError,
    LimitExceededError,
    MarrowscopeError,
    MissingExtraError,
    UsageError,
)
from marrowscope.web.records import NotFoundError

if TYPE_CHECKING:
    from marrowscope.web.render import Pages

STATUSES: tuple[tuple[type[MarrowscopeError], int], ...] = (
    (NotFoundError, 404),
    (LimitExceededError, 413),
    (MissingExtraError, 501),
    (ExchangeError, 502),
    (InputError, 422),
    (UsageError, 422),
)
"""First match wins; anything else deliberate is 500."""


class Refused(Exception):  # noqa: N818 - a status with the error's words
    """A request refused with a status of its own."""

    def __init__(self, status: int, found: str, expected: str = "", do: str = "", code: str = "refused") -> None:
        super().__init__(found)
        self.status = status
        self.problem = {"code": code, "found": found, "expected": expected, "do": do}


def status_of(error: MarrowscopeError) -> int:
    """HTTP status of a deliberate error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks for a page (not a script, not htmx)."""
    asks_html = "text/html" in request.headers.get("accept", "")
    return asks_html and not request.url.path.startswith("/api/") and "hx-request" not in request.headers


def answer(request: Request, status: int, problem: Mapping[str, str]) -> Response:
    """The problem as a page or as JSON."""
    if wants_page(request):
        pages: Pages = request.app.state.pages
        return pages.problem(request, status, problem)
    return JSONResponse(dict(problem), status)


def install(app: FastAPI) -> None:
    """Route every kind of failure through :func:`answer`."""
    app.add_exception_handler(MarrowscopeError, _deliberate)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def _deliberate(request: Request, error: Exception) -> Response:
    assert isinstance(error, MarrowscopeError)
    return answer(request, status_of(error), error.to_dict())


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return answer(request, error.status, error.problem)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    problem = {"code": phrase.lower().replace(" ", "_"), "found": phrase, "expected": "", "do": "go back to the list"}
    response = answer(request, error.status_code, problem)
    response.headers.update(error.headers or {})
    return response


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    problem = {"code": "invalid_request", "found": f"{where}: {first['msg']}", "expected": "", "do": "correct it"}
    return answer(request, 422, problem)


def _unexpected(request: Request, error: Exception) -> Response:
    problem = {
        "code": "internal",
        "found": f"the app failed here ({type(error).__name__})",
        "expected": "an answer",
        "do": "try again; if it stays, report it with what you did",
    }
    return answer(request, 500, problem)
