"""The phrases of written reports: findings said or denied, places, diagnoses, images; compiled once."""

from __future__ import annotations

import re
from functools import cache

from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.load import KnowledgeError
from marrowscope.knowledge.report_words import Phrases, Row, read_words, report_data, tokens_of
from marrowscope.knowledge.search import plain

_ASIDE = re.compile(r"\s*\([^)]*\)")
_SPLIT = re.compile(r"[^\w\s'-]")


def _literal(text: str) -> str:
    """A label or synonym as a phrase: its words alone, remarks in brackets left out."""
    return " ".join(token.text for token in tokens_of(_ASIDE.sub("", text)) if token.text[0].isalnum())


def _pairs(wanted: frozenset[Kind]) -> list[tuple[str, str]]:
    ignored = {plain(word) for word in report_data("phrases")["ignore"]}
    return [
        (item.code, phrase)
        for item in vocabulary().values()
        if item.kind in wanted
        for text in (_name(item.code), item.label, *item.also)
        if plain(text) not in ignored and (phrase := _literal(text))
    ]


def _known(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs, whose names must be codes.

    Raises:
        KnowledgeError: a name that is no code of the vocabulary.
    """
    if unknown := sorted({name for name, _ in pairs} - vocabulary().keys()):
        raise KnowledgeError(f"report phrases for {', '.join(unknown)}", "codes of the findings vocabulary")
    return pairs


def _name(code: str) -> str:
    """The code itself as words; nothing for those that begin with the kind of image."""
    return "" if code.startswith(tuple(report_data("phrases")["only_on"])) else code.replace("_", " ")


_SAID = frozenset({Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG, Kind.IMAGING})


@cache
def said_phrases() -> Phrases:
    """Phrases that say a finding is there, by code; under the name ``""`` what only looks like one."""
    pairs = _known(_pairs(_SAID) + read_words(report_data("phrases")["say"]))
    return Phrases([*pairs, *(("", str(phrase)) for phrase in report_data("phrases")["decoys"])])


@cache
def denied_phrases() -> Phrases:
    """Phrases that deny a finding as a whole (``cruciate ligaments are intact``), by code."""
    return Phrases(_known(read_words(report_data("phrases")["deny"])), report_data("context")["stops"])


@cache
def place_phrases() -> Phrases:
    """Names of regions, by code; under the name ``""`` what only looks like one."""
    pairs = _known(_pairs(frozenset({Kind.REGION})) + read_words(report_data("phrases")["place"]))
    return Phrases([*pairs, *(("", str(phrase)) for phrase in report_data("phrases")["no_place"])])


@cache
def diagnosis_phrases() -> Phrases:
    """Diagnoses a reporter may name, by cause where it is one of ours, else by their own words."""
    data = report_data("text")
    ignored = {_literal(word) for word in data["not_diagnoses"]}
    named = [(cause.id, _literal(text)) for cause in causes().values() for text in (cause.label, *cause.also)]
    own = [(str(word), _literal(str(word))) for word in data["diagnoses"]]
    return Phrases([(name, phrase) for name, phrase in named + own if phrase and phrase not in ignored])


@cache
def _choices(name: str) -> Phrases:
    return Phrases(read_words(report_data("text")[name]))


def named(choice: str, text: str) -> list[str]:
    """The ids of ``images``, ``parts``, ``sides``, ``onsets`` or ``sexes`` a text names, in its order, once each."""
    hits = sorted(_choices(choice).find(Row.of(tokens_of(text))), key=lambda hit: (hit.first, -len(hit.words)))
    return list(dict.fromkeys(hit.name for hit in hits))


@cache
def foreign_phrases() -> Phrases:
    """Body parts and examinations that are none of ours."""
    return Phrases([(str(word), str(word)) for word in report_data("text")["foreign"]])


@cache
def clinical_words() -> frozenset[str]:
    """Words of the vocabulary that carry meaning: a sentence with one of them and no code was not understood."""
    from marrowscope.knowledge.search import SMALL_WORDS

    texts = [text for item in vocabulary().values() for text in (item.label, *item.also)]
    words = {token.text for text in texts for token in tokens_of(text)}
    return frozenset(word for word in words if len(word) > _SHORTEST and word.isalpha() and word not in SMALL_WORDS)


_SHORTEST = 4
"""Letters; shorter words say too little to call a sentence clinical."""
