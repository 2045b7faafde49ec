"""A cause explained: what speaks for and against it, next steps, care, follow-up."""

from __future__ import annotations

from collections.abc import Iterator

from marrowscope.knowledge import care, lay
from marrowscope.knowledge.causes import Cause, causes, groups
from marrowscope.knowledge.evidence import evidence, variables
from marrowscope.knowledge.load import Claim
from marrowscope.knowledge.parts import EVERY, applies
from marrowscope.reasoning.explain_parts import ROLE_WORDS, Both, headed, said
from marrowscope.reasoning.table import table

SPEAKS_FOR, SPEAKS_AGAINST = "Speaks for it", "Speaks against it"
"""Headings of the findings that raise or lower a cause."""


SHOWN_FOR, SHOWN_AGAINST = 8, 5
"""How many findings are listed for and against a cause."""


TELLING = 2.0
"""A finding at least this many times as frequent (or as rare) as in the background is listed."""


COMMON = 0.05
"""A finding this frequent in the background is worth naming when it is rare with a cause."""


MARROW_WORDS = {
    "edema": "edema-like signal",
    "replacement": "cells replace the fat",
    "red_marrow_mimic": "more red marrow, a mimic",
    "depletion": "marrow lost or turned to fat",
    "indirect": "works through another cause and is weighed as a risk",
    "not_a_cause": "no effect on the marrow signal shown",
}


def of_cause(name: str) -> Both:
    """A cause: what it is, what speaks for and against it, next steps, care, follow-up."""
    cause, step = causes()[name], care.next_step_of()[name]
    what = f"{groups()[cause.group].label}; {MARROW_WORDS[cause.role.value]}; urgency: {cause.urgency.value}."
    tests = (
        Claim(
            f"{lay.tests()[use.test].label} ({use.urgency.value}): {use.basis.text}",
            use.basis.sources,
            use.basis.judgement,
        )
        for use in step.tests
    )
    speaking = list(_speaking(cause))
    clinician = headed(
        ("What it is", (said(what), *(claim for claim in (cause.escalate, cause.note) if claim))),
        (SPEAKS_FOR, [claim for ratio, claim in speaking if ratio > 1][:SHOWN_FOR]),
        (SPEAKS_AGAINST, [claim for ratio, claim in reversed(speaking) if ratio < 1][:SHOWN_AGAINST]),
        ("Next tests", tests),
        ("Who and how soon", (step.refer,)),
        ("Biopsy", (step.biopsy,)),
        ("Care", _care_lines(cause)),
        ("Avoid", step.avoid),
        ("Course", step.course),
        ("Imaging again", (r.advice for r in care.follow_ups().values() if _fits(r.causes, cause))),
        ("Prevention", (p.basis for p in care.preventions().values() if _fits(p.causes, cause))),
    )
    return clinician, (said(f"This is {cause.plain}."), step.do, step.lasts)


def _fits(names: tuple[str, ...], cause: Cause) -> bool:
    return EVERY not in names and applies(names, cause)


def _speaking(cause: Cause) -> Iterator[tuple[float, Claim]]:
    """Findings with their frequency here and in anyone with such signal, most telling first."""
    if not cause.ranked:
        return
    row = table().causes.index(cause.id)
    found = []
    for name, variable in variables().items():
        if variable.levels != ("absent", "present"):
            continue
        here, base = _present_share(row, name, variable.family), float(table().backgrounds[name][1])
        ratio = here / base
        if ratio >= TELLING or (ratio <= 1 / TELLING and base >= COMMON):
            found.append((ratio, _frequency_claim(cause.id, name, variable.label, here, base)))
    yield from sorted(found, key=lambda pair: -pair[0])


def _present_share(row: int, name: str, family: str) -> float:
    """How often a finding is present with the cause of this row."""
    if not family:
        return float(table().singles[name][row, 1])
    members = table().families[family]
    own = members.own[name]
    return float(own[row][1]) if row in own else float(members.states[row] @ members.rows[name][:, 1])


def _frequency_claim(cause: str, name: str, label: str, here: float, base: float) -> Claim:
    entry = evidence()[cause].variables.get(name) if cause in evidence() else None
    text = f"{label}: in about {here:.0%} here, {base:.0%} of all with such signal."
    sources = entry.sources if entry else ()
    return Claim(text, sources, not sources)


def _care_lines(cause: Cause) -> Iterator[Claim]:
    for treatment in care.treatments().values():
        for item in treatment.indications:
            if _fits(item.causes, cause):
                label = " (off-label)" if treatment.off_label else ""
                text = f"{treatment.label}{label}: {ROLE_WORDS[item.role]}, evidence {item.level}. {item.effect.text}"
                yield Claim(text, item.effect.sources, item.effect.judgement)
