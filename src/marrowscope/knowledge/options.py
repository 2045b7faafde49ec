"""Care options as data: what each is worth for which cause, its licence and its cautions. No doses anywhere.

Files: ``data/care/{factors,treatments}.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
from marrowscope.knowledge.parts import basis, claims, complete


class Level(StrEnum):
    """Evidence: A consistent trials; B one or small or disagreeing trials; C observation; D none or contradicted."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Role(StrEnum):
    """What an option is for a cause: ordinary care, may be weighed, a specialist's decision, or not to be used."""

    USUAL = "usual"
    OPTION = "option"
    SPECIALIST = "specialist"
    AGAINST = "against"


class Action(StrEnum):
    """What a caution asks for: leave it out, a specialist decides, or take care; in falling weight."""

    AVOID = "avoid"
    SPECIALIST = "specialist"
    CARE = "care"


@dataclass(frozen=True)
class Factor:
    """Something about a patient that can make an option unsafe.

    Attributes:
        id, label, plain, ask: identifier, clinician's words, the reason and the question in plain words.
        codes: finding codes whose presence raises it.
        rule_out: finding codes that must all be absent to exclude it; empty = only the other ways below decide.
        causes, share: causes that raise it while together they reach this posterior share.
        checks: not-to-miss checks that raise it (``cancer``, ``infection``, ``unstable``).
        age_from: raised from this age in years, or ``None``.
        immature: raised by an immature skeleton.
        only, sites: sexes and sites it concerns; empty = all.
        ages: youngest and oldest age in years it concerns, or ``None``.
    """

    id: str
    label: str
    plain: str
    ask: str
    codes: tuple[str, ...]
    rule_out: tuple[str, ...]
    causes: tuple[str, ...]
    share: float | None
    checks: tuple[str, ...]
    age_from: float | None
    immature: bool
    only: tuple[str, ...]
    sites: tuple[str, ...]
    ages: tuple[float, float] | None


@dataclass(frozen=True)
class Caution:
    """One reason against, or for care with, an option."""

    factor: str
    action: Action
    basis: Claim


@dataclass(frozen=True)
class Indication:
    """What an option is worth for some causes.

    Attributes:
        causes: cause ids, ``group:`` entries or ``*``.
        role, level, effect: its place, its evidence, what trials or series showed.
        when: finding codes of which one must be present; empty = always.
    """

    causes: tuple[str, ...]
    role: Role
    level: Level
    effect: Claim
    when: tuple[str, ...]


@dataclass(frozen=True)
class Treatment:
    """One care option.

    Attributes:
        id, label, plain, also: identifier, clinician's and patient's words, synonyms.
        kind: ``self_care``, ``exercise``, ``device``, ``medicine``, ``supplement``, ``injection``, ``infusion``,
            ``procedure`` or ``physical_agent``.
        article: named by the founding article.
        off_label: no licence for this use; said plainly wherever it is shown.
        licence, time, patient: licence status, time to effect, the patient's sentence.
        indications, facts, cautions, watch: see their types; ``watch`` = what to monitor.
    """

    id: str
    label: str
    plain: str
    also: tuple[str, ...]
    kind: str
    article: bool
    off_label: bool
    licence: Claim
    indications: tuple[Indication, ...]
    facts: tuple[Claim, ...]
    time: Claim
    cautions: tuple[Caution, ...]
    watch: tuple[Claim, ...]
    patient: Claim


def _factor(key: str, raw: Mapping[str, Any]) -> Factor:
    return Factor(
        id=key,
        label=raw["label"],
        plain=raw["plain"],
        ask=raw["ask"],
        codes=tuple(raw["codes"]),
        rule_out=tuple(raw["rule_out"]),
        causes=tuple(raw.get("causes", ())),
        share=float(raw["share"]) if "share" in raw else None,
        checks=tuple(raw.get("checks", ())),
        age_from=float(raw["age_from"]) if "age_from" in raw else None,
        immature=bool(raw.get("immature", False)),
        only=tuple(raw.get("only", ())),
        sites=tuple(raw.get("sites", ())),
        ages=(float(raw["ages"][0]), float(raw["ages"][1])) if "ages" in raw else None,
    )


def _indication(raw: Mapping[str, Any], where: str) -> Indication:
    effect = Claim.parse(raw["effect"], where)
    return Indication(tuple(raw["of"]), Role(raw["role"]), Level(raw["level"]), effect, tuple(raw.get("when", ())))


def _treatment(key: str, raw: Mapping[str, Any]) -> Treatment:
    return Treatment(
        id=key,
        label=raw["label"],
        plain=raw["plain"],
        also=tuple(raw["also"]),
        kind=raw["kind"],
        article=raw["article"],
        off_label=raw["off_label"],
        licence=Claim.parse(raw["licence"], key),
        indications=tuple(_indication(item, key) for item in raw["for"]),
        facts=claims(raw["facts"], key),
        time=Claim.parse(raw["time"], key),
        cautions=tuple(Caution(item["factor"], Action(item["action"]), basis(item, key)) for item in raw["cautions"]),
        watch=claims(raw["watch"], key),
        patient=Claim.parse(raw["patient"], key),
    )


@cache
def factors() -> dict[str, Factor]:
    """Every caution factor by id."""
    found = {}
    for key, raw in read_yaml("care/factors.yaml").items():
        with complete("factor", key):
            found[key] = _factor(key, raw)
    return found


@cache
def treatments() -> dict[str, Treatment]:
    """Every care option by id, usual care first.

    Raises:
        KnowledgeError: an incomplete entry, a claim without basis, or a caution for an unknown factor.
    """
    found = {}
    for key, raw in read_yaml("care/treatments.yaml").items():
        with complete("treatment", key):
            found[key] = _treatment(key, raw)
        if unknown := {caution.factor for caution in found[key].cautions} - factors().keys():
            raise KnowledgeError(f"treatment {key!r}: unknown factor {min(unknown)!r}", "an id of factors.yaml")
    return found
