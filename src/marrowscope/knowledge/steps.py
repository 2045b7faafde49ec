"""What to do next, by cause: tests, referral, prevention, imaging again, when to come at once.

Files: ``data/care/{next_steps,prevention,follow_up,red_flags}.yaml``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
from marrowscope.knowledge.parts import basis, claims, complete


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
    """A reason to see a doctor at once.

    Attributes:
        when: ``*``, ``site:``, ``code:`` or ``immature`` entries; any of them suffices.
        urgency, within: how soon, as a step and in words.
        basis, patient: the reason, for a clinician and for a patient.
    """

    id: str
    when: tuple[str, ...]
    urgency: Urgency
    within: str
    basis: Claim
    patient: str


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
    return RedFlag(key, tuple(raw["when"]), Urgency(raw["urgency"]), raw["within"], basis(raw, key), raw["patient"])


@cache
def next_steps() -> dict[str, NextStep]:
    """Every next step by id."""
    found = {}
    for key, raw in read_yaml("care/next_steps.yaml").items():
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
    for key, raw in read_yaml("care/prevention.yaml").items():
        with complete("prevention", key):
            found[key] = _prevention(key, raw)
    return found


@cache
def follow_ups() -> dict[str, FollowUp]:
    """Every follow-up rule by id."""
    found = {}
    for key, raw in read_yaml("care/follow_up.yaml").items():
        with complete("follow-up", key):
            found[key] = _follow_up(key, raw)
    return found


@cache
def red_flags() -> dict[str, RedFlag]:
    """Every reason to come at once, by id."""
    found = {}
    for key, raw in read_yaml("care/red_flags.yaml").items():
        with complete("red flag", key):
            found[key] = _red_flag(key, raw)
    return found
