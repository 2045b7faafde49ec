"""Comparing visits of one joint: what grew, shrank, came or went, against the smallest detectable change."""

from __future__ import annotations

from marrowscope.followup.compare import compare
from marrowscope.followup.types import Change, Visit

__all__ = ["Change", "Visit", "compare"]
