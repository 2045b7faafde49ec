"""The pictures of a version's results folder, for pages: served as files, never rendered by a page."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from marrowscope.report.folder import CAPTIONS
from marrowscope.report.html import Picture
from marrowscope.web.desk import Desk

AUTOMATIC = 1
"""The version whose pictures every study has from the start."""


def pictures_of(desk: Desk, study_id: str, number: int) -> dict[str, Picture]:
    """Name to picture of the version; of the automatic one, said so, while the version's own are not drawn yet."""
    for candidate, remark in ((number, ""), (AUTOMATIC, " (automatic result)")):
        folder = desk.folder.study(study_id).revision(candidate)
        if (folder / CAPTIONS).is_file():
            base = f"/studies/{study_id}/versions/{candidate}/pictures"
            return {name: _picture(folder, base, name, text + remark) for name, text in _captions(folder).items()}
    return {}


def picture_file(desk: Desk, study_id: str, number: int, name: str) -> Path | None:
    """The file of one picture, or None."""
    path = desk.folder.study(study_id).revision(number) / "figures" / f"{name}.png"
    return path if path.is_file() else None


def _captions(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / CAPTIONS).read_text(encoding="utf-8"))
    return {name: text for name, text in found.items() if (folder / "figures" / f"{name}.png").is_file()}


def _picture(folder: Path, base: str, name: str, caption: str) -> Picture:
    with Image.open(folder / "figures" / f"{name}.png") as image:
        width, height = image.size
    return Picture(f"{base}/{name}.png", width, height, caption)
