"""The closed choices of an intake (site, sex, setting ...) with the other spellings understood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from marrowscope.errors import UsageError
from marrowscope.knowledge.load import read_yaml
from marrowscope.knowledge.search import plain


@dataclass(frozen=True)
class Choice:
    """One allowed word.

    Attributes:
        id: the word stored.
        label: in words.
        also: other spellings understood.
    """

    id: str
    label: str
    also: tuple[str, ...]


@cache
def choices() -> dict[str, dict[str, Choice]]:
    """Field name -> id -> choice."""
    data = read_yaml("intake_words.yaml")
    return {
        name: {key: Choice(key, raw["label"], tuple(raw["also"])) for key, raw in words.items()}
        for name, words in data.items()
    }


@cache
def _spellings(name: str) -> dict[str, str]:
    spelled: dict[str, str] = {}
    for choice in choices()[name].values():
        for text in (choice.id, choice.label, *choice.also):
            spelled.setdefault(plain(text), choice.id)
    return spelled


def choose(name: str, word: str) -> str | None:
    """The id a word means for a field, ``None`` when it means none."""
    return _spellings(name).get(plain(word))


def check_side(side: str) -> None:
    """Refuse a side that is none; an empty one is not told.

    Raises:
        UsageError: see above.
    """
    if side and side not in choices()["side"]:
        raise UsageError(f"side {side!r}", f"one of {', '.join(choices()['side'])}")
