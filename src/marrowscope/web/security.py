"""The gate before every request: host, origin, size, session; and the headers after every answer.

- Host allow-list: a page elsewhere whose name was rebound to this machine is refused.
- Every change needs a same-origin request (Sec-Fetch-Site, else Origin); a cookie alone never suffices. Programs
  that send neither header must carry the token themselves, which no foreign page can make a browser do.
- No inline script anywhere, so the policy forbids it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marrowscope.web.problems import answer, wants_page
from marrowscope.web.records import clean
from marrowscope.web.sessions import MAX_NAME, Sessions
from marrowscope.web.settings import MAX_BODY_BYTES, WebSettings

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing here."""

OPEN_PATHS = frozenset({"/sign-in", "/favicon.ico", "/healthz", "/report.css"})
"""Answered without a session; so is ``/static/``."""

UPLOAD_PATHS = frozenset({"/api/studies"})
"""Paths that count their own bytes, against the upload's limit."""

CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)

HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""Set on every answer unless it sets its own. Not ``no-referrer``: browsers then send ``Origin: null`` with forms."""

READER_HEADER = "x-reader"
"""Name of the reader that a program with the token acts for."""

Next = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: WebSettings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the session's name in ``scope["state"]["reader"]``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope.setdefault("state", {})
        guarded = _with_headers(send)
        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        limited = receive if request.url.path in UPLOAD_PATHS else _counted(receive)
        try:
            await self._app(scope, limited, guarded)
        except _BodyTooLargeError:
            await _problem(413, "body_too_large", "a request that is too large")(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "").lower() not in self._settings.hosts:
            return _problem(421, "foreign_host", "a host name this server does not answer to", "the printed address")
        if request.method not in SAFE_METHODS and not same_origin(request, self._settings):
            return _problem(403, "foreign_origin", "a change asked for by another site", "a request from this app")
        declared = request.headers.get("content-length", "0")
        if request.url.path not in UPLOAD_PATHS and (not declared.isdigit() or int(declared) > MAX_BODY_BYTES):
            return _problem(413, "body_too_large", "a request that is too large")
        return self._signed_in(request)

    def _signed_in(self, request: Request) -> Response | None:
        path = request.url.path
        if path in OPEN_PATHS or path.startswith("/static/"):
            return None
        cookie = cookie_of(request, self._settings.cookie)
        reader = self._sessions.reader(cookie) if cookie else self._bearer(request)
        if reader is not None:
            request.scope["state"]["reader"] = reader
            request.scope["state"]["cookie"] = cookie
            return None
        if self._settings.users is not None and wants_page(request) and request.method in SAFE_METHODS:
            return RedirectResponse("/sign-in", 303)
        do = "open the address printed at the start, token included"
        problem = {"code": "signed_out", "found": "a browser that is not signed in", "expected": "a session", "do": do}
        return answer(request, 401, problem)

    def _bearer(self, request: Request) -> str | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self._sessions.token_holds(token):
            return None
        return clean(request.headers.get(READER_HEADER, ""), MAX_NAME)


class _BodyTooLargeError(HTTPException):
    """More bytes than a request of this kind may have; FastAPI passes this kind on while it reads a body."""

    def __init__(self) -> None:
        super().__init__(413)


def same_origin(request: Request, settings: WebSettings) -> bool:
    """Whether a change comes from this app's own pages, or from a program that is no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() in settings.hosts
    return site is not None or "authorization" in request.headers


def cookie_of(request: Request, name: str) -> str:
    """The cookie's value, or empty; a cookie header that cannot be read counts as none."""
    try:
        jar = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def _problem(status: int, code: str, found: str, expected: str = "", do: str = "") -> Response:
    return JSONResponse({"code": code, "found": found, "expected": expected, "do": do}, status)


def _counted(receive: Receive) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_BYTES:
            raise _BodyTooLargeError
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            extra = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return sender
