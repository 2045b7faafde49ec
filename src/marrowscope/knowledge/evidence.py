"""The evidence: how often each finding is met with each cause, and with anyone who has edema-like marrow signal.

A *variable* is a finding (absent, present), a laboratory item (its levels) or the course (onset, duration). Variables
that go together form a *family* with a hidden state; given the state they are taken as independent, so that a family
enters the sum as one joint term. Where an entry is missing, the finding is as frequent as in the background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.knowledge.load import KnowledgeError, keys_of, merge, read_folder, read_yaml

Shares = tuple[float, ...]

SUM_TOLERANCE = 1e-6
"""Shares of one row sum to 1 within this."""


@dataclass(frozen=True)
class Entry:
    """Frequencies with their basis.

    Attributes:
        shares: one probability a level (or a family state), summing to 1.
        sources: keys of what prints the frequency; empty = judgement.
        association: keys of what states the association without a frequency for it.
    """

    shares: Shares
    sources: tuple[str, ...] = ()
    association: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variable:
    """What can be observed.

    Attributes:
        id: finding code, laboratory item, ``onset`` or ``duration``.
        label: in words.
        levels: ``("absent", "present")``, or a laboratory item's or the course's levels.
        family: id of its family, or empty.
    """

    id: str
    label: str
    levels: tuple[str, ...]
    family: str = ""


@dataclass(frozen=True)
class Family:
    """Variables tied by a hidden state.

    Attributes:
        id, label: identifier and words.
        states: names of the hidden state, from none to full.
        background: share of each state in anyone with edema-like marrow signal.
        rows: variable -> one Entry a state.
    """

    id: str
    label: str
    states: tuple[str, ...]
    background: Shares
    rows: Mapping[str, tuple[Entry, ...]]


@dataclass(frozen=True)
class Scale:
    """The documented scale of judgement.

    Attributes:
        words: word -> frequency.
        misreading: share of every frequency replaced by the background.
        unlisted: prior mass of a cause that is not on the list.
        prior_doubt: factor by which a prior may be wrong either way.
        course: ``onset`` and ``duration`` with levels, bounds and background.
    """

    words: Mapping[str, float]
    misreading: float
    unlisted: float
    prior_doubt: float
    course: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class CauseEvidence:
    """Everything known about one cause: family states and single variables."""

    families: Mapping[str, Entry] = field(default_factory=dict)
    variables: Mapping[str, Entry] = field(default_factory=dict)


@cache
def scale() -> Scale:
    """The scale of judgement from ``scale.yaml``."""
    return Scale(**read_yaml("scale.yaml"))


def _levels_of(variable: str) -> tuple[str, ...]:
    if variable in labs():
        return labs()[variable].levels
    if variable in scale().course:
        return tuple(scale().course[variable]["levels"])
    return ("absent", "present")


def _shares(raw: Any, count: int, where: str) -> Shares:
    """A row of shares from a word, a probability of presence, or a list."""
    value = scale().words.get(raw) if isinstance(raw, str) else raw
    if isinstance(value, int | float) and count == 2:
        row: Shares = (1 - float(value), float(value))
    elif isinstance(value, list) and len(value) == count:
        row = tuple(float(number) for number in value)
    else:
        raise KnowledgeError(f"{where}: {raw!r}", f"a word of scale.yaml, a probability, or {count} shares")
    if min(row) < 0 or abs(sum(row) - 1) > SUM_TOLERANCE:
        raise KnowledgeError(f"{where}: {raw!r}", "shares between 0 and 1 that sum to 1")
    return row


def _entry(raw: Any, count: int, where: str) -> Entry:
    if isinstance(raw, dict):
        if raw.keys() - {"p", "src", "says"}:
            raise KnowledgeError(f"{where}: {raw!r}", "p with src (prints it) or says (states it)")
        return Entry(_shares(raw["p"], count, where), keys_of(raw.get("src")), keys_of(raw.get("says")))
    return Entry(_shares(raw, count, where))


def _family(key: str, raw: Mapping[str, Any]) -> Family:
    states, members = tuple(raw["states"]), {}
    for variable, given in raw["members"].items():
        rows, sources = (given["rows"], keys_of(given.get("src"))) if isinstance(given, dict) else (given, ())
        if len(rows) != len(states):
            raise KnowledgeError(f"family {key}.{variable}: {len(rows)} rows", f"{len(states)}, one a state")
        count = len(_levels_of(variable))
        members[variable] = tuple(Entry(_shares(row, count, f"{key}.{variable}"), sources) for row in rows)
    return Family(key, raw["label"], states, _shares(raw["background"], len(states), key), members)


@cache
def families() -> dict[str, Family]:
    """Every family by id."""
    return {key: _family(key, raw) for key, raw in read_yaml("families.yaml").items()}


@cache
def variables() -> dict[str, Variable]:
    """Every variable that weighs: members of families, codes with a background, laboratory items and the course.

    Raises:
        KnowledgeError: a variable in two families, or a member that is not in the vocabulary.
    """
    owner: dict[str, str] = {}
    for family in families().values():
        for variable in family.rows:
            if variable in owner or not (variable in vocabulary() or variable in labs() or variable in scale().course):
                raise KnowledgeError(
                    f"{variable!r} in family {family.id}", "one family; a code, laboratory item or the course"
                )
            owner[variable] = family.id
    alone = [code for code, item in vocabulary().items() if item.background is not None]
    alone += [code for code, lab in labs().items() if lab.background] + list(scale().course)
    return {name: Variable(name, _label(name), _levels_of(name), owner.get(name, "")) for name in (*alone, *owner)}


def _label(variable: str) -> str:
    if variable in labs():
        return labs()[variable].label
    if variable in scale().course:
        return str(scale().course[variable]["label"])
    return vocabulary()[variable].label


@cache
def background(variable: str) -> Entry:
    """How often each level is met in anyone with edema-like marrow signal.

    Of a family's member: its rows averaged over the family's background.
    """
    item = variables()[variable]
    if item.family:
        family = families()[item.family]
        rows = family.rows[variable]
        mixed = (
            sum(b * row.shares[i] for b, row in zip(family.background, rows, strict=True))
            for i in range(len(item.levels))
        )
        return Entry(tuple(mixed), rows[0].sources)
    if variable in labs():
        return Entry(labs()[variable].background)
    if variable in scale().course:
        return Entry(tuple(scale().course[variable]["bg"]))
    finding = vocabulary()[variable]
    return Entry(_shares(finding.background, 2, variable), finding.sources)


ELSEWHERE = "rare"
"""Word of the scale for a region of the same site that a cause does not lie in."""


def _elsewhere(key: str, home: Sequence[str]) -> dict[str, str]:
    """A cause that lies in some regions only: how often it is met in the others of the same sites."""
    if unknown := set(home) - vocabulary().keys():
        raise KnowledgeError(f"evidence of {key}: lies_in {min(unknown)!r}", "regions of the vocabulary")
    sites = {vocabulary()[code].section for code in home}
    others = (item for item in vocabulary().values() if item.kind is Kind.REGION and item.section in sites)
    return {item.code: ELSEWHERE for item in others if item.code not in home}


def _cause(key: str, raw: Mapping[str, Any], profiles: Mapping[str, Mapping[str, Any]]) -> CauseEvidence:
    lines: dict[str, Any] = {}
    for name in raw.get("like", ()):
        lines |= profiles[name]
    lines |= _elsewhere(key, raw.get("lies_in", ()))
    lines |= {name: value for name, value in raw.items() if name not in ("like", "lies_in")}
    states, single = {}, {}
    for name, value in lines.items():
        where = f"evidence of {key}: {name}"
        if name in families():
            states[name] = _entry(value, len(families()[name].states), where)
        elif name in variables():
            single[name] = _entry(value, len(variables()[name].levels), where)
        else:
            raise KnowledgeError(where, "a family, or a code that has a background")
    return CauseEvidence(states, single)


@cache
def evidence() -> dict[str, CauseEvidence]:
    """Evidence of every ranked cause by id.

    Raises:
        KnowledgeError: a cause unknown or without evidence, an unknown name, or a number out of range.
    """
    files = read_folder("evidence")
    profiles = files.pop("profiles")
    merged = merge(files, "evidence of cause")
    ranked = {cause.id for cause in causes().values() if cause.ranked}
    if odd := merged.keys() ^ (ranked & (merged.keys() | ranked)):
        raise KnowledgeError(f"evidence of {sorted(odd)}", "one entry for each ranked cause")
    return {key: _cause(key, raw, profiles) for key, raw in merged.items()}


@cache
def weighing() -> frozenset[str]:
    """Variables that can move the ranking: a family's members, and those some cause has a frequency for."""
    named = {name for known in evidence().values() for name in known.variables}
    return frozenset(named | {name for name, item in variables().items() if item.family})
