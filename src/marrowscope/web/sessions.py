"""Who is signed in: the start-up token, or a user file with argon2 hashes; sessions kept as digests."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, timedelta
from pathlib import Path

from sqlalchemy import delete

from marrowscope.errors import UsageError
from marrowscope.web.db import Database, SessionRow
from marrowscope.web.records import clean, now
from marrowscope.web.settings import SESSION_DAYS, WebSettings

MAX_NAME = 80
"""Characters of a reader's name."""

MAX_USER_FILE_BYTES = 1024 * 1024


class Sessions:
    """Opens, knows and ends sessions."""

    def __init__(self, database: Database, settings: WebSettings) -> None:
        self._database = database
        self._settings = settings
        self._users = read_users(settings.users) if settings.users else None

    def token_holds(self, token: str) -> bool:
        """Whether this is the start-up token (never, when a user file is in use)."""
        if self._users is not None:
            return False
        return secrets.compare_digest(token.encode(), self._settings.token.encode())

    def password_holds(self, name: str, password: str) -> bool:
        """Whether the user file knows this name with this password; as slow for unknown names."""
        from argon2 import PasswordHasher
        from argon2.exceptions import VerificationError

        users = self._users or {}
        known = users.get(name)
        try:
            PasswordHasher().verify(known or next(iter(users.values())), password)
        except (VerificationError, StopIteration):
            return False
        return known is not None

    def open(self, name: str = "") -> str:
        """A new session's cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._database.begin() as db:
            db.execute(delete(SessionRow).where(SessionRow.until < now()))
            db.add(
                SessionRow(
                    digest=_digest(cookie), name=clean(name, MAX_NAME), until=now() + timedelta(days=SESSION_DAYS)
                )
            )
        return cookie

    def reader(self, cookie: str) -> str | None:
        """The session's reader name (may be empty), or None when there is no such session."""
        with self._database.begin() as db:
            row = db.get(SessionRow, _digest(cookie))
            return row.name if row is not None and row.until.replace(tzinfo=UTC) > now() else None

    def rename(self, cookie: str, name: str) -> str:
        """Set the reader's name of a token session and return it as kept.

        Raises:
            UsageError: names come from the user file, or the name is empty.
        """
        if self._users is not None:
            raise UsageError("a new name", "the name you signed in with", "sign in as somebody else")
        kept = clean(name, MAX_NAME)
        if not kept:
            raise UsageError("no name", "your name as it should stand under a report")
        with self._database.begin() as db:
            row = db.get(SessionRow, _digest(cookie))
            if row is not None:
                row.name = kept
        return kept

    def close(self, cookie: str) -> None:
        """Sign out."""
        with self._database.begin() as db:
            db.execute(delete(SessionRow).where(SessionRow.digest == _digest(cookie)))


def read_users(path: Path) -> dict[str, str]:
    """``name:argon2 hash`` a line.

    Raises:
        UsageError: no such file, or a line that is not of that form.
    """
    if not path.is_file() or path.stat().st_size > MAX_USER_FILE_BYTES:
        raise UsageError(
            f"no user file {path.name}", "one 'name:hash' a line", "marrowscope serve --add-user NAME --users FILE"
        )
    users: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, hashed = line.strip().partition(":")
        if not colon or not name or not hashed.startswith("$argon2id$"):
            raise UsageError(
                f"line {number} of the user file",
                "name:$argon2id$...",
                "marrowscope serve --add-user NAME --users FILE",
            )
        users[clean(name, MAX_NAME)] = hashed
    if not users:
        raise UsageError(
            "a user file without users", "one 'name:hash' a line", "marrowscope serve --add-user NAME --users FILE"
        )
    return users


def add_user(path: Path, name: str, password: str) -> None:
    """Append a user to the file, or replace the one of that name; the file is readable by its owner alone.

    Raises:
        UsageError: a name or password that cannot be used.
    """
    from argon2 import PasswordHasher

    if not clean(name, MAX_NAME) or ":" in name or clean(name, MAX_NAME) != name:
        raise UsageError("a user name with a colon, a control character or nothing in it", "letters, digits, spaces")
    if len(password) < MIN_PASSWORD:
        raise UsageError(f"a password of {len(password)} characters", f"at least {MIN_PASSWORD}")
    users = read_users(path) if path.is_file() and path.stat().st_size else {}
    users[name] = PasswordHasher().hash(password)
    aside = path.with_name(f".{path.name}.new")
    aside.touch(mode=0o600)
    aside.write_text("".join(f"{n}:{h}\n" for n, h in users.items()), encoding="utf-8")
    aside.replace(path)


MIN_PASSWORD = 12
"""Characters; the app may be reached by anybody on the network (NIST SP 800-63B asks for 8 at the least)."""


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
