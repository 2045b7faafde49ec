"""The link to reasoning and follow-up: what an assessment's findings mean, and what changed since the last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment
    from marrowscope.reasoning.intake import Intake


def reasoning_for(assessment: Assessment, intake: Intake | None) -> Mapping[str, Any] | None:
    """Differential, not-to-miss checks and plan from the findings, as plain data."""
    return None
