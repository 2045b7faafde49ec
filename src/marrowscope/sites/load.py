"""Typed loader of ``sites/data/*.yaml``; a site with imaging is one data file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from marrowscope.errors import UsageError
from marrowscope.tables import parse_yaml

SITES = (
    "knee",
    "si_joint",
    "hip_pelvis",
    "spine",
    "foot_ankle",
    "hand_wrist",
    "shoulder",
    "leg",
    "chest_wall",
    "diffuse",
    "other",
)
"""Every site of the design; those with a data file can be imaged, all can be reasoned about."""


@dataclass(frozen=True)
class CodedTerm:
    """A code of a published terminology: scheme designator (``SCT``, ``RADLEX``...), value, meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """A bone or a region of a site.

    Attributes:
        code: stable name used in label maps and tables.
        label: words for a reader.
        term: published code, where there is one.
        paired: whether a left and a right one lie in one exam.
        bone: for a region, the code of its bone.
    """

    code: str
    label: str
    term: CodedTerm | None = None
    paired: bool = False
    bone: str = ""


@dataclass(frozen=True)
class Site:
    """An imaging site.

    Attributes:
        name: one of :data:`SITES`.
        label: words for a reader.
        term: body-part code for DICOM and FHIR.
        bones, regions: parts, in display order.
        scores: ids of the scores that apply.
        preferred_planes: planes of the fluid series, best first.
    """

    name: str
    label: str
    term: CodedTerm | None
    bones: tuple[Part, ...]
    regions: tuple[Part, ...]
    scores: tuple[str, ...]
    preferred_planes: tuple[str, ...]

    def part(self, code: str) -> Part | None:
        """The bone or region of that code; ``left_`` / ``right_`` prefixes fall back on the paired part."""
        bare = code.removeprefix("left_").removeprefix("right_")
        return next((p for p in (*self.bones, *self.regions) if p.code in (code, bare)), None)

    def label_of(self, code: str) -> str:
        """Words for a bone or region code; the code itself, spaced, when the site does not list it."""
        part = self.part(code)
        if part is None:
            return code.replace("_", " ")
        side = next((s for s in ("left", "right") if code.startswith(f"{s}_") and part.code != code), "")
        return f"{side} {part.label}".strip()


def site_names() -> tuple[str, ...]:
    """Sites that have a data file and so can be imaged."""
    folder = resources.files("marrowscope.sites") / "data"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


@cache
def load_site(name: str) -> Site:
    """The site of that name.

    Raises:
        UsageError: no data file of that name.
    """
    if name not in site_names():
        raise UsageError(f"site {name!r}", f"one of {', '.join(site_names())}", "give --site")
    text = (resources.files("marrowscope.sites") / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    return _site(name, parse_yaml(text))


def _site(name: str, data: dict[str, Any]) -> Site:
    return Site(
        name=name,
        label=data["label"],
        term=_term(data.get("term")),
        bones=tuple(_part(p) for p in data["bones"]),
        regions=tuple(_part(p) for p in data.get("regions", ())),
        scores=tuple(data.get("scores", ())),
        preferred_planes=tuple(data["preferred_planes"]),
    )


def _part(data: dict[str, Any]) -> Part:
    return Part(data["code"], data["label"], _term(data.get("term")), data.get("paired", False), data.get("bone", ""))


def _term(data: dict[str, str] | None) -> CodedTerm | None:
    return None if data is None else CodedTerm(data["scheme"], data["value"], data["meaning"])
