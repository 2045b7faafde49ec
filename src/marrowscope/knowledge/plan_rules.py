"""How a plan is drawn from a ranking, as data: ``data/care/plan.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
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
class PlanRules:
    """How a plan is drawn from a ranking.

    Attributes:
        done_label: words for a test that was done already, with ``{label}``.
        numbers, basis: thresholds (shares of probability, counts, years) and where each comes from.
        hold: what waits while a check is raised.
        checks: the next steps of raised checks.
        check_urgency: check kind -> level -> the least urgency it gives the plan.
    """

    done_label: str
    hold: Hold
    numbers: Mapping[str, float]
    basis: Mapping[str, Claim]
    checks: Mapping[str, tuple[CheckRule, ...]]
    check_urgency: Mapping[str, Mapping[str, Urgency]]


def _hold(raw: Mapping[str, Any]) -> Hold:
    return Hold(tuple(raw["kinds"]), tuple(raw["except"]), dict(raw["checks"]), Claim.parse(raw["basis"], "hold"))


def _check_urgency(raw: Mapping[str, Any]) -> dict[str, dict[str, Urgency]]:
    Claim.parse(raw["basis"], "check_urgency")
    return {kind: {level: Urgency(word) for level, word in levels.items()} for kind, levels in raw["levels"].items()}


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
            check_urgency=_check_urgency(raw["check_urgency"]),
        )
    for items in rules.checks.values():
        if unknown := {item.step for item in items} - next_steps().keys():
            raise KnowledgeError(f"plan.yaml: unknown next step {min(unknown)!r}", "an id of next_steps.yaml")
    return rules
