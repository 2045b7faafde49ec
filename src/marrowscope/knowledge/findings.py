"""The findings vocabulary: one code for one observation, whoever made it, from ``data/findings/*.yaml``.

A finding may imply a more general one (``is_a``): an ACL tear is a ligament tear; without a ligament tear there is no
ACL tear. ``background`` is how often the finding is met in anyone with edema-like marrow signal: the fixed yardstick of
all evidence, an estimate by judgement unless a source is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.load import KnowledgeError, keys_of, read_folder


class Kind(StrEnum):
    """Where a finding is entered."""

    SYMPTOM = "symptoms"
    HISTORY = "history"
    CONDITION = "conditions"
    DRUG = "drugs"
    LAB = "labs"
    REGION = "regions"
    IMAGING = "imaging"


@dataclass(frozen=True)
class FindingDef:
    """One code of the vocabulary.

    Attributes:
        code: stable identifier.
        label: in a clinician's words.
        kind: where it is entered.
        section: its heading in the vocabulary (a site for regions, a modality or topic for images).
        also: synonyms, for searching.
        is_a: code of the more general finding its presence implies, or empty.
        background: probability in anyone with edema-like marrow signal; ``None`` = it weighs nothing itself.
        sources: keys behind the background; empty = judgement.
    """

    code: str
    label: str
    kind: Kind
    section: str
    also: tuple[str, ...] = ()
    is_a: str = ""
    background: float | None = None
    sources: tuple[str, ...] = ()


_CLINICAL = {kind.value: kind for kind in (Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)}


def _kind(file: str, section: str) -> Kind:
    if file == "clinical":
        return _CLINICAL[section]
    return Kind.REGION if file == "regions" else Kind.IMAGING


def _parse(code: str, raw: dict[str, Any], kind: Kind, section: str) -> FindingDef:
    unknown = raw.keys() - {"label", "also", "is_a", "bg", "src"}
    background = raw.get("bg")
    if unknown or not raw.get("label"):
        raise KnowledgeError(f"finding {code!r}: {raw}", "label, also, is_a, bg, src")
    if background is not None and not 0 < background < 1:
        raise KnowledgeError(f"finding {code!r}: background {background}", "a probability between 0 and 1")
    also = tuple(str(word) for word in raw.get("also", ()))
    return FindingDef(code, raw["label"], kind, section, also, raw.get("is_a", ""), background, keys_of(raw.get("src")))


def _lab_levels() -> dict[str, FindingDef]:
    from marrowscope.knowledge.labs import labs

    return {
        f"{lab.code}_{level}": FindingDef(
            f"{lab.code}_{level}", f"{lab.label}: {level.replace('_', ' ')}", Kind.LAB, lab.code, lab.also
        )
        for lab in labs().values()
        for level in lab.levels
    }


@cache
def vocabulary() -> dict[str, FindingDef]:
    """Every code, the laboratory levels (``crp_high``) included.

    Raises:
        KnowledgeError: a code twice, an unknown field, a number out of range or an ``is_a`` that leads nowhere.
    """
    found: dict[str, FindingDef] = {}
    for file, sections in read_folder("findings").items():
        for section, items in ({} if file == "labs" else sections).items():
            for code, raw in items.items():
                if code in found:
                    raise KnowledgeError(f"finding {code!r} twice", "unique codes")
                found[code] = _parse(code, raw, _kind(file, section), section)
    found |= _lab_levels()
    for item in found.values():
        if item.is_a and item.is_a not in found:
            raise KnowledgeError(f"finding {item.code!r} is_a {item.is_a!r}", "a code of the vocabulary")
    return found


def implied(code: str) -> tuple[str, ...]:
    """Codes the presence of ``code`` implies, nearest first."""
    chain: list[str] = []
    parent = vocabulary()[code].is_a
    while parent and parent not in chain:
        chain.append(parent)
        parent = vocabulary()[parent].is_a
    return tuple(chain)


def label_of(code: str) -> str:
    """The clinician's words for a code; the code itself when it is not in the vocabulary."""
    item = vocabulary().get(code)
    return item.label if item else code
