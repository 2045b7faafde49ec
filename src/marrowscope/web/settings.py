"""What a running server is told, and every limit it holds to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1024 * 1024

MAX_UPLOAD_BYTES = 1024 * MIB
"""Real bytes of one upload; a knee study is 20-200 MiB, a whole-body one under 800 MiB."""

MAX_UPLOAD_FILES = 20_000
"""Files of one upload; a dynamic whole-body study has about 10,000."""

MAX_BODY_BYTES = 4 * MIB
"""Real bytes of any other request: an edit's runs over a large lesion are under 1 MiB."""

MAX_LABEL = 200
"""Characters of a study's label; longer ones are cut."""

SESSION_DAYS = 7
"""A browser stays signed in for this long."""

EDIT_WAIT_SECONDS = 60.0
"""An edit's answer is waited for this long; a second is usual, a cold start on a busy machine
takes many."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine that need no user file."""

COOKIE = "marrowscope"


@dataclass(frozen=True)
class WebSettings:
    """One server.

    Attributes:
        data: folder that everything is kept in. database: SQLAlchemy URL; empty = SQLite in ``data``.
        host, port: where it listens. token: the start-up token.
        users: user file (argon2 hashes), or None for token sign-in. tls: certificate and key are in use.
        results: further folders of results that the cohort table shows. peers: file of named peers.
        run_jobs: False leaves the queue to another process (tests).
    """

    data: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8571
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    users: Path | None = None
    tls: bool = False
    results: tuple[Path, ...] = ()
    peers: Path | None = None
    run_jobs: bool = True

    @property
    def database_url(self) -> str:
        """The URL with a driver this package ships."""
        url = self.database or f"sqlite:///{self.data / 'marrowscope.sqlite'}"
        for name in ("postgresql://", "postgres://"):
            if url.startswith(name):
                return "postgresql+psycopg://" + url.removeprefix(name)
        return url

    @property
    def cookie(self) -> str:
        """Cookies are shared by all ports of a host: each server has its own name."""
        return f"{COOKIE}-{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """Host header values that are answered (port included)."""
        names = LOOPBACK | {self.host} if self.host in LOOPBACK else {self.host}
        bare = {f"[{n}]" if ":" in n else n for n in names}
        return frozenset({f"{n}:{self.port}" for n in bare} | (bare if self.port in (80, 443) else set()))

    @property
    def url(self) -> str:
        """Address of the first page."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}/"
