"""The patient leaflet's own sentences, as data (``data/care/leaflet.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.load import Claim, KnowledgeError, read_yaml
from marrowscope.knowledge.parts import claims, complete

GROUPS = ("found", "means", "helps", "next", "watch", "short")
"""Parts of the file that are named sentences."""


@dataclass(frozen=True)
class Place:
    """Words for a site: on one side (``{side}`` is left, right or nothing), and on both."""

    one: str
    both: str


@dataclass(frozen=True)
class LeafletWords:
    """Sentences and words of the leaflet.

    Attributes:
        places: site id -> :class:`Place`.
        titles: section id -> heading.
        urgency: how soon, in plain words.
        sureness: (lowest share of the first cause, sentence), highest first.
        sentences: ``found.name`` -> claim; fields in braces are filled in.
        missing, missing_words: sentence, and plain words for what the cancer check could not assess.
        ask: questions for the doctor.
        draft, released, foot: status and foot line.
        limits: how many of each are shown.
    """

    places: Mapping[str, Place]
    titles: Mapping[str, str]
    urgency: Mapping[Urgency, str]
    sureness: tuple[tuple[float, str], ...]
    sentences: Mapping[str, Claim]
    missing: Claim
    missing_words: Mapping[str, str]
    ask: tuple[Claim, ...]
    draft: Claim
    released: Claim
    foot: Claim
    limits: Mapping[str, int]


@cache
def leaflet_words() -> LeafletWords:
    """The leaflet's sentences.

    Raises:
        KnowledgeError: a missing part, or no sentence for a share of 0.
    """
    raw = read_yaml("care/leaflet.yaml")
    with complete("leaflet", "leaflet.yaml"):
        words = LeafletWords(
            places={key: Place(item["one"], item["both"]) for key, item in raw["places"].items()},
            titles=raw["titles"],
            urgency={Urgency(key): text for key, text in raw["urgency"].items()},
            sureness=tuple((float(item["from"]), item["text"]) for item in raw["sureness"]),
            sentences={
                f"{group}.{key}": Claim.parse(item, key) for group in GROUPS for key, item in raw[group].items()
            },
            missing=Claim.parse(raw["missing"]["lead"], "missing"),
            missing_words=raw["missing"]["words"],
            ask=claims(raw["ask"], "ask"),
            draft=Claim.parse(raw["draft"], "draft"),
            released=Claim.parse(raw["released"], "released"),
            foot=Claim.parse(raw["foot"], "foot"),
            limits={key: int(value) for key, value in raw["limits"].items()},
        )
    if words.sureness[-1][0] != 0 or set(words.urgency) != set(Urgency):
        raise KnowledgeError("leaflet.yaml: sureness or urgency incomplete", "a sentence for every share and urgency")
    return words
