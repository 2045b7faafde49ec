"""Questions, symptoms, tests, treatments, joints and prevention explained."""

from __future__ import annotations

from collections.abc import Iterator

from marrowscope.knowledge import care, lay
from marrowscope.knowledge.care import Treatment
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.load import Claim
from marrowscope.knowledge.parts import EVERY
from marrowscope.reasoning.explain_parts import ROLE_WORDS, Both, headed, said


def of_question(name: str) -> Both:
    """A question; the one on cancer with its frequencies, signs and work-up."""
    item = lay.questions()[name]
    if name != "is_it_cancer":
        return headed(("Answer", item.clinician)), item.patient
    told = lay.cancer_answer()
    often = (situation.basis for situation in told.situations)
    clinician = headed(
        ("Answer", (*item.clinician, *told.answer)),
        ("How often", often),
        ("Warning signs", told.flags),
        ("What settles it", told.workup),
        ("What the cancer check says", (words.clinician for words in told.levels.values())),
    )
    return clinician, item.patient


def of_symptom(name: str) -> Both:
    """A symptom: from edema or not, what it points to, what to ask."""
    item = lay.symptoms()[name]
    from_edema = "Edema itself can cause it." if item.of_edema is lay.OfEdema.YES else "Edema itself does not cause it."
    flag = {"red": "Red flag.", "amber": "Amber flag.", "none": "No flag by itself."}[item.flag.value]
    clinician = headed(
        ("From edema?", (said(f"{from_edema} {flag}"),)), ("Points to", (item.points_to,)), ("Ask next", (item.ask,))
    )
    return clinician, (item.patient,)


def of_test(name: str) -> Both:
    """A test: role, what it shows and cannot show, accuracy by target."""
    item = lay.tests()[name]
    accuracy = (
        Claim(f"{a.target}: sensitivity {a.sensitivity:.1%}, specificity {a.specificity:.1%}.", a.sources)
        for a in item.accuracy
    )
    clinician = headed(("Role", (item.role,)), ("Shows", item.shows), ("Cannot", item.cannot), ("Accuracy", accuracy))
    return clinician, (said(f"{item.plain}."), item.patient)


def of_treatment(name: str) -> Both:
    """A treatment: licence, what it is worth for which cause, cautions, what to watch."""
    item = care.treatments()[name]
    cautions = (
        Claim(
            f"{care.factors()[c.factor].label} ({c.action.value}): {c.basis.text}", c.basis.sources, c.basis.judgement
        )
        for c in item.cautions
    )
    clinician = headed(
        ("Licence", (item.licence,)),
        ("Worth", _worth(item)),
        ("Facts", item.facts),
        ("Time", (item.time,)),
        ("Cautions", cautions),
        ("Watch", item.watch),
    )
    return clinician, (said(f"{item.plain}."), item.patient)


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
    clinician = headed(("Usual causes", item.clinician), ("Imaging", (item.imaging,)), ("Course", (item.course,)))
    return clinician, item.patient


def of_prevention(name: str) -> Both:
    """A preventive measure with what supports it."""
    item = care.preventions()[name]
    return headed(("Evidence", (item.basis,))), (item.patient,)
