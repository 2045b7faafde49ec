"""From findings to observations: one level a variable, a person's reading before a measured one, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.evidence import scale, variables, weighing
from marrowscope.knowledge.findings import Kind, implied, vocabulary
from marrowscope.reasoning.intake import Intake, Onset

TRUST = {Origin.MEASURED: 0, Origin.HISTORY: 1, Origin.LAB: 1, Origin.READ: 1}
"""Who prevails when two statements on one code differ: what a person says, before what the software measured."""


@dataclass(frozen=True)
class Observation:
    """One variable with the level it was seen at.

    Attributes:
        variable: id.
        level: index into the variable's levels.
        finding: the statement it rests on.
    """

    variable: str
    level: int
    finding: Finding


@dataclass(frozen=True)
class Overruled:
    """A measured finding that a person's reading contradicts; the reading counts, both are shown."""

    counted: Finding
    set_aside: Finding


def settle(findings: Iterable[Finding]) -> tuple[dict[str, Finding], tuple[Overruled, ...]]:
    """One finding a code: a person's before a measured one, a presence before an absence of equal trust."""
    chosen: dict[str, Finding] = {}
    overruled: list[Overruled] = []
    for finding in findings:
        if finding.state is State.UNKNOWN or finding.code not in vocabulary():
            continue
        other = chosen.get(finding.code)
        if other is None:
            chosen[finding.code] = finding
            continue
        winner, loser = (finding, other) if _rank(finding) > _rank(other) else (other, finding)
        chosen[finding.code] = winner
        if winner.state is not loser.state:
            overruled.append(Overruled(winner, loser))
    return chosen, tuple(overruled)


def _rank(finding: Finding) -> tuple[int, bool]:
    return TRUST[finding.origin], finding.state is State.PRESENT


def _said(chosen: dict[str, Finding]) -> dict[str, Finding]:
    """Findings by the code that weighs: a present code that weighs nothing itself counts as its general one."""
    said: dict[str, Finding] = {}
    for code, finding in chosen.items():
        carrier = code
        if code not in weighing() and finding.state is State.PRESENT:
            carrier = next((parent for parent in implied(code) if parent in weighing()), code)
        if carrier in weighing() and (carrier not in said or finding.state is State.PRESENT):
            said[carrier] = finding
    return said


def _not_implied(said: dict[str, Finding]) -> dict[str, Finding]:
    """Without what another finding already implies: a general presence, or a specific absence."""
    present = {code for code, finding in said.items() if finding.state is State.PRESENT}
    covered = {parent for code in present for parent in implied(code)}
    absent = {code for code, finding in said.items() if finding.state is State.ABSENT}
    kept = {}
    for code, finding in said.items():
        drop = code in covered if finding.state is State.PRESENT else (code in covered or absent & set(implied(code)))
        if not drop:
            kept[code] = finding
    return kept


def _lab(finding: Finding) -> Observation | None:
    item = vocabulary()[finding.code].section
    if item not in variables() or finding.state is not State.PRESENT:
        return None
    return Observation(item, variables()[item].levels.index(finding.code.removeprefix(f"{item}_")), finding)


def _course(intake: Intake) -> list[Observation]:
    seen: list[Observation] = []
    if intake.onset is not Onset.UNKNOWN:
        said = Finding("onset", State.PRESENT, Origin.HISTORY, note=intake.onset.value)
        seen.append(Observation("onset", variables()["onset"].levels.index(intake.onset.value), said))
    if intake.weeks is not None:
        said = Finding("duration", State.PRESENT, Origin.HISTORY, round(intake.weeks, 1), "wk")
        until = scale().course["duration"]["until"]
        seen.append(Observation("duration", sum(intake.weeks >= bound for bound in until), said))
    return seen


def observe(intake: Intake, measured: Sequence[Finding] = ()) -> tuple[tuple[Observation, ...], tuple[Overruled, ...]]:
    """What was seen, in the order of the vocabulary, and which measured findings a person overruled."""
    chosen, overruled = settle((*intake.findings, *measured))
    labs = [_lab(finding) for finding in chosen.values() if vocabulary()[finding.code].kind is Kind.LAB]
    coded = {code: f for code, f in chosen.items() if vocabulary()[code].kind is not Kind.LAB}
    seen = {
        code: Observation(code, int(finding.state is State.PRESENT), finding)
        for code, finding in _not_implied(_said(coded)).items()
        if finding.state is State.PRESENT or vocabulary()[code].kind is not Kind.REGION
    }
    seen |= {item.variable: item for item in labs if item} | {item.variable: item for item in _course(intake)}
    return tuple(seen[name] for name in variables() if name in seen), overruled
