"""Knowledge entries as pages: every field of an entry in words, every claim with its sources, ids as links."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from marrowscope.knowledge.load import Claim, Source, sources

SKIPPED = frozenset({"id", "label", "plain", "question", "article"})
"""Fields that are the page's heading, or book-keeping."""


@dataclass(frozen=True)
class Line:
    """One statement: its text, source numbers, whether it is judgement, where it links to."""

    text: str
    refs: tuple[int, ...] = ()
    judgement: bool = False
    href: str = ""


@dataclass(frozen=True)
class Part:
    """A heading with lines and parts below it."""

    title: str
    lines: tuple[Line, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One page."""

    kind: str
    id: str
    title: str
    plain: str
    parts: tuple[Part, ...]
    sources: tuple[Source, ...] = field(default=())


@dataclass(frozen=True)
class KindOfEntry:
    """A shelf of pages."""

    title: str
    load: Callable[[], Mapping[str, Any]]


@cache
def kinds() -> dict[str, KindOfEntry]:
    """Every shelf, in the order a reader asks."""
    from marrowscope.knowledge import care, causes, lay, measures, scores

    return {
        "questions": KindOfEntry("Questions", lay.questions),
        "causes": KindOfEntry("Causes", causes.causes),
        "symptoms": KindOfEntry("Symptoms", lay.symptoms),
        "tests": KindOfEntry("Tests", lay.tests),
        "treatments": KindOfEntry("Treatments", care.treatments),
        "sites": KindOfEntry("Joints and regions", lay.site_notes),
        "prevention": KindOfEntry("Prevention", care.preventions),
        "red-flags": KindOfEntry("Red flags", care.red_flags),
        "scores": KindOfEntry("Scores", scores.scores),
        "measures": KindOfEntry("Measurements", measures.measures),
    }


def titles(kind: str) -> list[tuple[str, str, str]]:
    """(id, title, everything it is found by) of a shelf."""
    return [(key, title_of(entry), _found_by(entry)) for key, entry in kinds()[kind].load().items()]


def title_of(entry: Any) -> str:
    """What an entry is called."""
    for name in ("question", "label", "name", "id"):
        if text := getattr(entry, name, ""):
            return str(text)
    return ""


def _found_by(entry: Any) -> str:
    words = (title_of(entry), str(getattr(entry, "plain", "")), *getattr(entry, "also", ()))
    return " ".join(words).lower()


def entry_page(kind: str, key: str) -> Entry | None:
    """The page of an entry, or None when there is none."""
    shelf = kinds().get(kind)
    entry = shelf.load().get(key) if shelf else None
    if entry is None:
        return None
    numbers = _Numbers()
    parts = tuple(_parts(entry, numbers))
    return Entry(kind, key, title_of(entry), str(getattr(entry, "plain", "")), parts, numbers.listed())


class _Numbers:
    """Source keys to footnote numbers, in order of use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, keys: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self._numbers.setdefault(key, len(self._numbers) + 1) for key in keys)

    def listed(self) -> tuple[Source, ...]:
        known = sources()
        return tuple(known[key] for key in self._numbers if key in known)


def _parts(entry: Any, numbers: _Numbers) -> Iterator[Part]:
    keys: tuple[str, ...] = ()
    for each in dataclasses.fields(entry):
        value = getattr(entry, each.name)
        if each.name == "sources" and isinstance(value, tuple):
            keys = value
        elif each.name not in SKIPPED and not _empty(value):
            yield _part(each.name.replace("_", " ").capitalize(), value, numbers)
    if keys:
        yield Part("Basis", (Line("see the sources below", numbers.of(keys)),))


def _empty(value: Any) -> bool:
    return value is None or value is False or value == "" or (isinstance(value, tuple | Mapping) and not value)


def _part(title: str, value: Any, numbers: _Numbers) -> Part:
    if isinstance(value, Mapping):
        return Part(title, (), tuple(_part(_word(k), v, numbers) for k, v in value.items()))
    values = value if isinstance(value, tuple) else (value,)
    lines = tuple(_line(v, numbers) for v in values if not dataclasses.is_dataclass(v) or isinstance(v, Claim))
    below = tuple(
        Part(title_of(v) or _heading(v), (), tuple(_parts(v, numbers)))
        for v in values
        if dataclasses.is_dataclass(v) and not isinstance(v, Claim)
    )
    return Part(title, lines, below)


def _heading(value: Any) -> str:
    for name in ("causes", "factor", "code", "key"):
        if text := getattr(value, name, ""):
            return ", ".join(_word(t) for t in text) if isinstance(text, tuple) else _word(text)
    return ""


def _line(value: Any, numbers: _Numbers) -> Line:
    if isinstance(value, Claim):
        return Line(value.text, numbers.of(value.sources), value.judgement)
    if isinstance(value, bool):
        return Line("yes")
    if isinstance(value, tuple):
        return Line(", ".join(_line(v, numbers).text for v in value))
    return Line(_word(value), href=_href(value))


def _word(value: Any) -> str:
    """A code in words: the label of what it names, else the code without underscores."""
    text = str(value.value) if isinstance(value, Enum) else str(value)
    label = _labels().get(text)
    return label[0] if label else text.replace("_", " ")


def _href(value: Any) -> str:
    label = _labels().get(value) if isinstance(value, str) else None
    return label[1] if label else ""


@cache
def _labels() -> dict[str, tuple[str, str]]:
    """Id of any entry to its title and page."""
    found: dict[str, tuple[str, str]] = {}
    for kind in ("causes", "treatments", "tests", "symptoms"):
        for key, entry in kinds()[kind].load().items():
            found.setdefault(key, (title_of(entry), f"/knowledge/{kind}/{key}"))
    return found
