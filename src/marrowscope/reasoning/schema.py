"""The published JSON Schema of an intake, built from the vocabulary; ``docs/schema/intake.schema.json`` is its copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import Lab, labs
from marrowscope.reasoning.intake_file import MAX_AGE, MAX_WEEKS, SCHEMA

STATE = {
    "description": "yes, no or unknown; leaving a code out means unknown",
    "oneOf": [
        {"enum": ["yes", "no", "unknown", "present", "absent", True, False, None]},
        {
            "type": "object",
            "properties": {
                "state": {"enum": ["yes", "no", "unknown", "present", "absent", True, False]},
                "side": {"enum": ["left", "right", "both"]},
                "note": {"type": "string"},
                "weeks": {"type": "number", "minimum": 0, "description": "how long this symptom lasts"},
                "value": {"type": "number", "minimum": 0},
                "unit": {"type": "string"},
            },
            "required": ["state"],
            "additionalProperties": False,
        },
    ],
}


def _codes(kinds: Iterable[Kind]) -> dict[str, Any]:
    """Codes of some kinds: a mapping to yes / no / unknown, or a list of those present."""
    wanted = [item for item in vocabulary().values() if item.kind in set(kinds)]
    states = {item.code: {"$ref": "#/$defs/state", "title": item.label} for item in wanted}
    present = {"type": "array", "items": {"enum": [item.code for item in wanted]}}
    return {
        "oneOf": [{"type": "object", "properties": states, "additionalProperties": False}, present, {"type": "null"}]
    }


def _lab(lab: Lab) -> dict[str, Any]:
    """A value with its unit, or a word."""
    words: dict[str, Any] = {
        "type": ["string", "number", "null"],
        "description": f"{lab.unit or ''} {' / '.join(lab.levels)}".strip(),
    }
    if not lab.numeric:
        return {"title": lab.label, **words}
    units = [lab.unit, *lab.factors]
    value = {
        "type": "object",
        "properties": {"value": {"type": "number", "minimum": 0}, "unit": {"enum": units}},
        "required": ["value"],
        "additionalProperties": False,
    }
    return {"title": lab.label, "oneOf": [words, value]}


def intake_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an intake in its canonical codes.

    The reader also understands labels and synonyms; the schema lists what it writes.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "intake.schema.json",
        "title": "marrowscope intake",
        "description": "What a doctor knows and what a person read on the images. No name of a patient belongs here.",
        "type": "object",
        "additionalProperties": False,
        "properties": _about() | _found(),
        "$defs": {
            "state": STATE,
            "clinical": _codes((Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)),
            "images": _codes((Kind.IMAGING, Kind.REGION)),
        },
    }


def _about() -> dict[str, Any]:
    """The patient and the problem."""
    closed = {name: {"enum": list(words)} for name, words in choices().items() if name != "modality"}
    return {
        "schema": {"const": SCHEMA},
        "case": {"type": "string", "description": "a label, never a name"},
        "age": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_AGE, "description": "years"},
        "weeks": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_WEEKS, "description": "how long it lasts"},
        "duration": {"type": ["string", "null"], "description": "instead of weeks: 6 weeks, 3 months"},
        **closed,
        "note": {"type": ["string", "null"], "description": "kept, never interpreted"},
        "uncoded": {"type": "array", "items": {"type": "string"}, "description": "what has no code"},
    }


def _found() -> dict[str, Any]:
    """What was said, measured in the laboratory and seen."""
    regions = [item.code for item in vocabulary().values() if item.kind is Kind.REGION]
    clinical = (Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)
    images = {name: {"$ref": "#/$defs/images"} for name in choices()["modality"]}
    reader = {"type": "string", "description": "who read it"}
    items = {key: _lab(lab) for key, lab in labs().items()}
    return {
        "regions": {"type": "array", "items": {"enum": regions}},
        **{kind.value: {"$ref": "#/$defs/clinical"} for kind in clinical},
        "labs": {"type": ["object", "null"], "additionalProperties": False, "properties": items},
        "imaging": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {"by": reader, **images},
        },
    }
