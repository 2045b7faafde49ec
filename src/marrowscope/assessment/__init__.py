"""Assessment, and the three steps that make one: prepare, detect, conclude."""

from __future__ import annotations

from marrowscope.assessment.pipeline import assess, assess_with_objects, conclude, detect, prepare, reason
from marrowscope.assessment.plain import from_json, json_schema, to_dict, to_json
from marrowscope.assessment.types import Assessment, Outcome, ReleaseStatus

__all__ = [
    "Assessment",
    "Outcome",
    "ReleaseStatus",
    "assess",
    "assess_with_objects",
    "conclude",
    "detect",
    "from_json",
    "json_schema",
    "prepare",
    "reason",
    "to_dict",
    "to_json",
]
