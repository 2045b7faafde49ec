"""``explain``: one topic (cause, symptom, test, treatment, question, joint, ...) in both wordings, with its sources.

Free words find the nearest topic. Everything said is knowledge data; this module finds and orders it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marrowscope.errors import UsageError
from marrowscope.knowledge import care, lay
from marrowscope.knowledge.article import corrections, rows
from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.load import Claim
from marrowscope.knowledge.measures import measures
from marrowscope.knowledge.scores import scores
from marrowscope.knowledge.search import VERY_CLOSE, rank
from marrowscope.reasoning import explain_entries as entries
from marrowscope.reasoning.explain_cause import of_cause
from marrowscope.reasoning.explain_measured import of_measure, of_score
from marrowscope.reasoning.explain_parts import Part

KINDS = ("question", "cause", "symptom", "test", "treatment", "joint", "prevention", "score", "measure")
"""Kinds of topics, in the order they are listed."""

OTHERS = 4
"""How many further topics are offered beside the nearest one."""


@dataclass(frozen=True)
class Topic:
    """One thing that can be explained: ``kind:id``, its title and the words it is found by."""

    key: str
    title: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A topic explained.

    Attributes:
        key, title: which topic.
        parts: headed statements for a clinician.
        patient: the same in a patient's words.
        corrections: ids of the article's statements that are wrong or incomplete here.
        others: keys of further topics that match the words.
    """

    key: str
    title: str
    parts: tuple[Part, ...]
    patient: tuple[Claim, ...]
    corrections: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def source_keys(self) -> tuple[str, ...]:
        """Sources behind every statement, in order of use."""
        told = [corrections()[key] for key in self.corrections]
        claims = [claim for part in self.parts for claim in part.claims]
        claims += [*self.patient, *(item.holds for item in told), *(item.patient for item in told)]
        return tuple(dict.fromkeys(key for claim in claims for key in claim.sources))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        told = [corrections()[key] for key in self.corrections]
        return {
            "topic": self.key,
            "title": self.title,
            "clinician": [part.to_dict() for part in self.parts],
            "patient": [claim.to_dict() for claim in self.patient],
            "corrections": [
                {"id": c.id, "says": c.says, "verdict": c.verdict, "holds": c.holds.to_dict()} for c in told
            ],
            "others": list(self.others),
        }


@cache
def topics() -> Mapping[str, Topic]:
    """Every topic by key."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    found |= {f"question:{q.id}": (q.question, q.also) for q in lay.questions().values()}
    found |= {f"cause:{c.id}": (c.label, (c.plain, *c.also)) for c in causes().values()}
    found |= {f"symptom:{s.id}": (s.label, (s.plain, *s.also)) for s in lay.symptoms().values()}
    found |= {f"test:{t.id}": (t.label, (t.plain, *t.also)) for t in lay.tests().values()}
    found |= {f"treatment:{t.id}": (t.label, (t.plain, *t.also)) for t in care.treatments().values()}
    found |= {f"joint:{s.id}": (s.label, (s.plain, *s.also)) for s in lay.site_notes().values()}
    found |= {f"prevention:{p.id}": (p.label, ()) for p in care.preventions().values()}
    found |= {f"score:{s.id}": (s.name, (s.short,)) for s in scores().values()}
    found |= {f"measure:{m.id}": (m.label, (m.plain,)) for m in measures().values()}
    return {
        key: Topic(key, title, (title, key.partition(":")[2].replace("_", " "), *also))
        for key, (title, also) in found.items()
    }


_BUILDERS: Mapping[str, Callable[[str], tuple[tuple[Part, ...], tuple[Claim, ...]]]] = {
    "question": entries.of_question,
    "cause": of_cause,
    "symptom": entries.of_symptom,
    "test": entries.of_test,
    "treatment": entries.of_treatment,
    "joint": entries.of_joint,
    "prevention": entries.of_prevention,
    "score": of_score,
    "measure": of_measure,
}


def find(words: str) -> tuple[str, ...]:
    """Keys of the topics that match free words, best first.

    Raises:
        UsageError: nothing is near, or a key that does not exist.
    """
    if words in topics():
        return (words,)
    named = words.partition(":")[0] in KINDS and ":" in words and " " not in words  # a key, not free words
    near = {key: topic.words for key, topic in topics().items()}
    if not named and (found := rank(words, near, OTHERS + 1, VERY_CLOSE)):
        return tuple(found)
    raise UsageError(
        f"nothing is known about {words!r}",
        "a cause, symptom, test, treatment, question or joint",
        "marrowscope explain --list",
    )


def explain(words: str) -> Explanation:
    """Explain the topic nearest to some words.

    Args:
        words: a key such as ``cause:gout``, or free words such as ``can it be cancer``.

    Raises:
        UsageError: nothing is near.
    """
    key, *others = find(words)
    kind, _, name = key.partition(":")
    clinician, patient = _BUILDERS[kind](name)
    told = tuple(dict.fromkeys(c for row in rows() if key in row.topics for c in row.corrections))
    return Explanation(key, topics()[key].title, clinician, patient, told, tuple(others))
