"""Measurements become findings here, beside ``assess``: the one bridge between image and reasoning.

Rules and numbers stand in ``assessment/data/measured_findings.yaml``. What the exam does not allow, or what falls
between a rule's two limits, yields no finding: it stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from marrowscope import __version__
from marrowscope.assessment.types import LesionRecord, Outcome
from marrowscope.errors import UsageError
from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.findings import vocabulary
from marrowscope.lesion.edits import Edit, EditKind
from marrowscope.lesion.types import LesionKind, Verdict
from marrowscope.tables import parse_yaml

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake

BY = f"marrowscope {__version__}"


def measured_findings(
    lesions: tuple[LesionRecord, ...], outcome: Outcome, side: str, double_line: bool = False
) -> tuple[Finding, ...]:
    """Findings the image itself supports.

    Args:
        lesions: every lesion record. outcome: what the search came to. side: of the exam.
        double_line: whether the double-line sign was seen; that it was not seen says nothing.
    """
    edema = tuple(x for x in lesions if x.kind is LesionKind.EDEMA and x.verdict is not Verdict.REJECTED)
    if outcome is Outcome.NO_LESION_FOUND:
        return (_finding("fluid_high", State.ABSENT, side),)
    if not edema:
        return ()
    found = [_finding("fluid_high", State.PRESENT, side)]
    for rule in _rules():
        state, value, unit = _apply(rule, edema)
        held = {f.code for f in found if f.state is State.PRESENT}
        if state is not State.UNKNOWN and rule.get("needs", "fluid_high") in held:
            found.append(_finding(rule["finding"], state, side, value, unit))
    if double_line:
        found.append(_finding("double_line", State.PRESENT, side))
    return (*found, *_patterns(lesions, edema, side))


@cache
def _rules() -> tuple[Mapping[str, Any], ...]:
    text = (resources.files("marrowscope.assessment") / "data" / "measured_findings.yaml").read_text(encoding="utf-8")
    return tuple(parse_yaml(text)["rules"])


def _apply(rule: Mapping[str, Any], edema: tuple[LesionRecord, ...]) -> tuple[State, float | None, str]:
    """The rule's state over the lesions, with the deciding value."""
    measured = [m for x in edema if (m := x.measurement(rule["measurement"])) is not None and m.value is not None]
    if not measured or (rule["when"] == "all" and len(measured) < len(edema)):
        return State.UNKNOWN, None, ""
    values = [m.value for m in measured if m.value is not None]
    low_is_present = "at_most" in rule["present"]
    decisive = min(values) if low_is_present == (rule["when"] == "any") else max(values)
    unit = measured[0].unit
    if _meets(decisive, rule["present"]):
        return State.PRESENT, decisive, unit
    return (State.ABSENT, decisive, unit) if _meets(decisive, rule["absent"]) else (State.UNKNOWN, None, "")


def _meets(value: float, limit: Mapping[str, float]) -> bool:
    return value <= limit["at_most"] if "at_most" in limit else value >= limit["at_least"]


def _patterns(lesions: tuple[LesionRecord, ...], edema: tuple[LesionRecord, ...], side: str) -> list[Finding]:
    """Where lesions lie in relation to each other."""
    bones = {x.bone for x in edema if x.bone}
    found = []
    if any(x.kind is LesionKind.CYST and x.verdict is not Verdict.REJECTED for x in lesions):
        found.append(_finding("subchondral_cysts", State.PRESENT, side))
    if len(bones) > 1:
        found.append(_finding("articular_both_sides", State.PRESENT, side))
    return found


def _finding(code: str, state: State, side: str, value: float | None = None, unit: str = "") -> Finding:
    rounded = None if value is None else round(value, 3)
    return Finding(code, state, Origin.MEASURED, rounded, unit, side, BY)


def entered_findings(intake: Intake | None, edits: tuple[Edit, ...]) -> tuple[Finding, ...]:
    """Findings a person gave: in the intake, and by SET_FINDING edits (a later one follows an earlier one).

    Raises:
        UsageError: an edit names a finding or a state that does not exist.
    """
    given = intake.findings if intake is not None else ()
    return (*given, *(_entered(e) for e in edits if e.kind is EditKind.SET_FINDING))


def _entered(edit: Edit) -> Finding:
    if edit.target not in vocabulary():
        raise UsageError(f"an edit of finding {edit.target!r}", "a code", "marrowscope intake vocabulary WORD")
    states = [state.value for state in State]
    if edit.value not in states:
        raise UsageError(f"finding {edit.target} set to {edit.value!r}", f"one of {', '.join(states)}")
    return Finding(edit.target, State(str(edit.value)), Origin.READ, by=edit.by)
