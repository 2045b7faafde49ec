"""Scores and quantitative measures explained: rules, grades, cut-offs, each with its limits."""

from __future__ import annotations

from marrowscope.knowledge.load import Claim
from marrowscope.knowledge.measures import Cutoff, measures
from marrowscope.knowledge.scores import CLAIM_LISTS, scores
from marrowscope.reasoning.explain_parts import Both, headed, said


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
    head = (("Software", (said(software),)), ("Range", ranged), ("Grades", (*scales, *grades)))
    return headed(*head, ("Numbers", numbers), ("Left open by its wording", options), *lists), ()


def of_measure(name: str) -> Both:
    """A quantity: meaning, cut-offs with comparator and limits, open points."""
    item = measures()[name]
    cutoffs = (_cutoff_claim(cutoff) for cutoff in item.cutoffs.values())
    return headed(("Meaning", item.meaning), ("Cut-offs", cutoffs), ("Open", item.open)), (
        said(f"This is {item.plain}."),
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
