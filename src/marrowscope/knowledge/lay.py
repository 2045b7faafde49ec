"""What a person asks about: tests, symptoms, questions, joints, and whether it can be cancer.

Files: ``data/care/{tests,symptoms,questions,sites,cancer}.yaml``; each entry in a clinician's and a patient's wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.load import Claim, KnowledgeError, keys_of, read_yaml
from marrowscope.knowledge.parts import basis, claims, complete


class OfEdema(StrEnum):
    """Whether edema itself causes a symptom."""

    YES = "yes"
    NO = "no"


class Flag(StrEnum):
    """How loud a symptom warns."""

    RED = "red"
    AMBER = "amber"
    NONE = "none"


@dataclass(frozen=True)
class Accuracy:
    """Printed accuracy of a test for one target; shares in 0..1."""

    target: str
    sensitivity: float
    specificity: float
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Investigation:
    """One test: what it is for, shows and cannot show.

    Attributes:
        done_by: sections of the findings vocabulary whose statements mean that it was done.
    """

    id: str
    label: str
    plain: str
    also: tuple[str, ...]
    role: Claim
    shows: tuple[Claim, ...]
    cannot: tuple[Claim, ...]
    accuracy: tuple[Accuracy, ...]
    done_by: tuple[str, ...]
    patient: Claim


@dataclass(frozen=True)
class Symptom:
    """One symptom: from edema or not, what it points to, how loud it warns, what to ask next.

    Attributes:
        codes: finding codes of the intake that mean it.
    """

    id: str
    label: str
    plain: str
    also: tuple[str, ...]
    of_edema: OfEdema
    flag: Flag
    codes: tuple[str, ...]
    points_to: Claim
    ask: Claim
    patient: Claim


@dataclass(frozen=True)
class Question:
    """A patient's question, answered twice."""

    id: str
    question: str
    also: tuple[str, ...]
    article: bool
    clinician: tuple[Claim, ...]
    patient: tuple[Claim, ...]


@dataclass(frozen=True)
class SiteNote:
    """One joint or region: usual causes, imaging, course."""

    id: str
    label: str
    plain: str
    also: tuple[str, ...]
    clinician: tuple[Claim, ...]
    imaging: Claim
    course: Claim
    patient: tuple[Claim, ...]


@dataclass(frozen=True)
class Situation:
    """How often it was cancer in one situation; ``low`` to ``high`` in ``unit``."""

    id: str
    low: float
    high: float
    unit: str
    basis: Claim


@dataclass(frozen=True)
class LevelWords:
    """How one level of the cancer check is told: to a clinician, to a patient, and where the patient still grows."""

    clinician: Claim
    patient: tuple[Claim, ...]
    growing: tuple[Claim, ...]


@dataclass(frozen=True)
class CancerAnswer:
    """The direct answer to "can it be cancer?"."""

    intro: Claim
    answer: tuple[Claim, ...]
    situations: tuple[Situation, ...]
    flags: tuple[Claim, ...]
    workup: tuple[Claim, ...]
    levels: Mapping[str, LevelWords]


def _accuracy(raw: Mapping[str, Any], where: str) -> Accuracy:
    shares = float(raw["sensitivity"]), float(raw["specificity"])
    if not all(0 <= share <= 1 for share in shares):
        raise KnowledgeError(f"{where}: accuracy {shares}", "shares between 0 and 1")
    return Accuracy(raw["target"], *shares, keys_of(raw["src"]))


def _test(key: str, raw: Mapping[str, Any]) -> Investigation:
    return Investigation(
        id=key,
        label=raw["label"],
        plain=raw["plain"],
        also=tuple(raw["also"]),
        role=Claim.parse(raw["role"], key),
        shows=claims(raw["shows"], key),
        cannot=claims(raw["cannot"], key),
        accuracy=tuple(_accuracy(item, key) for item in raw["accuracy"]),
        done_by=tuple(raw.get("done_by", ())),
        patient=Claim.parse(raw["patient"], key),
    )


def _symptom(key: str, raw: Mapping[str, Any]) -> Symptom:
    return Symptom(
        id=key,
        label=raw["label"],
        plain=raw["plain"],
        also=tuple(raw["also"]),
        of_edema=OfEdema(raw["of_edema"]),
        flag=Flag(raw["flag"]),
        codes=tuple(raw["codes"]),
        points_to=Claim.parse(raw["points_to"], key),
        ask=Claim.parse(raw["ask"], key),
        patient=Claim.parse(raw["patient"], key),
    )


def _question(key: str, raw: Mapping[str, Any]) -> Question:
    clinician, patient = claims(raw["clinician"], key), claims(raw["patient"], key)
    return Question(key, raw["question"], tuple(raw["also"]), raw["article"], clinician, patient)


def _site(key: str, raw: Mapping[str, Any]) -> SiteNote:
    imaging, course = Claim.parse(raw["imaging"], key), Claim.parse(raw["course"], key)
    clinician, patient = claims(raw["clinician"], key), claims(raw["patient"], key)
    return SiteNote(key, raw["label"], raw["plain"], tuple(raw["also"]), clinician, imaging, course, patient)


def _situation(key: str, raw: Mapping[str, Any]) -> Situation:
    low, high = float(raw["low"]), float(raw["high"])
    if not 0 <= low <= high <= 100:  # percent
        raise KnowledgeError(f"situation {key!r}: {low} to {high} %", "percentages, rising")
    return Situation(key, low, high, raw["unit"], basis(raw, key))


@cache
def tests() -> dict[str, Investigation]:
    """Every test by id."""
    found = {}
    for key, raw in read_yaml("care/tests.yaml").items():
        with complete("test", key):
            found[key] = _test(key, raw)
    return found


@cache
def symptoms() -> dict[str, Symptom]:
    """Every symptom by id."""
    found = {}
    for key, raw in read_yaml("care/symptoms.yaml").items():
        with complete("symptom", key):
            found[key] = _symptom(key, raw)
    return found


@cache
def questions() -> dict[str, Question]:
    """Every question by id."""
    found = {}
    for key, raw in read_yaml("care/questions.yaml").items():
        with complete("question", key):
            found[key] = _question(key, raw)
    return found


@cache
def site_notes() -> dict[str, SiteNote]:
    """Every site by id."""
    found = {}
    for key, raw in read_yaml("care/sites.yaml").items():
        with complete("site", key):
            found[key] = _site(key, raw)
    return found


@cache
def cancer_answer() -> CancerAnswer:
    """The answer to "can it be cancer?", with the words for every level of the cancer check."""
    raw = read_yaml("care/cancer.yaml")
    with complete("cancer answer", "cancer.yaml"):
        return CancerAnswer(
            intro=Claim.parse(raw["intro"], "cancer"),
            answer=claims(raw["answer"], "cancer"),
            situations=tuple(_situation(key, item) for key, item in raw["situations"].items()),
            flags=claims(raw["flags"], "cancer"),
            workup=claims(raw["workup"], "cancer"),
            levels={
                key: LevelWords(
                    Claim.parse(item["clinician"], key),
                    claims(item["patient"], key),
                    claims(item.get("growing", item["patient"]), key),
                )
                for key, item in raw["levels"].items()
            },
        )
