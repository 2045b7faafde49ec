"""A written report to what it says: the site asked, the person, statements with their words, opinions, what is left.

Nothing here decides what a finding means; it only says which words stand where. A person checks it before use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from marrowscope.findings import State
from marrowscope.knowledge.clashes import neighbours
from marrowscope.knowledge.findings import implied, vocabulary
from marrowscope.knowledge.report_terms import clinical_words, named, place_phrases
from marrowscope.knowledge.report_words import Row, report_data, tokens_of
from marrowscope.reasoning.written.about import about_what
from marrowscope.reasoning.written.context import Said
from marrowscope.reasoning.written.laboratory import results_in
from marrowscope.reasoning.written.layout import (
    OPENING,
    Sentence,
    check_text,
    sentences,
    without_wide_gaps,
)
from marrowscope.reasoning.written.person import age_and_sex, onset_of, weeks_of
from marrowscope.reasoning.written.privacy import quoted, without_person
from marrowscope.reasoning.written.statements import (
    HISTORY,
    About,
    Opinion,
    Statement,
    tell,
)

SKIPPED = ("technique", "signature", "exam")
"""Sections that hold no finding."""

LONGEST_QUOTE = 240
"""Characters of a quoted sentence."""


@dataclass(frozen=True)
class Coded:
    """One entry of the drafted intake with the words it came from."""

    code: str
    state: State
    modality: str
    quote: str


@dataclass(frozen=True)
class LabResult:
    """One laboratory entry, its value as the intake takes it, with the words it came from."""

    code: str
    value: str
    quote: str


@dataclass(frozen=True)
class Left:
    """A statement that is not coded, with the reason in one word, and the words."""

    code: str
    why: Said
    quote: str


@dataclass(frozen=True)
class ReadReport:
    """What a written report says, drafted by software.

    Attributes:
        site, side, modality: what it is about.
        age: years, or ``None``. sex, onset: empty when not said. weeks: how long, or ``None``.
        coded, labs: the drafted entries. regions: codes of the parts of the site, with their words.
        left: doubted, asked, past or of someone else. views: the reporter's diagnoses, never evidence.
        elsewhere, unread: sentences about another place, and sentences with a clinical word and no code.
    """

    site: str
    side: str
    modality: str
    age: float | None
    sex: str
    weeks: float | None
    onset: str
    coded: tuple[Coded, ...]
    labs: tuple[LabResult, ...]
    left: tuple[Left, ...]
    views: tuple[Opinion, ...]
    elsewhere: tuple[str, ...]
    unread: tuple[str, ...]


def read_report(text: str, site: str | None = None, side: str | None = None) -> ReadReport:
    """Read one radiology report.

    Args:
        text: the report in plain text.
        site, side: the joint asked about, where the report is about several or does not say.

    Raises:
        IntakeError: not text, not a radiology report, another part of the body, or a site that cannot be told.
    """
    check_text(text)
    cleaned, hidden = without_person(without_wide_gaps(text))
    parts = sentences(cleaned)
    about = about_what(cleaned, parts, site, side)
    return _Reading(about, parts, hidden).result()


class _Reading:
    """Gathers what every sentence tells."""

    def __init__(self, about: About, parts: Sequence[Sentence], hidden: frozenset[str]) -> None:
        self.about, self.hidden = about, hidden
        self.parts = [part for part in parts if part.section not in SKIPPED]
        self.age, self.sex = age_and_sex(parts)
        self.statements: list[Statement] = []
        self.places: list[tuple[str, str]] = []
        self.labs: dict[str, LabResult] = {}
        self.opinions: list[Opinion] = []
        self.elsewhere: list[str] = []
        self.unread: list[str] = []

    def result(self) -> ReadReport:
        """Read every sentence; what is said twice is kept once, a presence before an absence."""
        for part in self.parts:
            self._sentence(part)
        injured = [
            item.text
            for item in self.statements
            if item.code in vocabulary() and "acute_trauma" in (item.code, *implied(item.code))
        ]
        return ReadReport(
            self.about.site,
            self.about.side,
            self.about.modality,
            self.age,
            self.sex,
            weeks_of(self.parts, injured),
            onset_of(self.parts),
            self._coded(),
            tuple(self.labs.values()),
            self._left(),
            tuple(replace(item, text=self._quote(item.text)) for item in self.opinions),
            tuple(dict.fromkeys(self.elsewhere)),
            tuple(dict.fromkeys(self.unread)),
        )

    def _quote(self, text: str) -> str:
        shown = quoted(text, self.hidden)
        return shown if len(shown) <= LONGEST_QUOTE else shown[: LONGEST_QUOTE - 4] + " ..."

    def _sentence(self, part: Sentence) -> None:
        rest = self._without_labs(part)
        if part.section != HISTORY and self._is_elsewhere(part):
            if tell(rest, part.section, self.about).understood:
                self.elsewhere.append(self._quote(part.text))
            return
        told = tell(rest, part.section, self.about)
        self.statements += told.statements
        self.opinions += told.opinions
        self.places += [(code, part.text) for code in told.places if self._near(code)]
        heading = part.section == OPENING and bool(named("images", rest))
        if (
            not told.understood
            and not heading
            and rest == part.text
            and clinical_words() & {token.text for token in tokens_of(rest)}
        ):
            self.unread.append(self._quote(part.text))

    def _without_labs(self, part: Sentence) -> str:
        text = part.text
        for result in results_in(part.text, self.sex, self.age):
            if result.valid:
                text = text[: result.start] + " " * (result.end - result.start) + text[result.end :]
                self.labs.setdefault(result.code, LabResult(result.code, result.value, self._quote(part.text)))
            else:
                self.unread.append(self._quote(part.text))
        return text

    def _near(self, code: str) -> bool:
        near = neighbours().get(self.about.site)
        return near is None or vocabulary()[code].section in near

    def _is_elsewhere(self, part: Sentence) -> bool:
        """Whether a sentence speaks of the other side, or of places of another site alone."""
        if self.about.side in ("left", "right"):
            sides = set(named("sides", part.text)) or ({part.side} if part.side else set())
            if sides and self.about.side not in sides and "both" not in sides:
                return True
        row = Row.of(tokens_of(part.text))
        codes = {hit.name for hit in place_phrases().find(row) if hit.name}
        sites = {vocabulary()[code].section for code in codes} | set(named("parts", part.text))
        near = neighbours().get(self.about.site)
        return near is not None and bool(sites) and not sites & near

    def _coded(self) -> tuple[Coded, ...]:
        kept: dict[str, Coded] = {}
        for state in (State.PRESENT, State.ABSENT):
            for item in self.statements:
                if item.state is state:
                    for code in (item.code, *self._also(item)):
                        kept.setdefault(code, Coded(code, state, item.modality, self._quote(item.text)))
        for code, text in self.places:
            kept.setdefault(code, Coded(code, State.PRESENT, "", self._quote(text)))
        implied_there = {
            general for item in kept.values() if item.state is State.PRESENT for general in implied(item.code)
        }
        return tuple(item for item in kept.values() if item.state is State.PRESENT or item.code not in implied_there)

    @staticmethod
    def _also(item: Statement) -> Iterable[str]:
        return report_data("phrases")["also"].get(item.code, ()) if item.state is State.PRESENT else ()

    def _left(self) -> tuple[Left, ...]:
        kept = [
            Left(item.code, item.said, self._quote(item.text))
            for item in self.statements
            if item.state is State.UNKNOWN
        ]
        return tuple(dict.fromkeys(kept))
