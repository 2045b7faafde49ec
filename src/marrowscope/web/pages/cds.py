"""CDS Hooks 2.0 for a record system: discovery and cards. Behind the token like everything else; nothing is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from fastapi.responses import JSONResponse

from marrowscope.errors import IntakeError, UsageError
from marrowscope.exchange.cds_hooks import HOOKS, MissingDataError, respond, services
from marrowscope.web.problems import Refused
from marrowscope.web.records import NotFoundError

router = APIRouter()

Service = Annotated[str, Path(pattern="^[a-z-]{1,60}$")]


@router.get("/cds-services")
def discovery() -> JSONResponse:
    """The services and the prefetch that each needs."""
    return JSONResponse(services())


@router.post("/cds-services/{service}")
def call(service: Service, request: Annotated[dict[str, Any], Body()]) -> JSONResponse:
    """Cards for one call."""
    if service not in HOOKS:
        raise NotFoundError("no such service", f"one of {', '.join(HOOKS)}", "GET /cds-services lists them")
    try:
        return JSONResponse(respond(service, request, datetime.now(UTC).date()))
    except MissingDataError as error:
        raise Refused(412, error.found, error.expected, error.do, error.code) from error
    except IntakeError as error:
        raise Refused(422, error.found, error.expected, error.do, error.code) from error
    except UsageError as error:
        raise Refused(400, error.found, error.expected, error.do, error.code) from error
