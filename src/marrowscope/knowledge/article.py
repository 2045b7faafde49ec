"""The founding article, row by row: what holds, what it says wrongly, and where the software answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.care import preventions, treatments
from marrowscope.knowledge.lay import questions, symptoms
from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
from marrowscope.knowledge.parts import claims, complete


@dataclass(frozen=True)
class Correction:
    """One statement of the article that is wrong or incomplete.

    Attributes:
        says: the article's statement, paraphrased.
        verdict: in a word or two.
        holds, patient: what holds instead, for a clinician and for a patient.
    """

    id: str
    says: str
    verdict: str
    holds: Claim
    patient: Claim


@dataclass(frozen=True)
class Row:
    """One row of the article.

    Attributes:
        section, id, title: place and heading.
        clinician, patient: the answer in both wordings.
        corrections: ids of :class:`Correction` told where the row is used.
        topics: ``kind:id`` topics of ``marrowscope explain`` that answer it.
    """

    section: str
    id: str
    title: str
    clinician: tuple[Claim, ...]
    patient: tuple[Claim, ...]
    corrections: tuple[str, ...]
    topics: tuple[str, ...]


_Wordings = tuple[tuple[Claim, ...], tuple[Claim, ...]]


def _of_symptom(key: str) -> _Wordings:
    item = symptoms()[key]
    return (item.points_to, item.ask), (item.patient,)


def _of_treatment(key: str) -> _Wordings:
    item = treatments()[key]
    effects = tuple(indication.effect for indication in item.indications)
    return (*effects, *item.facts, item.time), (item.patient,)


def _of_prevention(key: str) -> _Wordings:
    item = preventions()[key]
    return (item.basis,), (item.patient,)


def _of_question(key: str) -> _Wordings:
    item = questions()[key]
    return item.clinician, item.patient


_SHARED: Mapping[str, Callable[[str], _Wordings]] = {
    "symptoms": _of_symptom,
    "treatment": _of_treatment,
    "prevention": _of_prevention,
    "questions": _of_question,
}
"""Sections whose rows may take both wordings from an entry of their own file (``from: id``)."""


@cache
def corrections() -> dict[str, Correction]:
    """Every correction by id."""
    found = {}
    for key, raw in read_yaml("care/corrections.yaml").items():
        with complete("correction", key):
            holds, patient = Claim.parse(raw["holds"], key), Claim.parse(raw["patient"], key)
            found[key] = Correction(key, raw["says"], raw["verdict"], holds, patient)
    return found


def _row(section: str, key: str, raw: Mapping[str, Any]) -> Row:
    if "from" in raw:
        clinician, patient = _SHARED[section](raw["from"])
    else:
        clinician, patient = claims(raw["clinician"], key), claims(raw["patient"], key)
    return Row(section, key, raw["title"], clinician, patient, tuple(raw["correction"]), tuple(raw["topics"]))


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the article's order.

    Raises:
        KnowledgeError: an incomplete row, or a correction that does not exist.
    """
    found = []
    for section, items in read_yaml("care/article.yaml").items():
        for key, raw in items.items():
            with complete("article row", f"{section}.{key}"):
                row = _row(section, key, raw)
            if unknown := set(row.corrections) - corrections().keys():
                raise KnowledgeError(f"article row {key!r}: unknown correction {min(unknown)!r}", "corrections.yaml")
            found.append(row)
    return tuple(found)
