"""Reasoning and change, as other rooms hand them over in plain data, laid into blocks of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def reasoning_parts(reasoning: Mapping[str, Any] | None, change: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of :class:`ReportView` that come from reasoning and follow-up."""
    return {}
