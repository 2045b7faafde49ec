"""Finding the nearest known word: shared by the intake's corrections, the vocabulary search and ``explain``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

CLOSE = 0.6
"""Similarity (difflib ratio) above which a word is offered as a correction; below it, it would mislead."""


VERY_CLOSE = 0.85
"""Similarity at which a word is taken as the same word misspelt, ahead of entries that share one of several words."""

_SMALL = (
    "a about after am an and any are as at be been by can could did do does for from had has have how i if in into is"
    " it its may me my no not of on or our please should so some than that the their them then there these they this"
    " to was we were what when where which who why will with would you your"
)

SMALL_WORDS = frozenset(_SMALL.split())
"""Words that say nothing about the subject: sharing only these is no match."""


def plain(text: str) -> str:
    """Lower case, accents of the usual kind and punctuation removed, British spellings folded."""
    folded = text.lower().replace("ö", "o").replace("ä", "a").replace("ü", "u").replace("é", "e")
    folded = (
        folded.replace("oedema", "edema").replace("haem", "hem").replace("tumour", "tumor").replace("aemia", "emia")
    )
    return re.sub(r"[^a-z0-9]+", " ", folded).strip()


def nearest(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """The choices most like ``word``, best first; empty when none is close."""
    by_plain = {plain(choice): choice for choice in choices}
    close = difflib.get_close_matches(plain(word), list(by_plain), n=count, cutoff=CLOSE)
    return [by_plain[match] for match in close]


def rank(query: str, entries: Mapping[str, Iterable[str]], count: int = 10, close: float = CLOSE) -> list[str]:
    """Keys of the entries that match free words, best first.

    Args:
        query: free words.
        entries: key -> the texts it is known by (label, synonyms).
        count: how many at most.
        close: likeness below which a text that shares no word does not match; higher where the best is taken at its
            word instead of being offered.
    """
    wanted = _Match(plain(query), close)
    scored = [(max(map(wanted, (plain(text) for text in (key, *texts)))), key) for key, texts in entries.items()]
    return [key for score, key in sorted(scored, key=lambda pair: (-pair[0], pair[1])) if score > 0][:count]


class _Match:
    """How well one text answers the query: 3 equal, 2 contained, else the share of words met, else likeness."""

    def __init__(self, wanted: str, close: float) -> None:
        self.wanted, self.close = wanted, close
        self.words = set(wanted.split()) - SMALL_WORDS

    def __call__(self, text: str) -> float:
        if not self.words or not text:
            return 0.0
        if text == self.wanted:
            return 3.0
        if f" {self.wanted} " in f" {text} ":
            return 2.0 + len(self.wanted) / (len(text) + 1)
        likeness = difflib.SequenceMatcher(None, self.wanted, text).ratio()
        if likeness >= VERY_CLOSE:
            return 1.0 + likeness
        if shared := self.words & set(text.split()):
            return len(shared) / len(self.words) + 0.5 * len(shared) / len(text.split())
        return likeness / 2 if likeness >= self.close else 0.0
