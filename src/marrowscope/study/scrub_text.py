"""Which values may be kept word for word: by value representation, by vocabulary, never by trust."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from marrowscope.study.header import Header
from marrowscope.study.words import load, plain

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

SHORTEST_SECRET: Final = 3
SHORTEST_FOREIGN: Final = 2
"""Characters of a name part that identify: three letters, two signs of a script with whole-word signs."""

_LONG_NUMBER: Final = 6
"""Digits from which a number alone can identify."""

_NUMBER: Final = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$")
_SHAPES: Final = {
    "DA": re.compile(r"^\d{8}$"),
    "TM": re.compile(r"^\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?$"),
    "DT": re.compile(r"^\d{8}(\d{2}){0,3}(\.\d{1,6})?([+-]\d{4})?$"),
    "AS": re.compile(r"^\d{3}[DWMY]$"),
}
_BY_KEYWORD: Final = {
    "StackID": re.compile(r"^\d{1,4}$"),
    "ImagedNucleus": re.compile(r"^\d{1,3}[A-Z][a-z]?$"),
    "RescaleType": re.compile(r"^(HU|HU_MOD|US|OD|PCT|normalized|arbitrary|mm2/s|um2/s|ms|s|1/s)$"),
    "ConvolutionKernel": re.compile(
        r"^([A-Z]{1,2}[A-Za-z]?\d{1,3}[a-z]{0,2}(\\\d)?|\d|BONE|BONEPLUS|STANDARD|SOFT|DETAIL|LUNG|EDGE)$"
    ),
}
_DIACRITICS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_TOKEN: Final = re.compile(r"[A-Za-z]+")
_SEQUENCE_TEXT: Final = re.compile(r"^[*#A-Za-z0-9_. -]{1,32}$")
_FREE: Final = frozenset(load("deidentify.yaml")["options"]["device"]["keep"])
"""Text that an option keeps as it is, but for what identifies this patient."""

Recode = Callable[[str], str]


def secrets_of(header: Header) -> tuple[str, ...]:
    """Names and numbers that identify, lower case: whole, in parts, without accents, digits alone."""
    texts = [header.text(keyword) for keyword in load("deidentify.yaml")["identifying"]]
    parts = {part for text in texts for part in [text, *re.split(r"[\s^=,;/\\-]+", text)]}
    spelt = {form for part in parts for form in (part.lower(), plain(part), part.lower().translate(_DIACRITICS))}
    digits = {run for part in parts for run in re.findall(r"\d+", part) if len(run) >= _LONG_NUMBER}
    long_enough = {s for s in spelt if len(s) >= (SHORTEST_SECRET if s.isascii() else SHORTEST_FOREIGN)}
    return tuple(sorted(long_enough | digits))


def kept_values(element: DataElement, secrets: tuple[str, ...], recode: Recode) -> list[str] | None:
    """The values as they may be written, or None when the element must go.

    Args:
        element: text, number or time, of the value representation its keyword has by the standard.
        secrets: of :func:`secrets_of`.
        recode: a harmless code for an unknown one, the same every time.
    """
    many = element.value if element.VM > 1 else [element.value]
    values = ["" if value is None else str(value) for value in many]
    if element.VR in ("IS", "DS"):
        return values if all(_harmless_number(value.strip(), secrets) for value in values) else None
    if shape := _SHAPES.get(element.VR):
        return values if all(not value or shape.match(value) for value in values) else None
    if _shows_secret(values, secrets):
        return [recode(value) for value in values] if _recodable(element) else None
    if element.VR == "CS" and element.keyword != "BodyPartExamined":
        return [value if _known_code(value) else recode(value) for value in values]
    return values if _known_text(element.keyword, values) else None


def _recodable(element: DataElement) -> bool:
    return element.VR == "CS" and element.keyword != "BodyPartExamined"


def _harmless_number(value: str, secrets: tuple[str, ...]) -> bool:
    if not value:
        return True
    return bool(_NUMBER.match(value)) and not (len(value) >= _LONG_NUMBER and value in secrets)


def _shows_secret(values: Iterable[str], secrets: tuple[str, ...]) -> bool:
    joined = " ".join(values)
    forms = (joined.lower(), plain(joined))
    return any(secret in form for secret in secrets for form in forms)


def _known_code(value: str) -> bool:
    words = load("deidentify.yaml")["code_words"]
    return not value or value in words or all(part in words for part in value.split())


def _known_text(keyword: str, values: list[str]) -> bool:
    joined = " ".join(values)
    if keyword == "BodyPartExamined":
        known = {part for site in load("sites.yaml")["sites"].values() for part in site["body_part"]}
        return not joined or re.sub(r"[^A-Z]", "", joined.upper()) in known | set(
            load("sites.yaml")["region"]["body_part"]
        )
    if keyword == "Manufacturer":
        return set(re.findall(r"[^\W_]+", joined.lower())) <= set(load("deidentify.yaml")["maker_words"])
    if keyword in ("SequenceName", "PulseSequenceName"):
        known = set(load("deidentify.yaml")["sequence_words"])
        return all(_SEQUENCE_TEXT.match(v) and {t.lower() for t in _TOKEN.findall(v)} <= known for v in values if v)
    if pattern := _BY_KEYWORD.get(keyword):
        return all(not value or bool(pattern.match(value)) for value in values)
    return keyword in _FREE and joined.isascii()
