"""What the words of a series description mean: a list as data, several languages, whole tokens only."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any, Final

_GLUED: Final = re.compile(r"^(t1|t2|pd)w?(fs|tse|fse|se|stir|tirm|fatsat|spair|spir|we|dixon|tra|cor|sag|ax)$")


@cache
def load(name: str) -> dict[str, Any]:
    """A data file of this room, parsed."""
    import yaml

    loaded = yaml.safe_load(files("marrowscope.study").joinpath("data", name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def tokens_of(text: str) -> tuple[str, ...]:
    """Lower-case tokens of letters and digits, accents dropped, glued weightings parted (``t2fs`` is ``t2 fs``)."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    tokens: list[str] = []
    for token in re.split(r"[^a-z0-9]+", plain):
        if glued := _GLUED.match(token):
            tokens += [glued[1], glued[2]]
        elif token:
            tokens.append(token)
    return tuple(tokens)


def meanings(text: str) -> frozenset[str]:
    """The concepts of ``words.yaml`` that a description names."""
    tokens = tokens_of(text)
    joined = f" {' '.join(tokens)} "
    return frozenset(
        concept for concept, words in load("words.yaml").items() if any(f" {word} " in joined for word in words)
    )
