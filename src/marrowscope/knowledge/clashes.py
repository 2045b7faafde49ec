"""What does not go together in an intake, as data: ``data/clashes.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import vocabulary
from marrowscope.knowledge.load import KnowledgeError, read_yaml


@cache
def clashes() -> Mapping[str, tuple[str, ...]]:
    """Code -> codes that cannot be present beside it.

    Raises:
        KnowledgeError: a code that is not in the vocabulary.
    """
    pairs = {code: tuple(others) for code, others in read_yaml("clashes.yaml")["present"].items()}
    named = {*pairs, *(other for others in pairs.values() for other in others)}
    if unknown := named - vocabulary().keys():
        raise KnowledgeError(f"clashes.yaml: unknown code {min(unknown)!r}", "a code of the vocabulary")
    return pairs


@cache
def neighbours() -> Mapping[str, frozenset[str]]:
    """Site -> sites whose regions may be named with it, its own included; a site not listed allows any.

    Raises:
        KnowledgeError: a site that does not exist.
    """
    near = {site: frozenset((site, *others)) for site, others in read_yaml("clashes.yaml")["neighbours"].items()}
    if unknown := frozenset().union(*near.values()) - choices()["site"].keys():
        raise KnowledgeError(f"clashes.yaml: unknown site {min(unknown)!r}", "a site of intake_words.yaml")
    return near


@cache
def normal() -> frozenset[str]:
    """Findings that say that something is as it should be.

    Raises:
        KnowledgeError: a code that is not in the vocabulary.
    """
    codes = frozenset(read_yaml("clashes.yaml")["normal"])
    if unknown := codes - vocabulary().keys():
        raise KnowledgeError(f"clashes.yaml: unknown code {min(unknown)!r}", "a code of the vocabulary")
    return codes


@cache
def only_at() -> Mapping[str, frozenset[str]]:
    """Finding -> the sites that can show it; a finding not listed is met anywhere.

    Raises:
        KnowledgeError: a code or site that does not exist.
    """
    rows = read_yaml("clashes.yaml")["only_at"]
    places = {code: frozenset(row["sites"]) for row in rows for code in row["findings"]}
    unknown = (places.keys() - vocabulary().keys()) | (frozenset().union(*places.values()) - choices()["site"].keys())
    if unknown:
        raise KnowledgeError(f"clashes.yaml: unknown {min(unknown)!r}", "codes of the vocabulary and sites")
    return places
