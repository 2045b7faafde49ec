"""The queue's one table, and how its file is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from marrowscope.errors import UsageError

SCHEMA_VERSION = 1
"""``PRAGMA user_version`` of the file; another version is refused, never guessed at."""

BUSY_SECONDS = 10.0
"""How long a writer waits for another: transactions here take milliseconds."""

TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    not_before REAL NOT NULL DEFAULT 0,
    owner TEXT,
    pid INTEGER,
    lease_until REAL,
    cancel_at REAL,
    result TEXT,
    error TEXT,
    UNIQUE (kind, key)
);
CREATE INDEX IF NOT EXISTS jobs_next ON jobs (state, lane, priority DESC, created);
"""


def connect(path: Path) -> sqlite3.Connection:
    """The queue's file, made when absent; every commit is on disk when it returns.

    Raises:
        UsageError: the file is of another version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, SCHEMA_VERSION):
        connection.close()
        raise UsageError(
            f"a job queue of version {version}", f"version {SCHEMA_VERSION}", "use the marrowscope that made it"
        )
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {TABLE} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    return connection
