"""Blotting a patient's name and numbers out of text that is shown: file names and series descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from marrowscope.study.header import Header

_IDENTIFYING: Final = ("PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName")
_SHORTEST: Final = 3
"""Name parts shorter than this would blot out ordinary words."""

_SHORTEST_FOREIGN: Final = 2
"""Names in Chinese, Japanese or Korean signs have two."""

BLOT: Final = "***"
_NO_TAGS: Final = str.maketrans({"<": "\u2039", ">": "\u203a"})


def names_in(headers: Iterable[Header]) -> tuple[str, ...]:
    """The parts of patients' names and ids in headers, longest first."""
    texts = (header.text(key) for header in headers for key in _IDENTIFYING)
    pieces = (part for text in texts for part in re.split(r"[\s^=,;/\\\\]+", text))
    parts = {part for part in pieces if len(part) >= (_SHORTEST if part.isascii() else _SHORTEST_FOREIGN)}
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


def redact(text: str, names: tuple[str, ...]) -> str:
    """The text with every name part replaced, whatever its case, and nothing a browser could take for a tag."""
    text = text.translate(_NO_TAGS)
    for name in names:
        text = re.sub(re.escape(name), BLOT, text, flags=re.IGNORECASE)
    return text
