"""Care as data: options with their evidence and cautions, next steps, prevention, follow-up, when to come at once.

Files: ``data/care/{factors,treatments,next_steps,prevention,follow_up,red_flags}.yaml``. No doses anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.causes import Urgency
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


@dataclass(frozen=True)
class TestUse:
    """A test asked for by a next step, with how soon and why.

    Attributes:
        sites, not_sites, regions: where it is asked for; empty = everywhere.
    """

    __test__ = False  # not a pytest class

    test: str
    urgency: Urgency
    basis: Claim
    sites: tuple[str, ...] = ()
    not_sites: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    def wanted(self, site: str, codes: Collection[str]) -> bool:
        """Whether it is asked for at this site, with these finding codes (regions among them)."""
        at_site = (not self.sites or site in self.sites) and site not in self.not_sites
        return at_site and (not self.regions or bool(set(self.regions) & set(codes)))


@dataclass(frozen=True)
class NextStep:
    """What to do next for some causes.

    Attributes:
        id, label, causes: identifier, words, cause ids it is for (empty = when nothing explains the edema).
        tests: in order.
        refer, biopsy: to whom and how soon; whether a sample is needed.
        course, avoid: how it goes on; what not to do.
        evidence: ``guideline`` or a :class:`Level`.
        do, lasts: the patient's sentences.
    """

    id: str
    label: str
    causes: tuple[str, ...]
    tests: tuple[TestUse, ...]
    refer: Claim
    biopsy: Claim
    course: tuple[Claim, ...]
    avoid: tuple[Claim, ...]
    evidence: str
    do: Claim
    lasts: Claim


@dataclass(frozen=True)
class Prevention:
    """One preventive measure with what supports it."""

    id: str
    label: str
    article: bool
    causes: tuple[str, ...]
    basis: Claim
    patient: Claim


@dataclass(frozen=True)
class FollowUp:
    """When to image again: ``weeks`` from and to, or ``None`` when no repeat is planned."""

    id: str
    label: str
    causes: tuple[str, ...]
    weeks: tuple[float, float] | None
    advice: Claim
    patient: Claim


@dataclass(frozen=True)
class RedFlag:
    """A reason to see a doctor at once. ``when`` holds ``*``, ``site:``, ``code:`` or ``immature`` entries."""

    id: str
    when: tuple[str, ...]
    urgency: Urgency
    basis: Claim
    patient: str


@dataclass(frozen=True)
class CheckRule:
    """Which next step a raised check brings, when every condition of ``when`` holds."""

    step: str
    when: tuple[str, ...]


@dataclass(frozen=True)
class Hold:
    """Options that wait while a check is raised: by kind, but for some; check kind -> the factor shown."""

    kinds: tuple[str, ...]
    but: tuple[str, ...]
    checks: Mapping[str, str]
    basis: Claim


@dataclass(frozen=True)
class PlanRules:
    """How a plan is drawn from a ranking.

    Attributes:
        done_label: words for a test that was done already, with ``{label}``.
        numbers, basis: thresholds (shares of probability, counts, years) and where each comes from.
        hold: what waits while a check is raised.
        checks: the next steps of raised checks.
    """

    done_label: str
    hold: Hold
    numbers: Mapping[str, float]
    basis: Mapping[str, Claim]
    checks: Mapping[str, tuple[CheckRule, ...]]


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


def _test_use(raw: Mapping[str, Any], where: str) -> TestUse:
    places = {name: tuple(raw.get(name, ())) for name in ("sites", "not_sites", "regions")}
    return TestUse(raw["test"], Urgency(raw["urgency"]), basis(raw, where), **places)


def _next_step(key: str, raw: Mapping[str, Any]) -> NextStep:
    return NextStep(
        id=key,
        label=raw["label"],
        causes=tuple(raw["causes"]),
        tests=tuple(_test_use(item, key) for item in raw["tests"]),
        refer=Claim.parse(raw["refer"], key),
        biopsy=Claim.parse(raw["biopsy"], key),
        course=claims(raw["course"], key),
        avoid=claims(raw["avoid"], key),
        evidence=raw["evidence"],
        do=Claim.parse(raw["patient"]["do"], key),
        lasts=Claim.parse(raw["patient"]["lasts"], key),
    )


def _follow_up(key: str, raw: Mapping[str, Any]) -> FollowUp:
    weeks = None if raw["weeks"] is None else (float(raw["weeks"][0]), float(raw["weeks"][1]))
    if weeks is not None and not 0 < weeks[0] <= weeks[1]:
        raise KnowledgeError(f"follow-up {key!r}: {weeks} weeks", "[from, to], rising, above 0")
    advice, patient = Claim.parse(raw["advice"], key), Claim.parse(raw["patient"], key)
    return FollowUp(key, raw["label"], tuple(raw["for"]), weeks, advice, patient)


def _prevention(key: str, raw: Mapping[str, Any]) -> Prevention:
    patient = Claim.parse(raw["patient"], key)
    return Prevention(key, raw["label"], raw["article"], tuple(raw["for"]), Claim.parse(raw["basis"], key), patient)


def _red_flag(key: str, raw: Mapping[str, Any]) -> RedFlag:
    return RedFlag(key, tuple(raw["when"]), Urgency(raw["urgency"]), basis(raw, key), raw["patient"])


def _entries(name: str) -> dict[str, Any]:
    data: dict[str, Any] = read_yaml(f"care/{name}.yaml")
    return data


@cache
def factors() -> dict[str, Factor]:
    """Every caution factor by id."""
    found = {}
    for key, raw in _entries("factors").items():
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
    for key, raw in _entries("treatments").items():
        with complete("treatment", key):
            found[key] = _treatment(key, raw)
        if unknown := {caution.factor for caution in found[key].cautions} - factors().keys():
            raise KnowledgeError(f"treatment {key!r}: unknown factor {min(unknown)!r}", "an id of factors.yaml")
    return found


@cache
def next_steps() -> dict[str, NextStep]:
    """Every next step by id."""
    found = {}
    for key, raw in _entries("next_steps").items():
        with complete("next step", key):
            found[key] = _next_step(key, raw)
    return found


@cache
def next_step_of() -> dict[str, NextStep]:
    """Cause id -> its next step.

    Raises:
        KnowledgeError: a cause in two next steps.
    """
    found: dict[str, NextStep] = {}
    for step in next_steps().values():
        for cause in step.causes:
            if cause in found:
                raise KnowledgeError(f"cause {cause!r} in next steps {found[cause].id} and {step.id}", "one of them")
            found[cause] = step
    return found


@cache
def preventions() -> dict[str, Prevention]:
    """Every preventive measure by id."""
    found = {}
    for key, raw in _entries("prevention").items():
        with complete("prevention", key):
            found[key] = _prevention(key, raw)
    return found


@cache
def follow_ups() -> dict[str, FollowUp]:
    """Every follow-up rule by id."""
    found = {}
    for key, raw in _entries("follow_up").items():
        with complete("follow-up", key):
            found[key] = _follow_up(key, raw)
    return found


@cache
def red_flags() -> dict[str, RedFlag]:
    """Every reason to come at once, by id."""
    found = {}
    for key, raw in _entries("red_flags").items():
        with complete("red flag", key):
            found[key] = _red_flag(key, raw)
    return found


def _hold(raw: Mapping[str, Any]) -> Hold:
    return Hold(tuple(raw["kinds"]), tuple(raw["except"]), dict(raw["checks"]), Claim.parse(raw["basis"], "hold"))


@cache
def plan_rules() -> PlanRules:
    """How a plan is drawn from a ranking.

    Raises:
        KnowledgeError: a rule for a next step that does not exist.
    """
    raw = _entries("plan")
    with complete("plan", "plan.yaml"):
        rules = PlanRules(
            done_label=raw["done_label"],
            hold=_hold(raw["hold"]),
            numbers={key: float(item["value"]) for key, item in raw["numbers"].items()},
            basis={key: basis(item, key) for key, item in raw["numbers"].items()},
            checks={
                key: tuple(CheckRule(item["step"], tuple(item["when"])) for item in items)
                for key, items in raw["checks"].items()
            },
        )
    for items in rules.checks.values():
        if unknown := {item.step for item in items} - next_steps().keys():
            raise KnowledgeError(f"plan.yaml: unknown next step {min(unknown)!r}", "an id of next_steps.yaml")
    return rules
