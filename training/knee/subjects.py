"""Which subjects are trained on and which are held out: needs nothing but their names."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

HELD_OUT = 5
"""One subject in this many is held out (by CRC-32 of the name), visits together."""


def held_out(subject: str) -> bool:
    return zlib.crc32(subject.encode()) % HELD_OUT == 0


def split(folder: Path) -> tuple[set[str], set[str]]:
    """(training, held-out) subjects of a folder of baked maps."""
    subjects = {json.loads(p.read_text())["subject"] for p in folder.glob("*.json")}
    return {s for s in subjects if not held_out(s)}, {s for s in subjects if held_out(s)}
