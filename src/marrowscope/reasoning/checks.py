"""CancerCheck, InfectionCheck, UnstableBoneCheck: criteria of their own, never a by-product of the ranking.

A criterion that holds sets the level. Without one: ``incomplete`` while a red flag stands or a core question is open,
``no_sign`` when the core is answered, or when a structural finding explains the signal and nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.checks import CheckRules, Criterion, Level, checks
from marrowscope.knowledge.findings import label_of
from marrowscope.knowledge.labs import ADULT_FROM
from marrowscope.knowledge.load import Claim
from marrowscope.reasoning.contradictions import contradicted
from marrowscope.reasoning.intake import Intake, states
from marrowscope.reasoning.observe import settle

ANY_AGE_SPAN = 90.0
"""Years; an intake that allows a wider range says nothing about age."""

NOT_TRUSTED_ALONE = frozenset({"double_line"})
"""Patterns that explain a danger away only when a person saw them: the software's word alone does not (judgement)."""


@dataclass(frozen=True)
class Hit:
    """A criterion or flag that holds.

    Attributes:
        id: of the criterion, or the flag's code.
        claim: the statement with its basis.
        reaches: the level it reaches alone; ``None`` for a flag.
        because: the findings it rests on, in words.
        explained: what explains it away; empty when nothing does.
    """

    id: str
    claim: Claim
    reaches: Level | None
    because: tuple[str, ...]
    explained: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id,
            **self.claim.to_dict(),
            "reaches": self.reaches.value if self.reaches else None,
            "because": list(self.because),
            "explained": list(self.explained),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        claim = Claim(data["text"], tuple(data.get("src", ())), data.get("judgement", False))
        level = Level(data["reaches"]) if data["reaches"] else None
        return cls(data["id"], claim, level, tuple(data["because"]), tuple(data["explained"]))


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        kind, label, question: identifier, name and the lay question.
        level, answer: the result and its one-sentence answer.
        met: criteria that hold; ``explained``: criteria that would hold but for an explanation.
        flags: red flags that stand and never suffice alone.
        explained_by: structural findings that explain the signal.
        not_assessed: open core questions, in words.
        settle: what would settle it. who, within: who should act, within what time.
        limits: what the check cannot see.
    """

    kind: str
    label: str
    question: str
    level: Level
    answer: str
    met: tuple[Hit, ...]
    explained: tuple[Hit, ...]
    flags: tuple[Hit, ...]
    explained_by: tuple[str, ...]
    not_assessed: tuple[str, ...]
    settle: tuple[str, ...]
    who: str
    within: str
    limits: tuple[str, ...]

    @property
    def name(self) -> str:
        """Same as ``kind``."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        hits = {name: [hit.to_dict() for hit in getattr(self, name)] for name in ("met", "explained", "flags")}
        lists = {name: list(getattr(self, name)) for name in ("explained_by", "not_assessed", "settle", "limits")}
        words = {
            name: str(getattr(self, name)) for name in ("kind", "label", "question", "level", "answer", "who", "within")
        }
        return {**words, **hits, **lists}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        hits = {name: tuple(Hit.from_dict(raw) for raw in data[name]) for name in ("met", "explained", "flags")}
        lists = {name: tuple(data[name]) for name in ("explained_by", "not_assessed", "settle", "limits")}
        return cls(**{**data, **hits, **lists, "level": Level(data["level"])})


def check_all(intake: Intake, measured: Sequence[Finding] = ()) -> tuple[Check, ...]:
    """Run the three checks on an intake and what was measured."""
    chosen, _ = settle((*intake.findings, *measured))
    known = states(chosen.values())
    doubted = contradicted(intake)
    explaining = states(
        f
        for f in chosen.values()
        if f.code not in doubted and (f.origin is not Origin.MEASURED or f.code not in NOT_TRUSTED_ALONE)
    )
    return tuple(_check(rules, intake, known, explaining) for rules in checks().values())


def _present(known: Mapping[str, State], codes: Sequence[str]) -> list[str]:
    return [code for code in codes if known.get(code) is State.PRESENT]


def _hit(
    criterion: Criterion, intake: Intake, known: Mapping[str, State], explaining: Mapping[str, State]
) -> Hit | None:
    """The criterion as a hit, or ``None`` when it does not hold or is not valid here."""
    low, high = intake.age_range
    valid_site = not criterion.sites or not intake.site or intake.site in criterion.sites
    if not valid_site or low >= criterion.ages[1] or high < criterion.ages[0] or _age_open(intake, criterion):
        return None
    lines = [_present(known, line) for line in criterion.every]
    some = _present(known, criterion.of)
    if not all(lines) or len(some) < criterion.at_least or not (lines or some):
        return None
    because = dict.fromkeys(label_of(code) for code in (*(code for line in lines for code in line), *some))
    explained = tuple(label_of(code) for code in _present(explaining, criterion.unless))
    return Hit(criterion.id, criterion.claim, criterion.reaches, tuple(because), explained)


def _age_open(intake: Intake, criterion: Criterion) -> bool:
    """Whether a criterion for children meets an intake whose age is not known at all."""
    low, high = intake.age_range
    return high - low > ANY_AGE_SPAN and criterion.ages[1] <= ADULT_FROM


def _check(rules: CheckRules, intake: Intake, known: Mapping[str, State], explaining: Mapping[str, State]) -> Check:
    hits = [hit for hit in (_hit(criterion, intake, known, explaining) for criterion in rules.criteria) if hit]
    met = tuple(hit for hit in hits if not hit.explained)
    flags = tuple(
        Hit(code, claim, None, (label_of(code),)) for code, claim in rules.flags.items() if _present(known, [code])
    )
    open_core = [item for item in rules.core if not any(code in known for code in item.by)]
    blocked = _present(known, rules.blocked_by)
    reasons = () if blocked else tuple(label_of(code) for code in _present(explaining, rules.explained_by))
    level = _level(met, bool(flags or any(hit.explained for hit in hits)), bool(open_core), bool(reasons))
    advice = rules.advice[level]
    settle_by = advice.settle or tuple(dict.fromkeys(item.settle for item in open_core))
    return Check(
        kind=rules.kind,
        label=rules.label,
        question=rules.question,
        level=level,
        answer=advice.answer,
        met=met,
        explained=tuple(hit for hit in hits if hit.explained),
        flags=flags,
        explained_by=reasons,
        not_assessed=tuple(item.text for item in open_core),
        settle=settle_by,
        who=advice.who,
        within=advice.within,
        limits=tuple(claim.text for claim in rules.limits),
    )


def _level(met: Sequence[Hit], flagged: bool, core_open: bool, explained: bool) -> Level:
    reached = {hit.reaches for hit in met}
    if Level.STRONGLY_SUSPICIOUS in reached:
        return Level.STRONGLY_SUSPICIOUS
    if Level.SUSPICIOUS in reached:
        return Level.SUSPICIOUS
    if flagged:
        return Level.INCOMPLETE
    return Level.NO_SIGN if explained or not core_open else Level.INCOMPLETE
