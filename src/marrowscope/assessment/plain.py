"""An Assessment to JSON and back, and its published JSON Schema (``docs/schema/assessment.schema.json``)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from marrowscope.assessment.types import SCHEMA_VERSION, Assessment
from marrowscope.errors import ResultsError


@cache
def _adapter() -> TypeAdapter[Assessment]:
    return TypeAdapter(Assessment)


def to_dict(assessment: Assessment) -> dict[str, Any]:
    """Plain JSON-ready data; parts without a value are left out."""
    data: dict[str, Any] = _adapter().dump_python(assessment, mode="json", exclude_none=True)
    return data


def to_json(assessment: Assessment) -> str:
    """Stable text: sorted keys, two spaces, final newline."""
    return json.dumps(to_dict(assessment), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def from_dict(data: dict[str, Any]) -> Assessment:
    """Inverse of :func:`to_dict`.

    Raises:
        ResultsError: another schema version, or data that breaks the schema.
    """
    version = str(data.get("schema_version", "none"))
    if version.split(".", maxsplit=1)[0] != SCHEMA_VERSION.split(".", maxsplit=1)[0]:
        raise ResultsError(
            f"assessment schema version {version}", f"version {SCHEMA_VERSION}", "assess the study again"
        )
    try:
        return _adapter().validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise ResultsError(f"assessment.json breaks its schema at {where}: {first['msg']}") from error


def from_json(text: str) -> Assessment:
    """Inverse of :func:`to_json`.

    Raises:
        ResultsError: not JSON, another schema version, or data that breaks the schema.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultsError(f"assessment.json is not JSON (line {error.lineno})", "a whole results folder") from error
    return from_dict(data)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``assessment.json``."""
    schema = _adapter().json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "marrowscope assessment", **schema}
