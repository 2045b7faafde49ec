"""How a prior visit's image is laid beside this one: a rigid transform a bone, kept with the study's viewer files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FEWEST_DICE = 0.7
"""A registration whose bone masks overlap less does not lead the panes: they follow the scanner's position."""


def links_file(viewer: Path, prior_id: str) -> Path:
    """Where the transforms from ``prior_id`` are kept."""
    return viewer / f"prior_{prior_id}.json"


def links_to(viewer: Path, prior_id: str) -> list[dict[str, Any]]:
    """Bone, Dice after registration, ``forward`` (prior to this visit, 4x4 row by row, RAS mm) and ``backward``.

    Largest bone first; empty when none could be registered.
    """
    path = links_file(viewer, prior_id)
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [link for link in found if link["dice"] >= FEWEST_DICE]
