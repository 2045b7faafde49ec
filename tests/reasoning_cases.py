"""Where the cases and vignettes of the reasoning tests lie, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CASES = HERE / "cases"


def vignettes(name: str) -> list[dict[str, Any]]:
    """Entries of one vignette file."""
    entries = yaml.safe_load((HERE / "vignettes" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(entries, list)
    return entries
