"""Whose report it is never comes out: fields that name a person are dropped, and quotes hide what may be a name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from marrowscope.knowledge.report_words import report_data


def any_of(words: list[str]) -> str:
    """A pattern for any of these words, the longest first."""
    return "|".join(re.escape(str(word)).replace(r"\ ", r"\s+") for word in sorted(words, key=len, reverse=True))


@cache
def _private() -> re.Pattern[str]:
    """A private field: at the start of a line, or after a wide gap or mark within it."""
    names = any_of(report_data("text")["private"])
    start, value = r"(?:^|(?<=[|;\t\s]))[ \t]{0,8}", r"(?:[:#=]|\bby\b|(?=[A-Z]{0,3}-?\d{3,}))[ \t]*"
    return re.compile(rf"(?im){start}(?:{names})\b[ \t]{{0,8}}{value}")


_NUMBER_FIELD = re.compile(r"[A-Z]{0,3}-?\d{5,}\b")
"""A record number: its field ends with it."""

_AGED = re.compile(r"\d{1,3}\s*-?\s*(?:[yY]|[MF]\b)")
"""A person's age where a name is expected (``Patient: 67F with fever``): that field is a history."""


@cache
def _next_field() -> re.Pattern[str]:
    """Where a private field ends: at the next field, or with the line."""
    names = any_of(report_data("text")["private"])
    return re.compile(rf"(?:\s{{2,8}}|[|;\t]|\.\s)(?=[A-Z][\w .'/()-]{{1,40}}:)|\s(?=(?i:{names})\s?[:#])|\n")


def _street() -> re.Pattern[str]:
    streets = any_of(report_data("text")["street"])
    return re.compile(rf"(?i)^\s*\d{{1,5}}[a-z]?,?\s+(?:[\w'.-]+\s+){{1,4}}(?:{streets})\b")


def without_person(text: str) -> tuple[str, frozenset[str]]:
    """The report without the fields that name a person, and the words those fields held (to be hidden in quotes)."""
    kept, hidden, at = [], set[str](), 0
    for match in _private().finditer(text):
        if match.start() < at:
            continue
        end = _next_field().search(text, match.end())
        stop = end.start() if end else len(text)
        if _AGED.match(text, match.end()):
            continue
        if number := _NUMBER_FIELD.match(text, match.end()):
            stop = number.end()
        kept.append(text[at : match.start()])
        hidden.update(re.findall(r"[^\W_]{2,}", re.sub(r"\b\d{1,4}\b", " ", text[match.end() : stop])))
        at = stop
    kept.append(text[at:])
    lines = [line for line in "".join(kept).splitlines() if not _street().search(line)]
    return "\n".join(lines), frozenset(word.lower() for word in hidden)


@cache
def _known_words() -> frozenset[str]:
    """Every word of the knowledge base (sources, which name authors, left out): what may be quoted with a capital."""
    folder = files("marrowscope.knowledge") / "data"
    words = set(map(str, report_data("text")["eponyms"]))
    stack = [entry for entry in folder.iterdir() if entry.name != "sources"]
    while stack:
        entry = stack.pop()
        if entry.is_dir():
            stack += list(entry.iterdir())
        elif entry.name.endswith(".yaml"):
            words.update(re.findall(r"[^\W\d_]+", entry.read_text(encoding="utf-8").lower()))
    return frozenset(words)


@cache
def _titled() -> re.Pattern[str]:
    titles = any_of(report_data("text")["titles"])
    return re.compile(rf"\b((?i:{titles}))\b\.?\s+([\w'’-]+)\.?((?:\s[A-Z][\w'’-]*\.?){{0,2}})")


def _without_name(match: re.Match[str]) -> str:
    """A title and the name behind it replaced; ``MR knee`` is no one's name."""
    if match[1].lower() == "mr" and match[2].lower() in _known_words():
        return match[0]
    return "[name]"


_NUMBERS = re.compile(r"\b\d{1,4}[-/.]\w{2,9}[-/.]\d{2,4}\b|\b[\w.+-]+@[\w.-]+\b|\+?\d[\d -]{6,}\d|\b\w*\d{5,}\w*\b")
_WORD = re.compile(r"(?<![\w[-])[^\W\d_]{3,}(?:['’-][^\W\d_]+)*")
_CAPITAL = re.compile(r"(?<![\w-])[A-ZÀ-Þ][^\W\d_]+(?:['’-][^\W\d_]+)*")


def quoted(text: str, hidden: frozenset[str]) -> str:
    """A sentence as it may be shown: names, dates, numbers of a person and unknown capitalised words replaced."""
    shown = _NUMBERS.sub("[number]", _titled().sub(_without_name, text))
    if not any(char.isupper() for char in text):  # names, too, are then in lower case
        shown = _WORD.sub(lambda match: match[0] if _harmless(match[0]) else "[...]", shown)
    shown = _CAPITAL.sub(lambda match: match[0] if _harmless(match[0]) else "[...]", shown)
    if hidden:
        shown = re.sub(r"[^\W_]{2,}", lambda match: _shown_word(match[0], hidden), shown)
    return " ".join("".join(char if char.isprintable() else " " for char in shown).split())


def _harmless(word: str) -> bool:
    return all(part in _known_words() or len(part) == 1 for part in re.split(r"['’-]", word.lower()))


def _shown_word(word: str, hidden: frozenset[str]) -> str:
    common = word.islower() and word in _known_words()
    return "[name]" if word.lower() in hidden and not common else word
