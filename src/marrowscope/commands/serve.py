"""``marrowscope serve``: the reading room in the browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from marrowscope.errors import MissingExtraError, UsageError

DEFAULT_DATA = Path("marrowscope-data")
DEFAULT_PORT = 8571


def serve(
    data: Annotated[Path, typer.Option(help="Folder that studies and results are kept in.")] = DEFAULT_DATA,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = DEFAULT_PORT,
    db: Annotated[str, typer.Option(help="Database URL, e.g. postgresql://USER@HOST/NAME; SQLite when left out.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback needs --users and TLS.")
    ] = "127.0.0.1",
    users: Annotated[Path | None, typer.Option(help="User file: one name:argon2-hash a line.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key (PEM).")] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folder of results for the cohort table; repeatable.")
    ] = None,
    peers: Annotated[Path | None, typer.Option(help="Peers file (TOML) of PACS to get from and send to.")] = None,
    add_user: Annotated[str, typer.Option(help="Add this user to --users (asks for the password) and end.")] = "",
) -> None:
    """Open the reading room: drop studies, read, correct, reason, report. Stays on this machine by itself."""
    _need_extra()
    if add_user:
        _add_user(users, add_user)
        return
    from marrowscope.web.settings import WebSettings

    check_reach(host, users, tls_cert, tls_key)
    check_folders(data, results or [])
    check_port(host, port)
    settings = WebSettings(
        data=data,
        database=db,
        host=host,
        port=port,
        users=users,
        tls=tls_cert is not None,
        results=tuple(results or ()),
        peers=peers,
    )
    _run(settings, no_browser, tls_cert, tls_key)


def _need_extra() -> None:
    try:
        import alembic  # noqa: F401
        import argon2  # noqa: F401
        import fastapi  # noqa: F401
        import sqlalchemy  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the reading room needs {error.name}", "the extra 'web'", "pip install 'marrowscope[web]'"
        ) from error


def _add_user(users: Path | None, name: str) -> None:
    from marrowscope.web.sessions import add_user

    if users is None:
        raise UsageError(
            "--add-user without --users", "the user file", "marrowscope serve --users FILE --add-user NAME"
        )
    password = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    add_user(users, name, password)
    typer.echo(f"{name} is in {users.name}")


def check_reach(host: str, users: Path | None, tls_cert: Path | None, tls_key: Path | None) -> None:
    """Refuse to listen beyond this machine without named users and encryption.

    Raises:
        UsageError: what is missing.
    """
    from marrowscope.web.settings import LOOPBACK

    if (tls_cert is None) != (tls_key is None):
        raise UsageError("half of a TLS pair", "--tls-cert and --tls-key together")
    for path in (users, tls_cert, tls_key):
        if path is not None and not path.is_file():
            raise UsageError(f"no file {path.name}", "a file that exists")
    if host in LOOPBACK:
        return
    missing = [n for n, v in (("--users", users), ("--tls-cert", tls_cert), ("--tls-key", tls_key)) if v is None]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - refused, not used
        raise UsageError("--host of every interface", "the one name or address that browsers will use", "--host NAME")
    if missing:
        raise UsageError(f"--host {host} without {', '.join(missing)}", "named users and TLS beyond this machine")


def check_folders(data: Path, results: list[Path]) -> None:
    """Refuse a data folder that cannot be made, and folders of results that are not there.

    Raises:
        UsageError: which.
    """
    from marrowscope.results import check_place

    check_place(data / "studies")
    for folder in results:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder.name} for --results", "a folder of results", "check the path")


def check_port(host: str, port: int) -> None:
    """Refuse a port that another program listens on, before an address is printed that leads there.

    Raises:
        UsageError: it is taken, or this machine has no such address.
    """
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise UsageError(f"{host}:{port} cannot be listened on ({why})", "a free port", "give --port N") from error


def _run(settings: object, no_browser: bool, tls_cert: Path | None, tls_key: Path | None) -> None:
    import uvicorn

    from marrowscope.web.app import create_app
    from marrowscope.web.render import NO_BUNDLE, bundled
    from marrowscope.web.settings import WebSettings

    assert isinstance(settings, WebSettings)
    gate, _ = create_app(settings)
    address = settings.url if settings.users else f"{settings.url}sign-in?token={settings.token}"
    typer.echo(f"marrowscope reading room: {address}")
    if not bundled():
        typer.echo(f"note: {NO_BUNDLE}", err=True)
    if not no_browser:
        import webbrowser

        webbrowser.open(address)
    uvicorn.run(
        gate, host=settings.host, port=settings.port, access_log=False, log_level="warning", server_header=False,
        ssl_certfile=tls_cert, ssl_keyfile=tls_key, timeout_graceful_shutdown=5,
    )  # fmt: skip
