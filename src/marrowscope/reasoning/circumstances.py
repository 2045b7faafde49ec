"""What is known about a patient, as the plan asks it: place, codes, age, likely causes, raised checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from marrowscope.findings import State
from marrowscope.knowledge.care import Factor, plan_rules
from marrowscope.reasoning.differential import Differential
from marrowscope.reasoning.intake import Intake, Maturity, Sex, states

RAISED = frozenset({"suspicious", "strongly_suspicious"})
"""Levels of a not-to-miss check that act on the plan by themselves."""

NO_SIGN = "no_sign"
"""Level of a check that found nothing for it."""


class CheckLike(Protocol):
    """What the plan needs of a not-to-miss check."""

    @property
    def kind(self) -> str:
        """``cancer``, ``infection`` or ``unstable``."""
        ...

    @property
    def level(self) -> str:
        """``no_sign``, ``incomplete``, ``suspicious`` or ``strongly_suspicious``."""
        ...

    @property
    def not_assessed(self) -> tuple[str, ...]:
        """Open core questions, in words."""
        ...


@dataclass(frozen=True)
class Circumstances:
    """One patient, as conditions and cautions see it.

    Attributes:
        site: site id or empty.
        stated: finding codes that somebody said are present or absent.
        present, absent: finding codes, what a statement implies included.
        ages: lowest and highest age in years that is possible.
        sex: as in the intake.
        immature: the skeleton is, or by age counts as, growing.
        child: it is, or the age is below that of an adult: a raised check is as urgent as in a child.
        shares: cause id -> posterior probability.
        levels: check kind -> level.
    """

    site: str
    stated: frozenset[str]
    present: frozenset[str]
    absent: frozenset[str]
    ages: tuple[float, float]
    sex: Sex
    immature: bool
    child: bool = False
    shares: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)

    def holds(self, condition: str) -> bool:
        """Whether one holds: ``*``, ``immature``, ``young``, ``site:<id>``, ``code:<finding>``, ``check:<kind>``."""
        kind, _, name = condition.partition(":")
        if kind == "site":
            return self.site == name
        if kind == "code":
            return name in self.present
        if kind == "check":
            return self.raised(name)
        young = self.immature or self.ages[1] < plan_rules().numbers["young_below"]
        return {"*": True, "immature": self.immature, "young": young}.get(condition, False)

    def raised(self, check: str) -> bool:
        """Whether a check is suspicious or above."""
        return self.levels.get(check, "") in RAISED


def circumstances(intake: Intake, differential: Differential, checks: Sequence[CheckLike]) -> Circumstances:
    """Gather what conditions and cautions ask for."""
    said = states(intake.findings)
    return Circumstances(
        site=intake.site,
        stated=frozenset(f.code for f in intake.findings if f.state is not State.UNKNOWN) & said.keys(),
        present=frozenset(code for code, state in said.items() if state is State.PRESENT),
        absent=frozenset(code for code, state in said.items() if state is State.ABSENT),
        ages=intake.age_range,
        sex=intake.sex,
        immature=immature(intake),
        child=child(intake),
        shares={row.cause: row.probability for row in differential.rows},
        levels={check.kind: str(check.level) for check in checks},
    )


def immature(intake: Intake) -> bool:
    """Whether the skeleton is, or by age counts as, growing."""
    if intake.maturity is Maturity.UNKNOWN:
        return intake.age_range[1] < plan_rules().numbers["immature_below"]
    return intake.maturity is Maturity.IMMATURE


def child(intake: Intake) -> bool:
    """Whether a raised check is as urgent as in a child: a growing skeleton, or an age below that of an adult."""
    low, high = intake.age_range
    adult = plan_rules().numbers["child_below"]
    return immature(intake) or (low < adult and high <= adult)


def factor_state(factor: Factor, known: Circumstances) -> tuple[State, str]:
    """Whether a caution factor is present, absent or unknown, and because of what (a code, cause, check or age).

    Present wins; absent only when its codes, its checks, the place, sex or age rule it out; else unknown.
    """
    if because := _because(factor, known):
        return State.PRESENT, because
    if _cannot_be(factor, known):
        return State.ABSENT, ""
    return (State.ABSENT, "") if _ruled_out(factor, known) else (State.UNKNOWN, "")


def _ruled_out(factor: Factor, known: Circumstances) -> bool:
    """Excluded by its codes, by its checks, or with nothing left that could raise it."""
    by_codes = bool(factor.rule_out) and set(factor.rule_out) <= known.absent
    by_checks = bool(factor.checks) and all(known.levels.get(check) == NO_SIGN for check in factor.checks)
    nothing_left = not (factor.rule_out or factor.codes or factor.checks or _age_open(factor, known))
    return by_codes or by_checks or nothing_left


def _because(factor: Factor, known: Circumstances) -> str:
    likely = factor.share if factor.share is not None else plan_rules().numbers["still_likely"]
    if seen := [code for code in factor.codes if code in known.present]:
        return f"code:{seen[0]}"
    if raised := [check for check in factor.checks if known.raised(check)]:
        return f"check:{raised[0]}"
    named = {cause: known.shares.get(cause, 0.0) for cause in factor.causes}
    if named and sum(named.values()) >= likely:
        return f"cause:{max(named, key=lambda cause: named[cause])}"
    if factor.immature and known.immature:
        return "immature"
    return "age" if factor.age_from is not None and known.ages[0] >= factor.age_from else ""


def _cannot_be(factor: Factor, known: Circumstances) -> bool:
    elsewhere = bool(factor.sites) and bool(known.site) and known.site not in factor.sites
    other_sex = bool(factor.only) and known.sex is not Sex.UNKNOWN and known.sex.value not in factor.only
    youngest, oldest = factor.ages if factor.ages else known.ages
    return elsewhere or other_sex or known.ages[1] < youngest or known.ages[0] > oldest


def _age_open(factor: Factor, known: Circumstances) -> bool:
    """Whether an age that is not known exactly leaves the factor undecided."""
    aged = factor.age_from is not None and known.ages[1] >= factor.age_from
    growing = factor.immature and known.ages[0] < plan_rules().numbers["immature_below"] and not known.immature
    return aged or growing
