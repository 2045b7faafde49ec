"""UIDs that are hashes of what an object says: sending the same result again never doubles it."""

from __future__ import annotations

import hashlib

UID_BITS = 128
"""A 2.25 UID holds a UUID-sized number (PS3.5 B.2); 2^128 has 39 digits, well inside 64 characters."""


def derived_uid(*parts: str) -> str:
    """``2.25.<number>`` from the SHA-256 of the parts.

    Args:
        parts: whatever makes the object what it is: input hash, settings, edits, kind.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[: UID_BITS // 8], 'big')}"
