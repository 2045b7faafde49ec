"""What the words of a series description mean: a list as data, several languages, whole tokens only."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from marrowscope.tables import parse_yaml

_GLUED: Final = re.compile(r"^(t1|t2|pd)w?(fs|tse|fse|se|stir|tirm|fatsat|spair|spir|we|dixon|tra|cor|sag|ax)$")


_TOKEN: Final = re.compile(r"[a-z0-9]+|[^\W_a-z0-9]+")
_WITHOUT_PARTS: Final = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ı": "i", "đ": "d"}
)
"""Latin letters that Unicode does not take apart into a letter and an accent."""

_ACCENTS: Final = ("\u0300", "\u036f")
_UNSPACED: Final = "\u2e80"
"""From here on (CJK, kana, Hangul) words are not parted by spaces."""


@cache
def load(name: str) -> dict[str, Any]:
    """A data file of this room, parsed."""

    loaded = parse_yaml(files("marrowscope.study").joinpath("data", name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """Lower case, Latin accents dropped, letters of other scripts kept whole."""
    parted = unicodedata.normalize("NFKD", text.translate(_WITHOUT_PARTS))
    bare = "".join(c for c in parted if not _ACCENTS[0] <= c <= _ACCENTS[1])
    return unicodedata.normalize("NFC", bare).lower()


def tokens_of(text: str) -> tuple[str, ...]:
    """Tokens of letters and digits, one script each, glued weightings parted (``t2fs`` is ``t2 fs``)."""
    tokens: list[str] = []
    for token in _TOKEN.findall(plain(text)):
        if glued := _GLUED.match(token):
            tokens += [glued[1], glued[2]]
        else:
            tokens.append(token)
    return tuple(tokens)


def phrase_of(text: str) -> str:
    """The tokens of a text, each between spaces, for :func:`mentions`."""
    return f" {' '.join(tokens_of(text))} "


def mentions(phrase: str, word: str) -> bool:
    """Whether a phrase holds a word: whole tokens, but for scripts that write without spaces."""
    known = plain(word)
    return (known in phrase) if known[:1] >= _UNSPACED else f" {known} " in phrase


@lru_cache(maxsize=1024)
def meanings(text: str) -> frozenset[str]:
    """The concepts of ``words.yaml`` that a description names."""
    phrase = phrase_of(text)
    for other in load("words.yaml")["other_meanings"]:
        phrase = phrase.replace(f" {other} ", " ")
    return frozenset(concept for concept, words in _concepts() if any(mentions(phrase, word) for word in words))


@cache
def _concepts() -> tuple[tuple[str, tuple[str, ...]], ...]:
    data = {concept: words for concept, words in load("words.yaml").items() if concept != "other_meanings"}
    return tuple((concept, tuple(str(word) for word in words)) for concept, words in data.items())


def denies_contrast(text: str) -> bool:
    """Whether a word for contrast follows directly on a word that denies it (``w/o contrast``, ``ohne KM``)."""
    phrase, words = phrase_of(text), load("words.yaml")
    before = [plain(str(w)) for w in words["no_contrast"] if mentions(phrase, str(w))]
    after = [plain(str(w)) for w in words["contrast"] if mentions(phrase, str(w))]
    return any(f" {no} {yes} " in phrase or yes in no.split() for no in before for yes in after)
