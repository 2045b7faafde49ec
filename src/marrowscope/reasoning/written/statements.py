"""One sentence to statements: which codes it names, how they stand, on which image; and diagnoses as opinions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from marrowscope.findings import State
from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.findings import Kind, implied, vocabulary
from marrowscope.knowledge.report_terms import (
    denied_phrases,
    diagnosis_phrases,
    named,
    place_phrases,
    said_phrases,
)
from marrowscope.knowledge.report_words import Hit, Row, report_data, tokens_of
from marrowscope.reasoning.written.context import Reach, Said, reaches, said_of
from marrowscope.reasoning.written.layout import OPENING

HISTORY, COMPARISON, FINDINGS, IMPRESSION = "history", "comparison", "findings", "impression"
IMAGING_SECTIONS = (FINDINGS, IMPRESSION, OPENING)
CLINICAL_SECTIONS = (HISTORY, OPENING)
CLINICAL = frozenset({Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG})


@dataclass(frozen=True)
class Statement:
    """One code in one sentence.

    Attributes:
        code: of the findings vocabulary.
        said: how it stands; only plain statements and denials are coded.
        state: present, absent, or unknown when it is not coded.
        modality: the image it was read on; empty for history and laboratory.
        text: the sentence, as written.
    """

    code: str
    said: Said
    state: State
    modality: str
    text: str


@dataclass(frozen=True)
class Opinion:
    """Diagnoses the reporter names in one sentence, and how they stand."""

    names: tuple[str, ...]
    said: Said
    text: str


@dataclass(frozen=True)
class Told:
    """What one sentence tells."""

    statements: tuple[Statement, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    places: tuple[str, ...] = ()
    understood: bool = False


@dataclass(frozen=True)
class About:
    """What the report is about: the site and side asked, the image, and whether it was cut into sections."""

    site: str
    side: str
    modality: str
    sectioned: bool = field(default=True)


def tell(text: str, section: str, about: About) -> Told:
    """The statements of one sentence; laboratory values are taken out before."""
    if section == HISTORY and not about.sectioned:
        section = OPENING
    row = Row.of(tokens_of(text))
    image = _image(text, section, about)
    if image is None:
        return Told(understood=True)
    said, denied, opinions, places = _hits(row, about.site)
    reach = reaches(row)
    statements = [
        statement
        for hits, deny in ((said, False), (denied, True))
        for hit in hits
        if (statement := _statement(hit, said_of(hit, reach), deny, section, image, about, text)) is not None
    ]
    statements = _beside_bone(statements) + _denied_by(opinions, reach, image, about, text)
    named_here = _opinions(opinions, reach, section, text)
    there = _places(places, reach, statements)
    return Told(tuple(dict.fromkeys(statements)), named_here, there, bool(said or denied or opinions))


def _image(text: str, section: str, about: About) -> str | None:
    """The image a sentence speaks of; ``None`` for an earlier image of the same kind."""
    spoken = [image for image in named("images", text) if image != about.modality]
    if section == COMPARISON:
        return spoken[0] if spoken else None
    return spoken[0] if spoken and section != IMPRESSION else about.modality


def _hits(row: Row, site: str) -> tuple[list[Hit], list[Hit], list[Hit], list[Hit]]:
    """Findings said, denied, diagnoses and places; what a longer phrase contains is not read a second time."""
    said, denied = list(said_phrases().find(row)), list(denied_phrases().find(row))
    opinions, places = list(diagnosis_phrases().find(row)), list(place_phrases().find(row))
    own = {hit.words for hit in opinions if hit.name not in causes()}
    spoken = {hit.words for hit in (*said, *denied)} | own
    firm = {hit.words for hit in denied} | own
    refused = {(hit.name, hit.last) for hit in denied}
    kept = report_data("phrases")["kept"]
    free = {hit for hit in said for other in said if hit.words < other.words and _kept(kept, hit, other)}

    def whole(hits: Iterable[Hit], rivals: set[frozenset[int]]) -> list[Hit]:
        return sorted(
            {hit for hit in hits if not any(hit.words < other for other in rivals)},
            key=lambda hit: (hit.first, hit.name),
        )

    found = {hit.words for hit in said}
    opinions = [hit for hit in opinions if hit.name not in causes() or hit.words not in found]
    said = _firmer(
        [
            hit
            for hit in (*whole(said, spoken), *free)
            if hit.name and hit.words not in firm and (hit.name, hit.last) not in refused
        ]
    )
    return (
        said,
        whole(denied, spoken),
        whole(opinions, spoken),
        _own_places(whole(places, {h.words for h in places}), site),
    )


def _firmer(hits: list[Hit]) -> list[Hit]:
    """The findings without those that give way to another one told by the same last word."""
    weaker = report_data("phrases")["gives_way"]
    return [
        hit
        for hit in hits
        if not any(hit.name in weaker.get(other.name, ()) and hit.last in other.words for other in hits)
    ]


def _beside_bone(statements: list[Statement]) -> list[Statement]:
    """The statements, a companion such as ``bilateral`` only where another finding in bone is present."""
    companions = report_data("phrases")["companions"]
    held = any(s.state is State.PRESENT and in_bone(s.code) and s.code not in companions for s in statements)
    return [s for s in statements if held or s.code not in companions]


def _denied_by(hits: Sequence[Hit], reach: list[Reach], image: str, about: About, text: str) -> list[Statement]:
    """Findings whose absence a denied diagnosis says: no stress fracture, no fracture line."""
    codes = [report_data("text")["denies"].get(hit.name) for hit in hits if said_of(hit, reach) is Said.ABSENT]
    meant = [_on_image(code, image, about) for code in codes if code]
    return [Statement(code, Said.ABSENT, State.ABSENT, image, text) for code in meant if code]


def _kept(kept: dict[str, list[str]], hit: Hit, other: Hit) -> bool:
    """Whether a finding stands although the words of another one contain its own."""
    return "any" in kept.get(hit.name, ()) or other.name in kept.get(hit.name, ())


def _own_places(places: list[Hit], site: str) -> list[Hit]:
    """Where one name means regions of two sites, the one of the site asked."""
    own = {hit.words for hit in places if hit.name and vocabulary()[hit.name].section == site}
    return [hit for hit in places if hit.name and (vocabulary()[hit.name].section == site or hit.words not in own)]


def _statement(hit: Hit, said: Said, deny: bool, section: str, image: str, about: About, text: str) -> Statement | None:
    code = hit.name
    kind = vocabulary()[code].kind
    if kind in CLINICAL:
        return _clinical(code, kind, said, deny, section, text)
    meant = _on_image(code, image, about)
    if meant is None:
        return None
    if section == HISTORY and image == about.modality:
        return None if deny else Statement(meant, Said.ASKED, State.UNKNOWN, image, text)
    if said is Said.PAST and image != about.modality:  # an earlier radiograph is still the one there is
        said = Said.PRESENT
    return Statement(meant, said, _image_state(said, deny), image, text)


def _clinical(code: str, kind: Kind, said: Said, deny: bool, section: str, text: str) -> Statement | None:
    if section not in CLINICAL_SECTIONS and code not in report_data("text")["clinical_in_findings"]:
        return None
    coded = {Said.PRESENT: State.PRESENT, Said.STORY: State.PRESENT, Said.ABSENT: State.ABSENT}
    state = coded.get(said, State.UNKNOWN)
    if said is Said.PAST and kind is not Kind.SYMPTOM:
        state = State.PRESENT
    if deny:
        state = State.ABSENT if said is Said.PRESENT else State.UNKNOWN
    return Statement(code, said, state, "", text)


def _image_state(said: Said, deny: bool) -> State:
    if deny:
        return State.ABSENT if said is Said.PRESENT else State.UNKNOWN
    states = {Said.PRESENT: State.PRESENT, Said.ABSENT: State.ABSENT, Said.GONE: State.ABSENT}
    return states.get(said, State.UNKNOWN)


def _on_image(code: str, image: str, about: About) -> str | None:
    """The code the words mean on this image; ``None`` when they mean nothing there."""
    data = report_data("phrases")
    code = data["at"].get(about.site, {}).get(code, code)
    code = data["drawn_from"].get(image, {}).get(code, code)
    for start, images in data["only_on"].items():
        if code.startswith(start) and image not in images and code not in data["on_any"]:
            return None
    return str(code)


def _opinions(hits: Sequence[Hit], reach: list[Reach], section: str, text: str) -> tuple[Opinion, ...]:
    if section not in IMAGING_SECTIONS:
        return ()
    by_said: dict[Said, list[str]] = {}
    for hit in hits:
        by_said.setdefault(said_of(hit, reach), []).append(hit.name)
    return tuple(Opinion(tuple(dict.fromkeys(names)), said, text) for said, names in by_said.items())


@cache
def _marrow() -> frozenset[str]:
    data = report_data("phrases")
    own = {code for code, item in vocabulary().items() if item.kind is Kind.IMAGING and item.section in data["marrow"]}
    return frozenset(own | set(data["marrow_also"]))


def in_bone(code: str) -> bool:
    """Whether a finding lies in bone, so that the place named beside it is a region of the intake."""
    return code in _marrow() or any(general in _marrow() for general in implied(code))


def _places(hits: Sequence[Hit], reach: list[Reach], statements: Sequence[Statement]) -> tuple[str, ...]:
    if not any(item.state is State.PRESENT and in_bone(item.code) for item in statements):
        return ()
    return tuple(dict.fromkeys(hit.name for hit in hits if said_of(hit, reach) is Said.PRESENT))
