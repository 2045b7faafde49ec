"""Care as data, one door: options with evidence and cautions, next steps, prevention, follow-up, plan rules."""

from __future__ import annotations

from marrowscope.knowledge.options import (
    Action,
    Caution,
    Factor,
    Indication,
    Level,
    Role,
    Treatment,
    factors,
    treatments,
)
from marrowscope.knowledge.plan_rules import CheckRule, Hold, PlanRules, plan_rules
from marrowscope.knowledge.steps import (
    FollowUp,
    NextStep,
    Prevention,
    RedFlag,
    TestUse,
    follow_ups,
    next_step_of,
    next_steps,
    preventions,
    red_flags,
)

__all__ = [
    "Action",
    "Caution",
    "CheckRule",
    "Factor",
    "FollowUp",
    "Hold",
    "Indication",
    "Level",
    "NextStep",
    "PlanRules",
    "Prevention",
    "RedFlag",
    "Role",
    "TestUse",
    "Treatment",
    "factors",
    "follow_ups",
    "next_step_of",
    "next_steps",
    "plan_rules",
    "preventions",
    "red_flags",
    "treatments",
]
