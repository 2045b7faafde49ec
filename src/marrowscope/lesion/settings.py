"""Typed access to ``lesion/data/detection.yaml``: no medical number stands in code."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from marrowscope.tables import parse_yaml


@cache
def _table() -> dict[str, Any]:
    text = (resources.files("marrowscope.lesion") / "data" / "detection.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = parse_yaml(text)
    return data


def setting(*path: str) -> float:
    """The value at that path, e.g. ``setting("threshold", "noise_factor")``.

    Raises:
        KeyError: no such setting.
    """
    node: Any = _table()
    for name in path:
        node = node[name]
    return float(node["value"])
