"""Reading the knowledge files: YAML in the package, parsed once, refused with the file and key that is wrong.

Every medical statement is a :class:`Claim`: a text with sources, or one marked as judgement, never neither.
Sources are loaded only when a text is shown; reasoning itself needs their keys alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from marrowscope.errors import MarrowscopeError

DATA = "data"
"""Folder of the knowledge files, beside this module."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KnowledgeError(MarrowscopeError):
    """A knowledge file that breaks its own rules: a fault of the installation, never of the user's input."""


class _UniqueKeys(_LOADER):  # type: ignore[misc]
    """YAML's C loader, refusing a key given twice (the plain loader silently keeps the last)."""


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    pairs = loader.construct_pairs(node, deep=True)
    data = dict(pairs)
    for key, value in pairs:
        if value is None and " " in str(key):  # the second half of a text that was cut at its comma
            raise KnowledgeError(f"{key!r} near line {node.start_mark.line + 1}", "a text with a comma in quotes")
    if len(data) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise KnowledgeError(f"key {twice!r} twice near line {node.start_mark.line + 1}", "unique keys")
    return data


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(name: str) -> Any:
    """Parse one knowledge file, e.g. ``groups.yaml`` or ``care/treatments.yaml``.

    Raises:
        KnowledgeError: the file is absent or not YAML, or holds a key twice.
    """
    path = files(__package__).joinpath(DATA, *name.split("/"))
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader subclass
    except (OSError, yaml.YAMLError) as error:
        raise KnowledgeError(f"knowledge file {name}: {error}", "readable YAML", "reinstall marrowscope") from error


def read_folder(folder: str) -> dict[str, Any]:
    """Parse every ``.yaml`` file of a knowledge folder; file name without suffix to content, in name order."""
    entries = files(__package__).joinpath(DATA, *folder.split("/")).iterdir()
    names = sorted(entry.name for entry in entries if entry.name.endswith(".yaml"))
    return {name.removesuffix(".yaml"): read_yaml(f"{folder}/{name}") for name in names}


def merge(parts: Mapping[str, Mapping[str, Any]], what: str) -> dict[str, Any]:
    """One mapping out of several files; a key in two files is refused."""
    merged: dict[str, Any] = {}
    for name, part in parts.items():
        if twice := merged.keys() & part.keys():
            raise KnowledgeError(f"{what} {min(twice)!r} in two files, one is {name}.yaml", "unique ids")
        merged.update(part)
    return merged


@dataclass(frozen=True)
class Source:
    """Where a statement comes from.

    Attributes:
        key: short name used by claims.
        title: as printed, authors or journal in brackets.
        url: address, or ``doi:`` / ``pmid:`` identifier.
        kind: ``meta_analysis``, ``systematic_review``, ``trial``, ``study``, ``review``, ``guideline``,
            ``reference``, ``label``, ``secondary`` (a summary, news or low-quality page), ``case``, ``terminology``.
        year: of publication, where known.
    """

    key: str
    title: str
    url: str
    kind: str
    year: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data; an unknown year is left out."""
        data: dict[str, Any] = {"key": self.key, "title": self.title, "url": self.url, "kind": self.kind}
        return data if self.year is None else {**data, "year": self.year}


SOURCE_KINDS = frozenset(
    [
        "meta_analysis",
        "systematic_review",
        "trial",
        "study",
        "review",
        "guideline",
        "reference",
        "label",
        "secondary",
        "case",
        "terminology",
    ]
)


@cache
def sources() -> dict[str, Source]:
    """Every source by key, from ``data/sources/*.yaml``.

    Raises:
        KnowledgeError: a key in two files, an unknown kind, or a missing title or address.
    """
    found = {}
    for key, raw in merge(read_folder("sources"), "source").items():
        source = Source(key, raw.get("title", ""), raw.get("url", ""), raw.get("kind", ""), raw.get("year"))
        if not source.title or not source.url or source.kind not in SOURCE_KINDS:
            raise KnowledgeError(f"source {key!r}: {raw}", f"title, url and a kind of {sorted(SOURCE_KINDS)}")
        found[key] = source
    return found


@dataclass(frozen=True)
class Claim:
    """A statement with its basis: sources, or expert judgement said plainly.

    Attributes:
        text: the statement, in our own words.
        sources: keys into :func:`sources`.
        judgement: no source was opened for it; shown as judgement.
    """

    text: str
    sources: tuple[str, ...] = ()
    judgement: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise KnowledgeError("a claim without text", "a statement")
        if not self.sources and not self.judgement:
            raise KnowledgeError(f"claim without basis: {self.text!r}", "`src: [...]` or `judgement: true`")

    @classmethod
    def parse(cls, raw: Any, where: str = "") -> Claim:
        """Read ``{text: ..., src: [key, ...]}`` or ``{text: ..., judgement: true}``.

        Raises:
            KnowledgeError: another shape, or neither source nor judgement.
        """
        if not isinstance(raw, Mapping) or raw.keys() - {"text", "src", "judgement"}:
            raise KnowledgeError(f"{where}: {raw!r}", "a mapping with text and src or judgement")
        return cls(str(raw.get("text", "")), keys_of(raw.get("src")), bool(raw.get("judgement", False)))

    @property
    def basis(self) -> str:
        """Source keys, or the word ``judgement``."""
        return ", ".join(self.sources) if self.sources else "judgement"

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the basis spelled out."""
        data: dict[str, Any] = {"text": self.text}
        if self.sources:
            data["src"] = list(self.sources)
        if self.judgement:
            data["judgement"] = True
        return data


def keys_of(raw: Any) -> tuple[str, ...]:
    """Source keys from a single key, a list of keys or nothing."""
    if raw is None:
        return ()
    return (raw,) if isinstance(raw, str) else tuple(str(key) for key in raw)


def check_sources(keys: Iterable[str], where: str) -> None:
    """Refuse a source key that is not in the source files.

    Raises:
        KnowledgeError: an unknown key, with the place that names it.
    """
    if unknown := sorted(set(keys) - sources().keys()):
        raise KnowledgeError(f"{where}: unknown source {', '.join(unknown)}", "keys of data/sources/*.yaml")
