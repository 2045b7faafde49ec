"""``marrowscope cds``: the CDS Hooks services without a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from marrowscope.errors import UsageError


def cds(
    service: Annotated[str, typer.Argument(help="Id of a service; the list of services without it.")] = "",
    request: Annotated[Path | None, typer.Argument(help="The call's body (JSON).")] = None,
) -> None:
    """Answer a CDS Hooks 2.0 call from a file: patient-view and order-select cards. `marrowscope serve` answers too."""
    from marrowscope.exchange.cds_hooks import respond, services

    if not service:
        typer.echo(json.dumps(services(), indent=1, ensure_ascii=False))
        return
    if request is None or not request.is_file():
        raise UsageError("no request", "a file with the call's body", f"marrowscope cds {service} REQUEST.json")
    try:
        body = json.loads(request.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{request.name} is no JSON", "the body of a CDS Hooks call") from error
    if not isinstance(body, dict):
        raise UsageError(f"{request.name} holds no object", "the body of a CDS Hooks call")
    typer.echo(json.dumps(respond(service, body, datetime.now(UTC).date()), indent=1, ensure_ascii=False))
