"""Patients and rankings made for tests of the plan and the leaflet."""

from __future__ import annotations

from dataclasses import dataclass

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.causes import causes
from marrowscope.reasoning.differential import Differential, Row
from marrowscope.reasoning.plan_types import Plan, PlannedCare


@dataclass(frozen=True)
class Checked:
    kind: str
    level: str
    not_assessed: tuple[str, ...] = ()


CALM = (Checked("cancer", "no_sign"), Checked("infection", "no_sign"), Checked("unstable", "no_sign"))


def said(code: str, state: State = State.PRESENT) -> Finding:
    return Finding(code, state, Origin.HISTORY)


def ranking(**shares: float) -> Differential:
    """A ranking with given posterior shares; the rest of the causes have none."""
    full = {cause: shares.get(cause, 0.0) for cause in causes()}
    rows = [Row(c, causes()[c].label, causes()[c].group, p, p, p, 0.0, 0.0, ()) for c, p in full.items()]
    rows.sort(key=lambda row: -row.probability)
    return Differential(tuple(rows), (), 0.0, "unknown")


def option(plan: Plan, name: str) -> PlannedCare:
    return next(item for item in (*plan.care, *plan.not_to_use) if item.treatment == name)
