"""What a report is about: the joint, the side, the kind of image; or why that cannot be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from marrowscope.errors import IntakeError
from marrowscope.knowledge.choices import choices, choose
from marrowscope.knowledge.findings import vocabulary
from marrowscope.knowledge.report_terms import foreign_phrases, named, place_phrases
from marrowscope.knowledge.report_words import Row, report_data, tokens_of
from marrowscope.reasoning.written.layout import OPENING, Sentence
from marrowscope.reasoning.written.statements import FINDINGS, HISTORY, About

ANY_PLACE = ("diffuse", "other")
"""Sites that a report on any part may be asked for."""

HEADER_CHARACTERS = 160
"""How much of a text without headings is looked at for what was imaged."""

FEW_SENTENCES = 2
"""Sentences of a history that is short enough to be one."""


def _header(cleaned: str, parts: Sequence[Sentence]) -> str:
    """What says what was imaged: the exam section, else the beginning."""
    exam = " ".join(part.text for part in parts if part.section == "exam")
    opening = [part.text for part in parts if part.section == OPENING]
    first = next((line for line in cleaned.splitlines() if line.strip()), "")
    beginning = " ".join(opening)[:HEADER_CHARACTERS] if opening else first[:HEADER_CHARACTERS]
    named_there = exam if named("parts", exam) else f"{exam} {beginning.split('. ')[0]}"
    return named_there if named("parts", named_there) else f"{exam} {beginning}"


def about_what(cleaned: str, parts: Sequence[Sentence], site: str | None, side: str | None) -> About:
    """The joint, side and image of a report.

    Args:
        cleaned: the report without its person. parts: its sentences. site, side: what was asked, if anything.

    Raises:
        IntakeError: another part of the body, no kind of image, or a site that cannot be told.
    """
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
        raise IntakeError(
            "no kind of image is named (MRI, CT, radiograph ...)", "a radiology report", "read it yourself"
        )
    modality = "mri" if "mri" in images else images[0]
    told = _site(site, sites, cleaned, bool(foreign))
    return About(told, _side(told, side, header, parts), modality, _is_sectioned(parts))


def _is_sectioned(parts: Sequence[Sentence]) -> bool:
    """Whether the findings stand in a section of their own; one sentence behind a long history is only a summary."""
    findings = sum(part.section == FINDINGS for part in parts)
    return findings > 1 or (findings == 1 and sum(part.section == HISTORY for part in parts) <= FEW_SENTENCES)


def _site(asked: str | None, header: list[str], cleaned: str, foreign: bool) -> str:
    """The site asked, which the report must name where it says what it is about, else the one it is about."""
    if asked is not None:
        known = choose("site", asked)
        if known is None:
            raise IntakeError(f"--site {asked}", ", ".join(choices()["site"]))
        if (header or foreign) and known not in {*header, *ANY_PLACE, *(site for site, _ in _named_sites(cleaned))}:
            about = ", ".join(header) or "another part of the body"
            raise IntakeError(f"a report on {about}", f"one that names the {known}", "another report or --site")
        return known
    if "si_joint" in header and set(header) <= {"si_joint", "hip_pelvis"}:
        return "si_joint"
    if len(header) == 1:
        return header[0]
    counts = _named_sites(cleaned)
    if not header and counts and (len(counts) == 1 or counts[0][1] > 2 * counts[1][1]):
        return counts[0][0]
    found = f"a report on {', '.join(header)}" if header else "a report that names no joint"
    raise IntakeError(
        found, "one joint", f"marrowscope intake read REPORT.txt --site {header[0] if header else 'knee'}"
    )


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
    if site not in report_data("text")["paired"]:
        return ""
    sides = named("sides", header) or named("sides", " ".join(p.text for p in parts if p.section == HISTORY))
    return "both" if len(sides) > 1 else next(iter(sides), "")
