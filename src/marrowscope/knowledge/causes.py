"""Causes and their 19 groups, as typed data from ``data/groups.yaml`` and ``data/causes/*.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.load import Claim, KnowledgeError, merge, read_folder, read_yaml


class Urgency(StrEnum):
    """How soon: same day; days to two weeks; two to six weeks; later."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    SOON = "soon"
    ROUTINE = "routine"


class Role(StrEnum):
    """What the cause does to the marrow.

    Edema-like signal; fat replaced by cells; more red marrow (a mimic); fat depleted; only through another cause;
    or no marrow effect shown.
    """

    EDEMA = "edema"
    REPLACEMENT = "replacement"
    RED_MARROW_MIMIC = "red_marrow_mimic"
    DEPLETION = "depletion"
    INDIRECT = "indirect"
    NOT_A_CAUSE = "not_a_cause"


@dataclass(frozen=True)
class Group:
    """One of the 19 cause groups.

    Attributes:
        id: as in the design's list.
        label: for a clinician.
        plain: for a patient, fits after "this can be".
        cancer, infection: what a true answer in this group means when the checks are scored.
    """

    id: str
    label: str
    plain: str
    cancer: bool = False
    infection: bool = False


@dataclass(frozen=True)
class Cause:
    """One cause of edema-like marrow signal, or a mimic of it.

    Attributes:
        id: stable identifier.
        label, plain: for a clinician; for a patient.
        group: id of its :class:`Group`.
        role: what it does to the marrow; ``indirect`` causes are weighed as risks and never ranked.
        urgency: the usual step; ``escalate`` says when it is higher.
        also: synonyms, for searching.
        icd10: category or categories, with the WHO / CM difference where there is one.
        snomed: SNOMED CT concept from open mapping files, or empty.
        escalate, note: claims, or None.
    """

    id: str
    label: str
    plain: str
    group: str
    role: Role
    urgency: Urgency
    also: tuple[str, ...]
    icd10: str
    snomed: str = ""
    escalate: Claim | None = None
    note: Claim | None = None

    @property
    def ranked(self) -> bool:
        """Whether the differential lists it."""
        return self.role is not Role.INDIRECT


@cache
def groups() -> dict[str, Group]:
    """The 19 groups by id, in the design's order."""
    return {key: Group(id=key, **raw) for key, raw in read_yaml("groups.yaml").items()}


def _claim(raw: Mapping[str, Any], name: str, where: str) -> Claim | None:
    return Claim.parse(raw[name], f"{where}.{name}") if name in raw else None


def _cause(key: str, raw: Mapping[str, Any]) -> Cause:
    try:
        return Cause(
            id=key,
            label=raw["label"],
            plain=raw["plain"],
            group=raw["group"],
            role=Role(raw["role"]),
            urgency=Urgency(raw["urgency"]),
            also=tuple(raw["also"]),
            icd10=str(raw["icd10"]),
            snomed=str(raw.get("snomed", "")),
            escalate=_claim(raw, "escalate", key),
            note=_claim(raw, "note", key),
        )
    except (KeyError, ValueError) as error:
        raise KnowledgeError(f"cause {key!r}: {error}", "label, plain, group, role, urgency, also, icd10") from error


@cache
def causes() -> dict[str, Cause]:
    """Every cause by id.

    Raises:
        KnowledgeError: a duplicate id, a missing or unknown field, or a group that does not exist.
    """
    found = {key: _cause(key, raw) for key, raw in merge(read_folder("causes"), "cause").items()}
    for cause in found.values():
        if cause.group not in groups():
            raise KnowledgeError(f"cause {cause.id!r} in group {cause.group!r}", f"one of {sorted(groups())}")
    return found
