"""What each kind of topic says: knowledge entries laid into headed statements for ``explain`` and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from marrowscope.knowledge import care, lay
from marrowscope.knowledge.care import Role, Treatment
from marrowscope.knowledge.causes import Cause, causes, groups
from marrowscope.knowledge.evidence import evidence, variables
from marrowscope.knowledge.load import Claim
from marrowscope.knowledge.measures import Cutoff, measures
from marrowscope.knowledge.parts import EVERY, applies
from marrowscope.knowledge.scores import CLAIM_LISTS, scores
from marrowscope.reasoning.table import table

SPEAKS_FOR, SPEAKS_AGAINST = "Speaks for it", "Speaks against it"
"""Headings of the findings that raise or lower a cause."""

SHOWN_FOR, SHOWN_AGAINST = 8, 5
"""How many findings are listed for and against a cause."""

TELLING = 2.0
"""A finding at least this many times as frequent (or as rare) as in the background is listed."""

COMMON = 0.05
"""A finding this frequent in the background is worth naming when it is rare with a cause."""

ROLE_WORDS = {
    Role.USUAL: "ordinary care",
    Role.OPTION: "an option",
    Role.SPECIALIST: "a specialist's decision",
    Role.AGAINST: "not to be used",
}
MARROW_WORDS = {
    "edema": "edema-like signal",
    "replacement": "cells replace the fat",
    "red_marrow_mimic": "more red marrow, a mimic",
    "depletion": "marrow lost or turned to fat",
    "indirect": "works through another cause and is weighed as a risk",
    "not_a_cause": "no effect on the marrow signal shown",
}

Both = tuple[tuple["Part", ...], tuple[Claim, ...]]


@dataclass(frozen=True)
class Part:
    """Statements under one heading."""

    heading: str
    claims: tuple[Claim, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"heading": self.heading, "claims": [claim.to_dict() for claim in self.claims]}


def _parts(*pairs: tuple[str, Iterable[Claim]]) -> tuple[Part, ...]:
    """Headed parts, empty ones left out."""
    made = (Part(heading, tuple(claims)) for heading, claims in pairs)
    return tuple(part for part in made if part.claims)


def _said(text: str) -> Claim:
    """A statement of our own about an entry."""
    return Claim(text, judgement=True)


def of_question(name: str) -> Both:
    """A question; the one on cancer with its frequencies, signs and work-up."""
    item = lay.questions()[name]
    if name != "is_it_cancer":
        return _parts(("Answer", item.clinician)), item.patient
    told = lay.cancer_answer()
    often = (situation.basis for situation in told.situations)
    clinician = _parts(
        ("Answer", (*item.clinician, *told.answer)),
        ("How often", often),
        ("Warning signs", told.flags),
        ("What settles it", told.workup),
        ("What the cancer check says", (words.clinician for words in told.levels.values())),
    )
    return clinician, item.patient


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
    clinician = _parts(
        ("What it is", (_said(what), *(claim for claim in (cause.escalate, cause.note) if claim))),
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
    return clinician, (_said(f"This is {cause.plain}."), step.do, step.lasts)


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


def of_symptom(name: str) -> Both:
    """A symptom: from edema or not, what it points to, what to ask."""
    item = lay.symptoms()[name]
    from_edema = "Edema itself can cause it." if item.of_edema is lay.OfEdema.YES else "Edema itself does not cause it."
    flag = {"red": "Red flag.", "amber": "Amber flag.", "none": "No flag by itself."}[item.flag.value]
    clinician = _parts(
        ("From edema?", (_said(f"{from_edema} {flag}"),)), ("Points to", (item.points_to,)), ("Ask next", (item.ask,))
    )
    return clinician, (item.patient,)


def of_test(name: str) -> Both:
    """A test: role, what it shows and cannot show, accuracy by target."""
    item = lay.tests()[name]
    accuracy = (
        Claim(f"{a.target}: sensitivity {a.sensitivity:.1%}, specificity {a.specificity:.1%}.", a.sources)
        for a in item.accuracy
    )
    clinician = _parts(("Role", (item.role,)), ("Shows", item.shows), ("Cannot", item.cannot), ("Accuracy", accuracy))
    return clinician, (_said(f"{item.plain}."), item.patient)


def of_treatment(name: str) -> Both:
    """A treatment: licence, what it is worth for which cause, cautions, what to watch."""
    item = care.treatments()[name]
    cautions = (
        Claim(
            f"{care.factors()[c.factor].label} ({c.action.value}): {c.basis.text}", c.basis.sources, c.basis.judgement
        )
        for c in item.cautions
    )
    clinician = _parts(
        ("Licence", (item.licence,)),
        ("Worth", _worth(item)),
        ("Facts", item.facts),
        ("Time", (item.time,)),
        ("Cautions", cautions),
        ("Watch", item.watch),
    )
    return clinician, (_said(f"{item.plain}."), item.patient)


def _worth(item: Treatment) -> Iterator[Claim]:
    for indication in item.indications:
        names = ", ".join(_cause_words(name) for name in indication.causes)
        text = f"{names}: {ROLE_WORDS[indication.role]}, evidence {indication.level}. {indication.effect.text}"
        yield Claim(text, indication.effect.sources, indication.effect.judgement)


def _cause_words(name: str) -> str:
    if name == EVERY:
        return "Any cause"
    group = name.removeprefix("group:")
    return f"{groups()[group].label} (group)" if group != name else causes()[name].label


def of_joint(name: str) -> Both:
    """A joint: usual causes, imaging, course."""
    item = lay.site_notes()[name]
    clinician = _parts(("Usual causes", item.clinician), ("Imaging", (item.imaging,)), ("Course", (item.course,)))
    return clinician, item.patient


def of_prevention(name: str) -> Both:
    """A preventive measure with what supports it."""
    item = care.preventions()[name]
    return _parts(("Evidence", (item.basis,))), (item.patient,)


def of_score(name: str) -> Both:
    """A score: scope, rules, grades, numbers, reliability, what software may say."""
    item = scores()[name]
    software = {
        "estimated": "Software may estimate it; the estimate is labelled so and can be edited.",
        "extent_only": "Software tests the extent only; the reading itself is a reader's judgement.",
        "reader_only": "Entered by a reader; software does not grade it.",
    }[item.software.value]
    numbers = (
        Claim(f"{n.value:g} {n.unit}: {n.basis.text}", n.basis.sources, n.basis.judgement)
        for n in item.numbers.values()
    )
    scales = (
        Claim(f"{band.grade}: {band.text}, of {scale.of}.", scale.basis.sources, scale.basis.judgement)
        for scale in item.scales.values()
        for band in scale.bands
    )
    grades = (Claim(f"{g.grade}: {g.basis.text}", g.basis.sources, g.basis.judgement) for g in item.categories)
    ranged = (
        [
            Claim(
                f"{item.low:g} to {item.high:g} {item.unit}: {item.range_basis.text}",
                item.range_basis.sources,
                item.range_basis.judgement,
            )
        ]
        if item.range_basis
        else []
    )
    lists = ((name.capitalize(), item.claims.get(name, ())) for name in CLAIM_LISTS)
    options = (option.basis for option in item.options.values())
    head = (("Software", (_said(software),)), ("Range", ranged), ("Grades", (*scales, *grades)))
    return _parts(*head, ("Numbers", numbers), ("Left open by its wording", options), *lists), ()


def of_measure(name: str) -> Both:
    """A quantity: meaning, cut-offs with comparator and limits, open points."""
    item = measures()[name]
    cutoffs = (_cutoff_claim(cutoff) for cutoff in item.cutoffs.values())
    return _parts(("Meaning", item.meaning), ("Cut-offs", cutoffs), ("Open", item.open)), (
        _said(f"This is {item.plain}."),
    )


def _cutoff_claim(cutoff: Cutoff) -> Claim:
    accuracy = ""
    if cutoff.sensitivity is not None and cutoff.specificity is not None:
        accuracy = f" Sensitivity {cutoff.sensitivity:.1%}, specificity {cutoff.specificity:.1%}."
    words = [f"{cutoff.op} {cutoff.value:g} {cutoff.unit} for {cutoff.favours}, against {cutoff.against}.{accuracy}"]
    words += [cutoff.basis.text]
    words += [f"Needs: {', '.join(cutoff.needs)}."] if cutoff.needs else []
    words += [f"Never with: {', '.join(cutoff.never)}."] if cutoff.never else []
    return Claim(" ".join(words).replace("_", " "), cutoff.basis.sources, cutoff.basis.judgement)
