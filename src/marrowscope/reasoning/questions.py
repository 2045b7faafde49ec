"""What to ask or test next: the unknown finding whose answer is expected to settle most, by information gain.

Gain = entropy of the cause groups now, minus its expectation over the answers (bits), each answer as likely as the
present ranking makes it; weighted by how easily the step is done (``knowledge/data/asking.yaml``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from marrowscope.findings import State
from marrowscope.knowledge.asking import bounds, step_of
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.evidence import variables
from marrowscope.knowledge.findings import Kind, implied, vocabulary
from marrowscope.reasoning.differential import group_label
from marrowscope.reasoning.intake import Intake, states
from marrowscope.reasoning.observe import Observation
from marrowscope.reasoning.table import UNLISTED, Floats, predict, table

SHOWN = 6
"""Questions and tests listed; more would not be asked."""

KEPT = 60
"""Findings worked out in full, of which the questions and tests are the best."""

LEAST_BITS = 0.005
"""Bits below which an answer would change nothing a reader sees."""


@dataclass(frozen=True)
class Answer:
    """One possible answer and what it would do.

    Attributes:
        level: the answer. chance: how likely it is now.
        group, probability: the leading group then, and its probability.
    """

    level: str
    chance: float
    group: str
    probability: float


@dataclass(frozen=True)
class NextItem:
    """A question or test worth doing.

    Attributes:
        variable: finding code or laboratory item.
        label: in words.
        step, step_label: how it is answered.
        gain: expected bits. worth: gain weighted by ease.
        answers: what each answer would do.
    """

    variable: str
    label: str
    step: str
    step_label: str
    gain: float
    worth: float
    answers: tuple[Answer, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        data = asdict(self)
        data["answers"] = [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in a.items()} for a in data["answers"]
        ]
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in data.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "answers": tuple(Answer(**raw) for raw in data["answers"])})


def next_items(
    intake: Intake,
    seen: Sequence[Observation],
    probabilities: Mapping[str, float],
    count: int = KEPT,
    least: float = LEAST_BITS,
) -> tuple[NextItem, ...]:
    """Unknown findings by worth, best first.

    Args:
        intake: what is known; decides what makes sense to ask.
        seen: observations already made.
        probabilities: cause -> posterior, as ranked.
        count: how many at most.
        least: bits below which a finding is left out.
    """
    now = np.asarray([probabilities[cause] for cause in table().causes])
    levels = {item.variable: item.level for item in seen}
    members = _membership()
    items = []
    for name in _askable(intake, levels):
        expected = predict(name, levels)
        gain = _gain(now, expected, members)
        if gain >= least:
            items.append((gain * step_of()[name].ease, gain, name, expected))
    items.sort(key=lambda entry: (-entry[0], entry[2]))
    return tuple(_item(name, gain, worth, now, expected, members) for worth, gain, name, expected in items[:count])


def questions(items: Sequence[NextItem]) -> tuple[NextItem, ...]:
    """Those that only need asking."""
    return tuple(item for item in items if item.step == "question")[:SHOWN]


def tests(items: Sequence[NextItem]) -> tuple[NextItem, ...]:
    """The best item of each other step."""
    best: dict[str, NextItem] = {}
    for item in items:
        if item.step != "question":
            best.setdefault(item.step, item)
    return tuple(best.values())[:SHOWN]


def _askable(intake: Intake, levels: Mapping[str, int]) -> list[str]:
    known = states(intake.findings)
    return [name for name in step_of() if name not in levels and name not in known and _sensible(name, intake, known)]


def _sensible(name: str, intake: Intake, known: Mapping[str, State]) -> bool:
    """Whether asking makes sense here: sex, age and site fit, and no general finding already said no."""
    limit = bounds().get(name)
    if limit is not None:
        low, high = intake.age_range
        wrong_age = limit.ages is not None and (high < limit.ages[0] or low > limit.ages[1])
        wrong_sex = bool(limit.sex) and intake.sex.value not in (limit.sex, "unknown")
        wrong_site = bool(limit.sites) and bool(intake.site) and intake.site not in (*limit.sites, "diffuse", "other")
        if wrong_age or wrong_sex or wrong_site:
            return False
    item = vocabulary().get(name)
    if item is None or item.kind is Kind.LAB:
        return True
    return not any(known.get(parent) is State.ABSENT for parent in implied(name))


def _membership() -> Floats:
    """(causes, groups): 1 where a cause belongs to a group; the unlisted cause is a group of its own."""
    names = [*groups(), UNLISTED]
    matrix = np.zeros((len(table().causes), len(names)))
    for i, cause in enumerate(table().causes):
        matrix[i, names.index(causes()[cause].group if cause != UNLISTED else UNLISTED)] = 1
    return matrix


def _entropy(shares: Floats) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())


def _gain(now: Floats, expected: Floats, members: Floats) -> float:
    """Expected fall in the entropy of the groups (bits) when the variable becomes known."""
    joint = now[:, None] * expected
    chance = joint.sum(axis=0)
    after = sum(p * _entropy((joint[:, i] / p) @ members) for i, p in enumerate(chance) if p > 0)
    return float(_entropy(now @ members) - after)


def _item(name: str, gain: float, worth: float, now: Floats, expected: Floats, members: Floats) -> NextItem:
    joint = now[:, None] * expected
    chance, names = joint.sum(axis=0), [*groups(), UNLISTED]
    answers = []
    for i, level in enumerate(variables()[name].levels):
        shares = (joint[:, i] / chance[i]) @ members
        best = int(shares.argmax())
        answers.append(Answer(level, float(chance[i]), group_label(names[best]), float(shares[best])))
    step = step_of()[name]
    return NextItem(name, variables()[name].label, step.id, step.label, gain, worth, tuple(answers))
