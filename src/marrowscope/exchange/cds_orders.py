"""Imaging orders of a CDS Hooks request as tests of the knowledge: which test, and whether of the joint in question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from marrowscope.errors import UsageError
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.lay import tests
from marrowscope.knowledge.search import plain

TEST_OF: Final = {"dual_energy_ct": "dect"}
"""Modality of an intake to test of the knowledge, where the names differ."""

IMAGING: Final = ("mri", "whole_body_mri", "ct", "dect", "radiograph", "bone_scan", "pet", "ultrasound", "dxa")
"""Tests that an order may be for."""

DICOM_MODALITY: Final = {
    "MR": "mri", "CT": "ct", "CR": "radiograph", "DX": "radiograph", "RG": "radiograph", "US": "ultrasound",
    "NM": "bone_scan", "PT": "pet", "BMD": "dxa",
}  # fmt: skip
"""Acquisition modality codes (DICOM PS3.16 CID 29) to tests."""

DICOM_SYSTEM: Final = "http://dicom.nema.org/resources/ontology/DCM"

SAYS_NO_PLACE: Final = frozenset({
    "left", "right", "both", "bilateral", "with", "without", "w", "wo", "and", "or", "of", "the", "for",
    "contrast", "iv", "view", "views", "scan", "imaging", "exam", "study", "joint", "plain", "film", "standard",
    "routine", "urgent", "1", "2", "3", "4", "ap", "lateral",
})  # fmt: skip
"""Words of an order that name no part of the body."""


@dataclass(frozen=True)
class Order:
    """One selected order.

    Attributes:
        reference: ``ServiceRequest/1``. test: id of the knowledge's test, empty when it is no imaging we know.
        words: its text, plain, without the words of the test.
    """

    reference: str
    test: str
    words: frozenset[str]

    def concerns(self, site: str) -> bool:
        """Whether it names the site, or no part of the body at all."""
        return not self.words or bool(self.words & site_words(site))


def selected_orders(context: Mapping[str, Any]) -> tuple[Order, ...]:
    """The selected orders of an ``order-select`` context.

    Raises:
        UsageError: draftOrders is no Bundle, or a selection is not in it.
    """
    bundle = context["draftOrders"]
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if not isinstance(entries, list) or not isinstance(context["selections"], list):
        raise UsageError("draftOrders without entries, or selections that are no list", "a Bundle and references in it")
    drafts = [e["resource"] for e in entries if isinstance(e, dict) and isinstance(e.get("resource"), dict)]
    by_reference = {f"{r.get('resourceType')}/{r.get('id')}": r for r in drafts}
    wanted = [str(s) for s in context["selections"]]
    if missing := [s for s in wanted if s not in by_reference]:
        raise UsageError(f"a selection {missing[0]!r} that is not in draftOrders", "references of drafts")
    return tuple(_order(s, by_reference[s]) for s in wanted)


def _order(reference: str, resource: Mapping[str, Any]) -> Order:
    if resource.get("resourceType") != "ServiceRequest":
        return Order(reference, "", frozenset())
    texts = list(_texts([resource.get("code"), resource.get("bodySite"), resource.get("orderDetail")]))
    said = f" {plain(' '.join(texts))} "
    test, phrase = max(
        ((t, p) for p, t in phrases().items() if f" {p} " in said), key=lambda pair: len(pair[1]), default=("", "")
    )
    test = test or next((DICOM_MODALITY[c] for c in _modalities(resource.get("code")) if c in DICOM_MODALITY), "")
    words = frozenset(said.replace(f" {phrase} ", " ").split()) - SAYS_NO_PLACE - _modality_words()
    return Order(reference, test, words)


def _texts(concepts: list[Any]) -> Iterator[str]:
    """Every ``text`` and ``display`` of CodeableConcepts, alone or in lists."""
    flat = [c for given in concepts for c in (given if isinstance(given, list) else [given]) if isinstance(c, dict)]
    for concept in flat:
        codings = concept.get("coding")
        said = [concept.get("text"), *(c.get("display") for c in _dicts(codings))]
        yield from (text for text in said if isinstance(text, str))


def _dicts(raw: Any) -> list[dict[str, Any]]:
    return [x for x in raw if isinstance(x, dict)] if isinstance(raw, list) else []


def _modalities(code: Any) -> Iterator[str]:
    for coding in _dicts(code.get("coding") if isinstance(code, dict) else None):
        if coding.get("system") == DICOM_SYSTEM:
            yield str(coding.get("code"))


@cache
def phrases() -> dict[str, str]:
    """Words of an order to the test they name."""
    found: dict[str, str] = {}
    for modality in choices()["modality"].values():
        for words in (modality.label, *modality.also):
            found[plain(words)] = TEST_OF.get(modality.id, modality.id)
    for test in IMAGING:
        found |= {plain(part): test for part in tests()[test].label.replace(",", "/").split("/")}
    return found


@cache
def _modality_words() -> frozenset[str]:
    return frozenset(word for phrase in phrases() for word in phrase.split())


@cache
def site_words(site: str) -> frozenset[str]:
    """Words that name a site or a part of it."""
    word = choices()["site"].get(site)
    texts = [site, *((word.label, *word.also) if word else ())]
    texts += [
        x for i in vocabulary().values() if i.kind is Kind.REGION and i.section == site for x in (i.label, *i.also)
    ]
    return frozenset(w for text in texts for w in plain(text.replace("_", " ")).split()) - SAYS_NO_PLACE
