"""The not-to-miss checks as data: criteria, what must be assessed, what explains, what to do at each level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from marrowscope.knowledge.findings import vocabulary
from marrowscope.knowledge.load import Claim, KnowledgeError, keys_of, read_yaml

KINDS = ("cancer", "infection", "unstable")
"""The three checks, in the order they are shown."""

ANY_AGE = (0.0, 130.0)
"""Years; bounds of a criterion without an age condition."""


class Level(StrEnum):
    """What a check comes to."""

    NO_SIGN = "no_sign"
    INCOMPLETE = "incomplete"
    SUSPICIOUS = "suspicious"
    STRONGLY_SUSPICIOUS = "strongly_suspicious"

    @property
    def positive(self) -> bool:
        """Whether someone must act on it: ``suspicious`` or above."""
        return self in (Level.SUSPICIOUS, Level.STRONGLY_SUSPICIOUS)


@dataclass(frozen=True)
class Criterion:
    """One criterion.

    Attributes:
        id, claim: identifier; the statement with its basis.
        reaches: level it reaches alone.
        every: lines that must all hold; a line holds when any of its codes is present.
        at_least, of: so many of these codes must be present too.
        unless: codes that explain it away.
        sites: where it is valid; empty = everywhere.
        ages: years between which it is valid.
    """

    id: str
    claim: Claim
    reaches: Level
    every: tuple[tuple[str, ...], ...]
    at_least: int
    of: tuple[str, ...]
    unless: tuple[str, ...]
    sites: tuple[str, ...]
    ages: tuple[float, float]


@dataclass(frozen=True)
class Core:
    """Something that must be known before ``no sign`` can be said.

    Attributes:
        text: what, after "not assessed:".
        by: codes of which one, present or absent, answers it.
        settle: how to answer it.
        test: kind of step that answers it.
    """

    text: str
    by: tuple[str, ...]
    settle: str
    test: str


@dataclass(frozen=True)
class Advice:
    """What a level means.

    Attributes:
        answer: to the lay question, one sentence.
        who, within: who should act, within what time.
        settle: what would settle it.
    """

    answer: str
    who: str
    within: str
    settle: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckRules:
    """One check.

    Attributes:
        kind, label, question: identifier, name, lay question.
        core, flags, criteria, advice: see their types; a flag is a code with its claim and never suffices.
        explained_by: findings that explain the marrow signal; ``blocked_by`` takes that back.
        limits: what the check cannot see, shown with it.
    """

    kind: str
    label: str
    question: str
    core: tuple[Core, ...]
    explained_by: tuple[str, ...]
    blocked_by: tuple[str, ...]
    flags: Mapping[str, Claim]
    criteria: tuple[Criterion, ...]
    advice: Mapping[Level, Advice]
    limits: tuple[Claim, ...]


def _claim(raw: Mapping[str, Any]) -> Claim:
    return Claim(raw["text"], keys_of(raw.get("src")), bool(raw.get("judgement", False)))


def _lines(raw: list[Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line) if isinstance(line, list) else (str(line),) for line in raw)


CRITERION_KEYS = {"text", "src", "judgement", "reaches", "all", "at_least", "of", "unless", "sites", "age"}


def _criterion(key: str, raw: Mapping[str, Any]) -> Criterion:
    if odd := raw.keys() - CRITERION_KEYS:
        raise KnowledgeError(f"criterion {key!r}: {sorted(odd)}", f"only {sorted(CRITERION_KEYS)}")
    return Criterion(
        id=key,
        claim=_claim(raw),
        reaches=Level(raw["reaches"]),
        every=_lines(raw["all"]),
        at_least=int(raw.get("at_least", 0)),
        of=tuple(raw.get("of", ())),
        unless=tuple(raw.get("unless", ())),
        sites=tuple(raw.get("sites", ())),
        ages=(float(raw["age"][0]), float(raw["age"][1])) if "age" in raw else ANY_AGE,
    )


def _codes(rules: CheckRules) -> set[str]:
    named = {code for item in rules.core for code in item.by} | set(rules.flags)
    for criterion in rules.criteria:
        named |= {code for line in criterion.every for code in line} | {*criterion.of, *criterion.unless}
    return named | {*rules.explained_by, *rules.blocked_by}


def _rules(kind: str) -> CheckRules:
    raw = read_yaml(f"checks/{kind}.yaml")
    rules = CheckRules(
        kind=kind,
        label=raw["label"],
        question=raw["question"],
        core=tuple(Core(item["text"], tuple(item["by"]), item["settle"], item["test"]) for item in raw["core"]),
        explained_by=tuple(raw["explained_by"]),
        blocked_by=tuple(raw["blocked_by"]),
        flags={item["when"]: _claim(item) for item in raw["flags"]},
        criteria=tuple(_criterion(key, item) for key, item in raw["criteria"].items()),
        advice={
            Level(key): Advice(**{**item, "settle": tuple(item.get("settle", ()))})
            for key, item in raw["levels"].items()
        },
        limits=tuple(_claim(item) for item in raw.get("limits", ())),
    )
    if unknown := _codes(rules) - vocabulary().keys():
        raise KnowledgeError(f"check {kind}: unknown finding {min(unknown)!r}", "a code of the vocabulary")
    if set(rules.advice) != set(Level):
        raise KnowledgeError(f"check {kind}: levels {sorted(rules.advice)}", "advice for each of the four levels")
    return rules


@cache
def checks() -> dict[str, CheckRules]:
    """The three checks by kind.

    Raises:
        KnowledgeError: a finding that is not in the vocabulary, a level without advice, or a claim without basis.
    """
    return {kind: _rules(kind) for kind in KINDS}
