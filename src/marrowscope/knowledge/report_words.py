"""The words of written reports as data (``data/reports/*.yaml``), folded so that spellings meet, and what finds them.

Text becomes tokens: lower case, British spellings and plurals folded, short forms spelled out. A phrase is a row of
words with gaps; it is found in the tokens of one sentence. No medical word stands in the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.load import KnowledgeError, read_yaml
from marrowscope.knowledge.search import plain

SHORT_GAP, LONG_GAP, EITHER_GAP = 3, 8, 6
"""Words a gap may span: ``..``, ``...`` and ``~``; wide enough for adjectives, too short to reach the next subject."""

LIST_GAP = 16
"""Words of a list of structures that one ``are intact`` speaks of."""

_TOKEN = re.compile(
    r"(?<=\s)[-–—](?=\s)|\d+/\d+|[A-Za-z]{1,2}/[A-Za-z]{1,2}(?![A-Za-z])|\d+(?:[.,]\d+)*|[^\W\d_]+\d*(?:'s)?|[;,:()?#+&=<>/]",
    re.UNICODE,
)
_BREAKS = r"[^;:?()\s]+"


@dataclass(frozen=True)
class Token:
    """One folded word and where it stands in the sentence (characters from, to)."""

    text: str
    start: int
    end: int


@cache
def report_data(name: str) -> dict[str, Any]:
    """``phrases``, ``context`` or ``text`` as plain data."""
    data: dict[str, Any] = read_yaml(f"reports/{name}.yaml")
    return data


@cache
def fold(word: str) -> str:
    """A word without case, accents, British spelling and plural, so that one entry meets all its forms."""
    raw = word.lower()
    if (irregular := report_data("text")["plurals"].get(raw)) is not None:
        return str(irregular)
    text = plain(raw.removesuffix("'s")) or raw
    text = str(report_data("text")["plurals"].get(text, text))
    if len(text) > 4 and text.endswith("ies"):
        return text[:-3] + "y"
    if len(text) > 3 and text.endswith("s") and not text.endswith(("ss", "us", "is")):
        return text[:-1]
    return text


def tokens_of(text: str) -> tuple[Token, ...]:
    """The folded tokens of a sentence; a short form becomes the words it stands for, all at its place."""
    short = report_data("text")["words"]
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        raw = ";" if match.group() in "-–—" else match.group().lower()
        words = str(short[raw]).split() if raw in short else [raw]
        found += [Token(fold(word), match.start(), match.end()) for word in words if word != "/"]
    return tuple(_verdict(found, i) for i in range(len(found)))


def _verdict(tokens: list[Token], i: int) -> Token:
    """The token; before a verdict the mark becomes ``is``: ``Effusion: none`` and ``Effusion (no)`` are statements."""
    token = tokens[i]
    after = tokens[i + 1].text if i + 1 < len(tokens) else ""
    if _refuses(tokens, i + 1) and token.text in _MARKS:
        return Token("is", token.start, token.end)
    if _refuses(tokens, i) and tokens[i - 1].text in _MARKS:
        return Token("absent", token.start, token.end)
    if token.text == ":" and after in report_data("text")["verdicts"]:
        return Token("is", token.start, token.end)
    return token


def _refuses(tokens: list[Token], i: int) -> bool:
    """Whether a word stands alone and denies what a mark before it names."""
    if not 0 < i < len(tokens) or tokens[i].text not in report_data("text")["refusals"]:
        return False
    return i + 1 == len(tokens) or tokens[i + 1].text in _MARKS


_MARKS = frozenset({":", ";", "(", ")", ","})
"""Marks between a finding and a verdict on it, or behind the verdict."""


@dataclass(frozen=True)
class Row:
    """A sentence's tokens as one text, with the token that stands at each place."""

    tokens: tuple[Token, ...]
    text: str
    places: dict[int, int]

    @classmethod
    def of(cls, tokens: Iterable[Token]) -> Row:
        """The tokens joined by single spaces."""
        kept, places, at = tuple(tokens), {}, 1
        for i, token in enumerate(kept):
            places[at] = i
            at += len(token.text) + 1
        return cls(kept, " " + "".join(f"{token.text} " for token in kept), places)


@dataclass(frozen=True)
class Hit:
    """A phrase found: what it names and the tokens that say so, gaps left out."""

    name: str
    words: frozenset[int]

    @property
    def first(self) -> int:
        """Index of the first token."""
        return min(self.words)

    @property
    def last(self) -> int:
        """Index of the last token."""
        return max(self.words)


class Phrases:
    """Many phrases, each with a name; :meth:`find` gives every one that a sentence holds."""

    def __init__(self, entries: Iterable[tuple[str, str]], stops: Iterable[str] = ()) -> None:
        """Compile ``(name, phrase)`` pairs; with ``stops`` a long gap is a list and passes none of these words."""
        self._by_word: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        self._by_start: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        barred = "|".join(re.escape(fold(word)) for word in stops)
        gap = rf"(?!(?:{barred}) ){_BREAKS}" if barred else _BREAKS
        for name, phrase in entries:
            for words in _sides(phrase):
                self._add(name, words, gap)

    def _add(self, name: str, words: list[str], gap: str) -> None:
        wide = LIST_GAP if gap != _BREAKS else LONG_GAP
        pattern = re.compile(" " + "".join(_piece(word, gap, wide) for word in words))
        anchors = next(word for word in words if (not word.startswith("..") and not word.endswith("?")) or word == "?")
        for anchor in _forms(anchors):
            if anchor.endswith("*"):
                self._by_start.setdefault(anchor[:_START].rstrip("*"), []).append((name, pattern))
            else:
                self._by_word.setdefault(anchor, []).append((name, pattern))

    def find(self, row: Row) -> Iterator[Hit]:
        """Every phrase found, the same words under several names included."""
        words = {token.text for token in row.tokens}
        tried = [entry for word in sorted(words) for entry in self._by_word.get(word, ())]
        if self._by_start:
            starts = {word[:length] for word in words for length in range(1, _START + 1)}
            tried += [entry for start in sorted(starts) for entry in self._by_start.get(start, ())]
        for name, pattern in tried:
            for match in pattern.finditer(row.text):
                yield Hit(name, frozenset(_tokens_of_match(match, row)))


_START = 3
"""Letters by which phrases that begin with an open word are looked up."""


def _tokens_of_match(match: re.Match[str], row: Row) -> Iterator[int]:
    for group in range(1, (match.re.groups or 0) + 1):
        if match.start(group) >= 0:
            yield row.places[match.start(group)]


def _sides(phrase: str) -> list[list[str]]:
    """The word lists of a phrase: two of them where ``~`` allows either order."""
    parts = [part.replace("-", " ").split() for part in phrase.split(" ~ ")]
    if any(not part for part in parts) or len(parts) > 2:
        raise KnowledgeError(f"report phrase {phrase!r}", "words, with at most one ~ between them")
    if len(parts) == 1:
        return parts
    left, right = parts
    return [[*left, _EITHER, *right], [*right, _EITHER, *left]]


_EITHER = "..either"
_GAPS = {"..": SHORT_GAP, "...": LONG_GAP, _EITHER: EITHER_GAP}


def _forms(word: str) -> list[str]:
    """The folded alternatives of a phrase's word; an open one keeps its star."""
    if word == "?":
        return ["?"]
    parts = word.rstrip("?").split("|")
    return [f"{plain(part.rstrip('*'))}*" if part.endswith("*") else fold(part) for part in parts]


def _piece(word: str, gap: str, wide: int) -> str:
    if word in _GAPS:
        return rf"(?:{gap} ){{0,{wide if word == '...' else _GAPS[word]}}}?"
    forms = "|".join(re.escape(form[:-1]) + r"\S*" if form.endswith("*") else re.escape(form) for form in _forms(word))
    return f"(?:({forms}) )?" if word.endswith("?") and word != "?" else f"({forms}) "


def read_words(raw: dict[str, Iterable[Any]]) -> list[tuple[str, str]]:
    """``{name: [phrase, ...]}`` as pairs."""
    return [(str(name), str(phrase).lower()) for name, phrases in raw.items() for phrase in phrases]
