"""A written report to what it says: the site asked, the person, statements with their words, opinions, what is left.

Nothing here decides what a finding means; it only says which words stand where. A person checks it before use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from marrowscope.errors import IntakeError
from marrowscope.findings import State
from marrowscope.knowledge.choices import choices, choose
from marrowscope.knowledge.clashes import neighbours
from marrowscope.knowledge.findings import Kind, implied, vocabulary
from marrowscope.knowledge.report_terms import clinical_words, foreign_phrases, named, place_phrases
from marrowscope.knowledge.report_words import Row, report_data, tokens_of
from marrowscope.reasoning.written.context import Said
from marrowscope.reasoning.written.laboratory import results_in
from marrowscope.reasoning.written.layout import (
    OPENING,
    Sentence,
    check_text,
    quoted,
    sentences,
    without_person,
)
from marrowscope.reasoning.written.person import age_and_sex, onset_of, weeks_of
from marrowscope.reasoning.written.statements import CLINICAL, FINDINGS, HISTORY, IMPRESSION, About, Opinion, Statement, tell

SKIPPED = ("technique", "signature", "exam")
"""Sections that hold no finding."""

PAIRED = frozenset({"knee", "hip_pelvis", "foot_ankle", "hand_wrist", "shoulder", "leg"})
"""Sites of which there are two, so that the other side's findings belong elsewhere."""

HEADER_CHARACTERS = 160
"""How much of a text without headings is looked at for what was imaged."""

FEW_SENTENCES = 2
"""Sentences of a history that is short enough to be one."""

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
class View:
    """A diagnosis the reporter named: theirs, never evidence."""

    names: tuple[str, ...]
    how: Said
    quote: str


@dataclass(frozen=True)
class ReadReport:
    """What a written report says, drafted by software.

    Attributes:
        site, side, modality: what it is about.
        age: years, or ``None``. sex, onset: empty when not said. weeks: how long, or ``None``.
        coded, labs: the drafted entries. regions: codes of the parts of the site, with their words.
        left: doubted, asked, past or of someone else. views: the reporter's diagnoses.
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
    views: tuple[View, ...]
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
    cleaned, hidden = without_person(text)
    parts = sentences(cleaned)
    about = _about(cleaned, parts, site, side)
    return _Reading(about, parts, hidden).result()


def _header(cleaned: str, parts: Sequence[Sentence]) -> str:
    """What says what was imaged: the exam section, else the beginning."""
    exam = " ".join(part.text for part in parts if part.section == "exam")
    opening = [part.text for part in parts if part.section == OPENING]
    first = next((line for line in cleaned.splitlines() if line.strip()), "")
    beginning = " ".join(opening)[:HEADER_CHARACTERS] if opening else first[:HEADER_CHARACTERS]
    named_there = exam if named("parts", exam) else f"{exam} {beginning.split('. ')[0]}"
    return named_there if named("parts", named_there) else f"{exam} {beginning}"


def _about(cleaned: str, parts: Sequence[Sentence], site: str | None, side: str | None) -> About:
    header = _header(cleaned, parts)
    images = named("images", header) or named("images", cleaned)
    sites = named("parts", header)
    foreign = list(foreign_phrases().find(Row.of(tokens_of(header))))
    if foreign and not sites and site is None:
        raise IntakeError(
            "a report on another part of the body",
            "a report on bone or joint",
            "marrowscope intake read REPORT.txt --site SITE if a joint is in it",
        )
    if not images:
        raise IntakeError("no kind of image is named (MRI, CT, radiograph ...)", "a radiology report", "read it yourself")
    modality = "mri" if "mri" in images else images[0]
    told = _site(site, sites, cleaned)
    return About(told, _side(told, side, header, parts), modality, _is_sectioned(parts))


def _is_sectioned(parts: Sequence[Sentence]) -> bool:
    """Whether the findings stand in a section of their own; one sentence behind a long history is only a summary."""
    findings = sum(part.section == FINDINGS for part in parts)
    return findings > 1 or (findings == 1 and sum(part.section == HISTORY for part in parts) <= FEW_SENTENCES)


def _site(asked: str | None, header: list[str], cleaned: str) -> str:
    if asked is not None:
        known = choose("site", asked)
        if known is None:
            raise IntakeError(f"--site {asked}", ", ".join(choices()["site"]))
        return known
    if "si_joint" in header and set(header) <= {"si_joint", "hip_pelvis"}:
        return "si_joint"
    if len(header) == 1:
        return header[0]
    counts = _named_sites(cleaned)
    if not header and counts and (len(counts) == 1 or counts[0][1] > 2 * counts[1][1]):
        return counts[0][0]
    found = f"a report on {', '.join(header)}" if header else "a report that names no joint"
    raise IntakeError(found, "one joint", f"marrowscope intake read REPORT.txt --site {header[0] if header else 'knee'}")


def _named_sites(cleaned: str) -> list[tuple[str, int]]:
    hits = place_phrases().find(Row.of(tokens_of(cleaned)))
    counts = Counter(vocabulary()[hit.name].section for hit in hits if hit.name)
    counts.update(named("parts", cleaned))
    return counts.most_common()


def _side(site: str, asked: str | None, header: str, parts: Sequence[Sentence]) -> str:
    """The side asked, else of the heading, else the only one that the history names."""
    if asked is not None:
        known = choose("side", asked)
        if known is None:
            raise IntakeError(f"--side {asked}", ", ".join(choices()["side"]))
        return known
    if site not in PAIRED:
        return ""
    sides = named("sides", header) or named("sides", " ".join(p.text for p in parts if p.section == HISTORY))
    return "both" if len(sides) > 1 else next(iter(sides), "")


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
        side = self.about.side
        for part in self.parts:
            side = self._sentence(part, side)
        injured = [
            item.text for item in self.statements if item.code in vocabulary() and "acute_trauma" in (item.code, *implied(item.code))
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
            tuple(View(item.names, item.said, self._quote(item.text)) for item in self.opinions),
            tuple(dict.fromkeys(self.elsewhere)),
            tuple(dict.fromkeys(self.unread)),
        )

    def _quote(self, text: str) -> str:
        shown = quoted(text, self.hidden)
        return shown if len(shown) <= LONGEST_QUOTE else shown[: LONGEST_QUOTE - 4] + " ..."

    def _sentence(self, part: Sentence, side: str) -> str:
        rest = self._without_labs(part)
        if part.section != HISTORY and self._is_elsewhere(part):
            if tell(rest, part.section, self.about).understood:
                self.elsewhere.append(self._quote(part.text))
            return side
        told = tell(rest, part.section, self.about)
        self.statements += told.statements
        self.opinions += told.opinions
        self.places += [(code, part.text) for code in told.places if self._near(code)]
        heading = part.section == OPENING and bool(named("images", rest))
        if not told.understood and not heading and rest == part.text and clinical_words() & {token.text for token in tokens_of(rest)}:
            self.unread.append(self._quote(part.text))
        return side

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
        implied_there = {general for item in kept.values() if item.state is State.PRESENT for general in implied(item.code)}
        return tuple(item for item in kept.values() if item.state is State.PRESENT or item.code not in implied_there)

    @staticmethod
    def _also(item: Statement) -> Iterable[str]:
        return report_data("phrases")["also"].get(item.code, ()) if item.state is State.PRESENT else ()

    def _left(self) -> tuple[Left, ...]:
        kept = [
            Left(item.code, item.said, self._quote(item.text)) for item in self.statements if item.state is State.UNKNOWN
        ]
        return tuple(dict.fromkeys(kept))
