"""How a plan is drawn from a ranking, as data: ``data/care/plan.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
from marrowscope.knowledge.options import treatments
from marrowscope.knowledge.parts import basis, complete
from marrowscope.knowledge.steps import next_steps


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
class CheckUrgency:
    """The least urgency a raised check gives the plan.

    Attributes:
        grown, growing: check kind -> level -> urgency, for a grown and for a growing skeleton.
        tests: tests of the check's step that become as urgent where they were urgent already.
        basis: where it comes from.
    """

    grown: Mapping[str, Mapping[str, Urgency]]
    growing: Mapping[str, Mapping[str, Urgency]]
    tests: tuple[str, ...]
    basis: Claim

    def of(self, kind: str, level: str, growing: bool) -> Urgency | None:
        """Urgency of a check at a level; ``None`` when it is not raised."""
        return (self.growing if growing else self.grown).get(kind, {}).get(level)


@dataclass(frozen=True)
class TestCaution:
    """What to mind with some tests when any condition of ``when`` holds; ``wait``: left out for now."""

    __test__ = False  # not a pytest class

    tests: tuple[str, ...]
    when: tuple[str, ...]
    wait: bool
    basis: Claim


@dataclass(frozen=True)
class PlanRules:
    """How a plan is drawn from a ranking.

    Attributes:
        done_label: words for a test that was done already, with ``{label}``.
        numbers, basis: thresholds (shares of probability, counts, years) and where each comes from.
        hold: what waits while a check is raised.
        checks: the next steps of raised checks.
        open_care: the options shown while no cause stands out.
        check_urgency: the least urgency a raised check gives the plan.
        test_cautions: what to mind with a test in this patient.
    """

    done_label: str
    hold: Hold
    numbers: Mapping[str, float]
    basis: Mapping[str, Claim]
    checks: Mapping[str, tuple[CheckRule, ...]]
    open_care: tuple[str, ...]
    check_urgency: CheckUrgency
    test_cautions: tuple[TestCaution, ...]


def _hold(raw: Mapping[str, Any]) -> Hold:
    return Hold(tuple(raw["kinds"]), tuple(raw["except"]), dict(raw["checks"]), Claim.parse(raw["basis"], "hold"))


def _check_urgency(raw: Mapping[str, Any]) -> CheckUrgency:
    def by_level(name: str) -> dict[str, dict[str, Urgency]]:
        return {kind: {level: Urgency(word) for level, word in words.items()} for kind, words in raw[name].items()}

    return CheckUrgency(
        by_level("levels"), by_level("growing"), tuple(raw["tests"]), Claim.parse(raw["basis"], "check_urgency")
    )


@cache
def plan_rules() -> PlanRules:
    """How a plan is drawn from a ranking.

    Raises:
        KnowledgeError: a rule for a next step that does not exist.
    """
    raw = read_yaml("care/plan.yaml")
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
            open_care=tuple(raw["open_care"]["treatments"]),
            check_urgency=_check_urgency(raw["check_urgency"]),
            test_cautions=tuple(
                TestCaution(
                    tuple(item["tests"]), tuple(item["when"]), item.get("wait", False), basis(item, "test_cautions")
                )
                for item in raw["test_cautions"]
            ),
        )
    if unknown := set(rules.open_care) - treatments().keys():
        raise KnowledgeError(f"plan.yaml: unknown option {min(unknown)!r}", "an id of treatments.yaml")
    for items in rules.checks.values():
        if unknown := {item.step for item in items} - next_steps().keys():
            raise KnowledgeError(f"plan.yaml: unknown next step {min(unknown)!r}", "an id of next_steps.yaml")
    return rules
