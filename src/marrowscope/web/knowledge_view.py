"""Knowledge topics as pages: the explanations of the reasoning room, every claim with its numbered sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marrowscope.knowledge.load import Claim, Source, sources

if TYPE_CHECKING:
    from marrowscope.reasoning.explain import Explanation

SHELVES = {
    "question": "Questions",
    "cause": "Causes",
    "symptom": "Symptoms",
    "test": "Tests",
    "treatment": "Treatments",
    "joint": "Joints and regions",
    "prevention": "Prevention",
    "score": "Scores",
    "measure": "Measurements",
}
"""Kind of topic to its shelf's title, in the order a reader asks."""


@dataclass(frozen=True)
class Line:
    """One statement: its text, source numbers, whether it is judgement."""

    text: str
    refs: tuple[int, ...] = ()
    judgement: bool = False


@dataclass(frozen=True)
class Page:
    """One topic.

    Attributes:
        parts: heading and statements for a clinician. patient: the same in a patient's words.
        corrections: (what is read elsewhere, verdict, what holds). sources: in the order of their numbers.
    """

    title: str
    parts: tuple[tuple[str, tuple[Line, ...]], ...]
    patient: tuple[Line, ...]
    corrections: tuple[tuple[str, str, Line], ...]
    sources: tuple[Source, ...]


def shelf(kind: str) -> list[tuple[str, str, str]]:
    """(id, title, words it is found by) of every topic of a kind."""
    from marrowscope.reasoning.explain import topics

    wanted = [topic for key, topic in topics().items() if key.startswith(f"{kind}:")]
    return [(t.key.partition(":")[2], t.title, " ".join(t.words).lower()) for t in wanted]


def topic_page(kind: str, key: str) -> Page | None:
    """The page of a topic, or None when there is none."""
    from marrowscope.reasoning.explain import explain, topics

    name = f"{kind}:{key}"
    return _page(explain(name)) if name in topics() else None


def _page(told: Explanation) -> Page:
    from marrowscope.knowledge.article import corrections

    numbers: dict[str, int] = {}

    def line(claim: Claim) -> Line:
        refs = tuple(numbers.setdefault(key, len(numbers) + 1) for key in claim.sources)
        return Line(claim.text, refs, claim.judgement)

    def lines(claims: Iterable[Claim]) -> tuple[Line, ...]:
        return tuple(line(claim) for claim in claims)

    patient = lines(told.patient)
    parts = tuple((part.heading, lines(part.claims)) for part in told.parts)
    wrong = tuple((c.says, c.verdict, line(c.holds)) for c in map(corrections().__getitem__, told.corrections))
    return Page(told.title, parts, patient, wrong, tuple(sources()[key] for key in numbers))
