"""What the words around a finding make of it: denied, doubted, of the past, of someone else (NegEx, ConText).

A trigger speaks forward or backward up to the end of its statement; a longer trigger silences a shorter one inside it.
The words are data (``reports/context.yaml``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from marrowscope.knowledge.report_words import Hit, Phrases, Row, fold, read_words, report_data


class Said(StrEnum):
    """How a statement stands in its sentence; the order is that of precedence, the last the plain one."""

    LATER = "later"
    KIN = "kin"
    ASKED = "asked"
    OTHER = "other"
    GONE = "gone"
    ABSENT = "absent"
    DOUBT = "doubt"
    PAST = "past"
    STORY = "story"
    PRESENT = "present"


@dataclass(frozen=True)
class Reach:
    """One trigger and the tokens it speaks of (from, up to and without)."""

    said: Said
    first: int
    end: int
    trigger: frozenset[int]
    forward: bool

    def holds(self, hit: Hit) -> bool:
        """Whether the trigger speaks of the finding; one made of the finding's own words does not."""
        if self.trigger <= hit.words:
            return False
        if self.forward:
            return self.first <= hit.last < self.end or self.first <= hit.first < self.end
        ahead = self.first <= hit.first
        return ahead and (hit.first < self.end or (hit.first < min(self.trigger) and bool(self.trigger & hit.words)))


@cache
def _triggers(direction: str) -> Phrases:
    return Phrases(read_words(report_data("context")[direction]))


@cache
def _ends() -> Phrases:
    return Phrases([("", str(word)) for word in report_data("context")["ends"]])


@cache
def _doubt_ends() -> Phrases:
    return Phrases([("", str(word)) for word in report_data("context")["ends_doubt"]])


@cache
def _starts() -> frozenset[str]:
    return frozenset(fold(str(word)) for word in report_data("context")["starts"])


def _longest(hits: list[tuple[str, Hit]]) -> list[tuple[str, Hit]]:
    """Triggers that no longer one, of either direction, contains."""
    return [(direction, hit) for direction, hit in hits if not any(hit.words < other.words for _, other in hits)]


def reaches(row: Row) -> list[Reach]:
    """Every trigger of a sentence with its reach."""
    found = [(way, hit) for way in ("before", "after") for hit in _triggers(way).find(row)]
    kept = [(way, hit) for way, hit in _longest(found) if hit.name != "none" and _asks(row, way, hit)]
    stops, doubt_stops = _hard_ends(row), {hit.first for hit in _doubt_ends().find(row)}
    starts = sorted(hit.first for way, hit in kept if way == "before")
    out = []
    for way, hit in kept:
        if hit.name == Said.KIN:
            out.append(Reach(Said.KIN, hit.last + 1, _close(row, hit.last), hit.words, True))
        elif way == "before":
            own = sorted({*stops, *doubt_stops}) if hit.name == Said.DOUBT else stops
            opened = hit.last + 1 if row.tokens[min(hit.last + 1, len(row.tokens) - 1)].text == ":" else hit.last
            limit = min([stop for stop in own if stop > opened], default=len(row.tokens))
            limit = min([limit, *(other for other in starts if other > hit.last and not _adds(row, hit, other))])
            out.append(Reach(Said(hit.name), hit.last + 1, _soft_end(row, hit.last + 1, limit), hit.words, True))
        else:
            spoken_to = _spoken_to(row, stops, hit.first)
            start = max([stop for stop in stops if stop < spoken_to], default=-1) + 1
            out.append(Reach(Said(hit.name), _soft_start(row, start, spoken_to), hit.first, hit.words, False))
    return out


def _close(row: Row, after: int) -> int:
    """The next semicolon or the end: a relative's illness is told in whole sentences."""
    return next((i for i in range(after + 1, len(row.tokens)) if row.tokens[i].text == ";"), len(row.tokens))


def _asks(row: Row, way: str, hit: Hit) -> bool:
    """A question mark asks of what follows it, or at the end of a statement of what stands before; others always."""
    word = row.tokens[hit.first].text
    if way == "before" and len(hit.words) == 1 and word in report_data("context")["first_only"]:
        return hit.first == 0
    if word != "?":
        return True
    after = row.tokens[hit.last + 1].text if hit.last + 1 < len(row.tokens) else ";"
    return (after in (",", ";", ")")) == (way == "after")


def _adds(row: Row, hit: Hit, other: int) -> bool:
    """Whether the trigger at ``other`` follows at once, so that both hold (``no suspicious``, ``no previous``)."""
    return all(row.tokens[i].text not in (",", "and") for i in range(hit.last + 1, other)) and other - hit.last < _NEAR


_NEAR = 4
"""Tokens between two triggers that belong to one statement."""


def _hard_ends(row: Row) -> list[int]:
    marks = [i for i, token in enumerate(row.tokens) if token.text in (";", ":", "(", ")")]
    return sorted({*marks, *(hit.first for hit in _ends().find(row))})


def _spoken_to(row: Row, stops: list[int], trigger: int) -> int:
    """The token after the subject of a trigger: ``edema, which has now`` (resolved) speaks of the edema."""
    end = trigger
    while end > 0 and (end - 1 in stops or row.tokens[end - 1].text in _LINKS) and row.tokens[end - 1].text != ";":
        end -= 1
    return end


_LINKS = frozenset({",", "is", "are", "was", "were", "been", "now"})
"""Words between a subject and what is said of it."""


def _soft_end(row: Row, first: int, limit: int) -> int:
    """Where a comma or ``and`` begins a new statement; a list that goes on with ``or`` is one statement."""
    words = [token.text for token in row.tokens]
    for i in range(first, limit):
        if words[i] not in (",", "and"):
            continue
        rest = words[i + 1 : limit]
        upto = rest.index(",") if "," in rest else len(rest)
        if _starts() & set(rest[:_AHEAD][:upto]) and not {"or", "nor"} & set(rest):
            return i
    return limit


_AHEAD = 2
"""Tokens after a comma that are looked at for the start of a new statement."""


def _soft_start(row: Row, first: int, end: int) -> int:
    """The last comma, ``and`` or similar before which a statement of its own (with a verb) stands."""
    words = [token.text for token in row.tokens]
    verbs = _starts() - {","}
    for i in range(end - 1, first, -1):
        if words[i] in (",", "and") and verbs & set(words[first:i]):
            return i + 1
    return first


def said_of(hit: Hit, found: list[Reach]) -> Said:
    """How a finding stands: the strongest trigger whose reach holds its last word."""
    holding = {reach.said for reach in found if reach.holds(hit)}
    return next((said for said in Said if said in holding), Said.PRESENT)
