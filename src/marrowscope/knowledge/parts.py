"""Small helpers of the knowledge loaders: claims inside larger entries, and entries that must be complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from marrowscope.knowledge.causes import Cause, causes, groups
from marrowscope.knowledge.load import Claim, KnowledgeError

EVERY = "*"
"""In a list of causes: all of them."""

GROUP = "group:"
"""Prefix in a list of causes: every cause of that group."""


def basis(raw: Mapping[str, Any], where: str) -> Claim:
    """The claim inside an entry that also holds other keys.

    Raises:
        KnowledgeError: neither source nor judgement.
    """
    return Claim.parse({key: raw[key] for key in ("text", "src", "judgement") if key in raw}, where)


def claims(raw: Sequence[Any], where: str) -> tuple[Claim, ...]:
    """A list of claims."""
    return tuple(Claim.parse(item, where) for item in raw)


@contextmanager
def complete(what: str, key: str) -> Iterator[None]:
    """Turn a missing or misshapen field of an entry into a KnowledgeError that names the entry."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KnowledgeError(f"{what} {key!r}: {error!r}", "a complete entry of its file") from error


def applies(names: Sequence[str], cause: Cause) -> bool:
    """Whether a list of causes, ``group:`` entries or ``*`` holds this cause."""
    return cause.id in names or GROUP + cause.group in names or EVERY in names


def check_causes(names: Sequence[str], where: str) -> None:
    """Refuse a cause or group that does not exist.

    Raises:
        KnowledgeError: the first unknown name.
    """
    for name in names:
        known = name == EVERY or name in causes() or name.removeprefix(GROUP) in groups()
        if not known:
            raise KnowledgeError(f"{where}: unknown cause {name!r}", "a cause id, group:<id> or *")
