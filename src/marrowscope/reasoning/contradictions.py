"""Statements of an intake that do not go together: named to the reader, never resolved silently."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from marrowscope.findings import Origin, State
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.clashes import clashes, neighbours, normal, only_at
from marrowscope.knowledge.findings import Kind, implied, label_of, vocabulary
from marrowscope.reasoning.intake import AGE_RANGE, OLDEST_GROUPED, Intake


def contradictions(intake: Intake) -> tuple[str, ...]:
    """Statements that do not go together, in words; none of them stops the reasoning."""
    known = [finding for finding in intake.findings if finding.code in vocabulary()]
    present = {finding.code for finding in known if finding.state is State.PRESENT}
    absent = {finding.code for finding in known if finding.state is State.ABSENT}
    found = [*_denied(present, absent), *_apart(present), *_elsewhere(intake.site, present), *_aged(intake)]
    return tuple(sorted(found))


def _denied(present: Collection[str], absent: Collection[str]) -> Iterator[str]:
    """What is said to be both present and absent, itself or as the more general finding."""
    for code in present:
        if code in absent:
            yield f"{code} is both present and absent; taken as present"
        for parent in implied(code):
            if parent in absent:
                yield f"{code} is present, so {parent} cannot be absent; taken as present"


def _apart(present: Collection[str]) -> Iterator[str]:
    """Two findings of which only one can be true."""
    for code, others in clashes().items():
        if code in present and (beside := [label_of(other) for other in others if other in present]):
            yield f"{label_of(code)} does not go with: {'; '.join(beside)}"


def contradicted(intake: Intake) -> frozenset[str]:
    """Codes a person stated that clash with another statement or with the site: they explain no danger away."""
    said = {f.code for f in intake.findings if f.state is State.PRESENT and f.origin is not Origin.MEASURED}
    said &= vocabulary().keys()
    apart = {code for one, others in clashes().items() if one in said for code in (one, *others) if {*others} & said}
    near = neighbours().get(intake.site)
    placed = {code for code in said if near is not None and intake.site not in only_at().get(code, near)}
    return frozenset((apart & said) | placed)


def _elsewhere(site: str, present: Collection[str]) -> Iterator[str]:
    """Regions that the site does not have, and findings that only another place shows."""
    near = neighbours().get(site)
    if near is None:
        return
    place = choices()["site"][site].label
    for code in present:
        item = vocabulary()[code]
        if item.kind is Kind.REGION and item.section not in near:
            yield f"{item.label} is not part of: {place}"
        elif site not in only_at().get(code, near):
            yield f"{item.label} cannot be seen at: {place}"


def _aged(intake: Intake) -> Iterator[str]:
    """An age outside its own group."""
    low, high = AGE_RANGE[intake.age_group]
    if intake.age is not None and not low <= min(intake.age, OLDEST_GROUPED) <= high:
        yield f"Age {intake.age:g} does not go with: {intake.age_group.value.replace('_', ' ')}; the age counts"


def without_edema(intake: Intake) -> bool:
    """Whether the images were read as showing no edema and nothing else that would need an explanation."""
    seen = {f.code for f in intake.findings if f.state is State.PRESENT and f.code in vocabulary()} - normal()
    on_images = any(vocabulary()[code].kind in (Kind.IMAGING, Kind.REGION) for code in seen)
    return intake.state("fluid_high") is State.ABSENT and not on_images
