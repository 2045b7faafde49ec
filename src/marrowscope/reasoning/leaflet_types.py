"""The leaflet as plain text: sections of sentences, each with its basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from marrowscope.knowledge.load import Claim


@dataclass(frozen=True)
class ObjectsSummary:
    """What the software saw, where there were images.

    Attributes:
        outcome: ``lesions``, ``no_lesion_found``, or anything else for "not all could be read".
        lesions: number of lesions counted.
    """

    outcome: str
    lesions: int = 0


@dataclass(frozen=True)
class Block:
    """Sentences, then a list."""

    text: tuple[Claim, ...] = ()
    bullets: tuple[Claim, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"text": [claim.to_dict() for claim in self.text], "bullets": [c.to_dict() for c in self.bullets]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(map(Claim.parse, data["text"])), tuple(map(Claim.parse, data["bullets"])))


@dataclass(frozen=True)
class Section:
    """One heading with its blocks."""

    id: str
    title: str
    blocks: tuple[Block, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"id": self.id, "title": self.title, "blocks": [block.to_dict() for block in self.blocks]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(data["id"], data["title"], tuple(map(Block.from_dict, data["blocks"])))


@dataclass(frozen=True)
class Leaflet:
    """The leaflet as text.

    Attributes:
        title: heading of the page.
        sections: in reading order; the first is the answer in short.
    """

    title: str
    sections: tuple[Section, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every sentence and list item, in order, without headings."""
        return tuple(
            claim.text
            for section in self.sections
            for block in section.blocks
            for claim in (*block.text, *block.bullets)
        )

    @property
    def source_keys(self) -> tuple[str, ...]:
        """Sources behind the sentences, in order of use."""
        used = (c.sources for s in self.sections for b in s.blocks for c in (*b.text, *b.bullets))
        return tuple(dict.fromkeys(key for keys in used for key in keys))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"title": self.title, "sections": [section.to_dict() for section in self.sections]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(data["title"], tuple(map(Section.from_dict, data["sections"])))
