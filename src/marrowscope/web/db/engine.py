"""Opening the database and bringing it to this version's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from marrowscope.errors import UsageError

SQLITE_BUSY_MS = 10_000
"""How long a writer waits for another; the server and its workers share the file."""

POOL = 8
"""PostgreSQL connections kept open; 20 readers hold one for milliseconds each."""


class Database:
    """Sessions on one database; ``with database.begin() as db`` is one transaction.

    Args:
        url: SQLAlchemy URL of SQLite or PostgreSQL.

    Raises:
        UsageError: the URL cannot be used, or nothing answers there.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = _engine(url)
            with self.engine.connect():
                pass
        except (ArgumentError, NoSuchModuleError) as error:
            raise UsageError(
                "a --db URL that cannot be read", "sqlite:///FILE or postgresql://USER@HOST/NAME"
            ) from error
        except OperationalError as error:
            raise UsageError(
                "a database that does not answer", "a running database", "check --db and the server"
            ) from error
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any error."""
        with self._sessions.begin() as session:
            yield session

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=POOL, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_MS / 1000}, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {SQLITE_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(database: Database) -> None:
    """Bring the tables to this version (Alembic ``upgrade head``)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
