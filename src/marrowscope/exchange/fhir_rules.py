"""Our own rules on a FHIR bundle, checked before it is written: fhir.resources accepts wrong status codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STATUS = {
    "DiagnosticReport": {
        "registered",
        "partial",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "appended",
        "cancelled",
    },
    "Observation": {"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error"},
    "RiskAssessment": {"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error"},
    "CarePlan": {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"},
    "ImagingStudy": {"registered", "available", "cancelled", "entered-in-error", "unknown"},
    "DocumentReference": {"current", "superseded", "entered-in-error"},
}
"""Required value sets of R4B (https://hl7.org/fhir/R4B/valueset-*.html), the codes marrowscope may meet."""

REQUIRED = {
    "DiagnosticReport": ("status", "code", "subject"),
    "Observation": ("status", "code", "subject"),
    "RiskAssessment": ("status", "subject"),
    "CarePlan": ("status", "intent", "subject"),
    "ImagingStudy": ("status", "subject"),
    "DocumentReference": ("status", "content"),
    "Provenance": ("target", "recorded", "agent"),
}
"""Elements a resource of ours must hold: R4B's own minimum, and a subject everywhere."""

CODED = {
    "DiagnosticReport": ("code",),
    "Observation": ("code", "component.code"),
    "RiskAssessment": ("code", "prediction.outcome"),
    "CarePlan": ("activity.detail.code",),
}
"""Elements that must hold a code with its system, not words alone."""

UCUM = "http://unitsofmeasure.org"

UNSIGNED_FORBIDDEN = {"final", "amended", "corrected", "active", "completed"}
"""States that say somebody stands behind it."""


def broken_rules(bundle: Mapping[str, Any]) -> list[str]:
    """Every rule the bundle breaks, in words; empty when it is sound."""
    entries = bundle.get("entry", [])
    known = [e.get("fullUrl") for e in entries]
    by_url = {e.get("fullUrl"): e.get("resource", {}).get("resourceType") for e in entries}
    found = ["two entries share a fullUrl"] if len(set(known)) != len(known) else []
    for entry in entries:
        resource = entry.get("resource", {})
        kind = resource.get("resourceType", "?")
        found += [f"{kind} lacks {name}" for name in REQUIRED.get(kind, ()) if not resource.get(name)]
        if kind in STATUS and resource.get("status") not in STATUS[kind]:
            found.append(f"{kind}.status is {resource.get('status')!r}")
        found += [f"{kind} refers to {r}, which is not in the bundle" for r in _references(resource) if r not in known]
        found += _values(kind, resource) + _uncoded(kind, resource) + _shape(kind, resource, by_url)
    return found + _unsigned(entries)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for part in node.values():
            yield from _references(part)
    elif isinstance(node, list):
        for part in node:
            yield from _references(part)


def _values(kind: str, resource: Mapping[str, Any]) -> list[str]:
    found = []
    for prediction in resource.get("prediction", []):
        share = prediction.get("probabilityDecimal")
        if share is not None and not 0 <= share <= 1:
            found.append(f"{kind} has a probability of {share}")
    if kind == "Observation":
        for part in (resource, *resource.get("component", [])):
            value = any(k.startswith("value") for k in part)
            if value and "dataAbsentReason" in part:
                found.append("Observation has both a value and a reason for having none")
            if not value and "dataAbsentReason" not in part and not part.get("component"):
                found.append("Observation has neither a value nor a reason for having none")
    return found


def _at(node: Any, path: str) -> Iterator[Any]:
    """Every value at a dotted path, lists walked through."""
    for part in node if isinstance(node, list) else [node]:
        head, _, rest = path.partition(".")
        if isinstance(part, Mapping) and head in part:
            yield from _at(part[head], rest) if rest else [part[head]]


def _uncoded(kind: str, resource: Mapping[str, Any]) -> list[str]:
    """Concepts that are words alone."""
    return [
        f"{kind}.{path} has no code with its system"
        for path in CODED.get(kind, ())
        for concept in _at(resource, path)
        if not all(c.get("system") and c.get("code") for c in concept.get("coding", ())) or not concept.get("coding")
    ]


def _shape(kind: str, resource: Mapping[str, Any], by_url: Mapping[str, str]) -> list[str]:
    """R4B's invariants that may concern us, and what each reference leads to."""
    found = [
        "CarePlan.activity without detail or reference (cpl-3)"
        for activity in resource.get("activity", ())
        if not activity.get("detail") and not activity.get("reference")
    ]
    found += [
        f"{kind} has a quantity without a UCUM code"
        for quantity in (*_at(resource, "valueQuantity"), *_at(resource, "component.valueQuantity"))
        if quantity.get("system") != UCUM or not quantity.get("code") or quantity.get("value") is None
    ]
    found += [
        "ImagingStudy.series without uid or modality"
        for series in (resource.get("series", ()) if kind == "ImagingStudy" else ())
        if not series.get("uid") or not series.get("modality")
    ]
    found += [
        f"DiagnosticReport.result leads to a {by_url.get(url)}"
        for url in (_at(resource, "result.reference") if kind == "DiagnosticReport" else ())
        if by_url.get(url) != "Observation"
    ]
    return found + [
        "Provenance.agent without who" for agent in _at(resource, "agent") if kind == "Provenance"
        for one in agent if not one.get("who")
    ]  # fmt: skip


def _unsigned(entries: list[Mapping[str, Any]]) -> list[str]:
    """Nothing reads as final unless a verifier is named."""
    resources = [e.get("resource", {}) for e in entries]
    roles = [
        coding.get("code")
        for r in resources
        for agent in r.get("agent", [])
        for coding in agent.get("type", {}).get("coding", [])
    ]
    if "verifier" in roles:
        return []
    return [
        f"{r['resourceType']} is {r['status']} though nobody signed"
        for r in resources
        if r.get("status") in UNSIGNED_FORBIDDEN
    ]
