"""FHIR: read by fhir.resources, held to rules it does not check."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from marrowscope.assessment import Assessment, ReleaseStatus, conclude
from marrowscope.exchange.fhir import bundle_json, make_bundle
from marrowscope.exchange.fhir_rules import broken_rules
from marrowscope.knowledge.causes import causes
from test_assessment import found


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    return conclude(found())


def of(bundle: dict, kind: str) -> list[dict]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def test_an_independent_library_reads_it(assessment: Assessment) -> None:
    read = Bundle.model_validate_json(bundle_json(assessment))
    kinds = {e.resource.get_resource_type() for e in read.entry}
    assert kinds >= {"Patient", "Device", "DiagnosticReport", "Observation", "RiskAssessment", "CarePlan", "Provenance"}


def test_values_equal_the_assessment(assessment: Assessment) -> None:
    total = assessment.total("edema_volume")
    volumes = [o for o in of(make_bundle(assessment), "Observation") if o.get("valueQuantity", {}).get("unit") == "cm3"]
    assert total is not None
    assert volumes[0]["valueQuantity"]["value"] == pytest.approx(total.value)


def test_unreleased_is_preliminary_and_released_is_final(assessment: Assessment) -> None:
    draft = make_bundle(assessment)
    assert {r["status"] for r in of(draft, "DiagnosticReport")} == {"preliminary"}
    assert {r["status"] for r in of(draft, "CarePlan")} == {"draft"}
    signed = replace(
        assessment, status=ReleaseStatus.FINAL, released_by="Dr A", released_at="2026-01-02T03:04:05+00:00"
    )
    assert {r["status"] for r in of(make_bundle(signed), "DiagnosticReport")} == {"final"}
    assert broken_rules(make_bundle(signed)) == []


def test_same_result_same_bytes(assessment: Assessment) -> None:
    assert bundle_json(assessment) == bundle_json(assessment)


@pytest.mark.parametrize("kind", ["DiagnosticReport", "Observation", "RiskAssessment", "CarePlan"])
def test_broken_bundles_are_named(assessment: Assessment, kind: str) -> None:
    for breaking, word in (
        (lambda r: r.update(status="done"), "status"),
        (lambda r: r.pop("subject"), "lacks subject"),
        (lambda r: r["subject"].update(reference="urn:uuid:0"), "not in the bundle"),
        (lambda r: r.update(status="final" if kind != "CarePlan" else "active"), "nobody signed"),
    ):
        bundle = copy.deepcopy(make_bundle(assessment))
        breaking(of(bundle, kind)[0])
        assert any(word in p for p in broken_rules(bundle)), (kind, word)


def test_a_probability_over_one_is_named(assessment: Assessment) -> None:
    bundle = json.loads(bundle_json(assessment))
    of(bundle, "RiskAssessment")[0]["prediction"][0]["probabilityDecimal"] = 1.2
    assert any("probability" in p for p in broken_rules(bundle))


@pytest.mark.parametrize(
    ("kind", "breaking", "word"),
    [
        ("Observation", lambda r: r["code"].pop("coding"), "Observation.code has no code"),
        ("DiagnosticReport", lambda r: r["code"]["coding"][0].pop("system"), "DiagnosticReport.code has no code"),
        ("RiskAssessment", lambda r: r["prediction"][0]["outcome"].pop("coding"), "outcome has no code"),
        ("CarePlan", lambda r: r["activity"][0].pop("detail"), "cpl-3"),
        ("Observation", lambda r: r["valueQuantity"].pop("code"), "without a UCUM code"),
        ("DiagnosticReport", lambda r: r.update(result=[r["subject"]]), "leads to a Patient"),
        ("Provenance", lambda r: r["agent"][0].pop("who"), "without who"),
        ("Provenance", lambda r: r.pop("recorded"), "lacks recorded"),
        ("DocumentReference", lambda r: r.pop("content"), "lacks content"),
    ],
)
def test_broken_invariants_are_named(assessment: Assessment, kind: str, breaking: Any, word: str) -> None:
    bundle = copy.deepcopy(make_bundle(assessment))
    assert broken_rules(bundle) == []
    breaking(of(bundle, kind)[0])
    assert any(word in p for p in broken_rules(bundle)), broken_rules(bundle)


def test_causes_are_coded_with_snomed_where_the_knowledge_has_it(assessment: Assessment) -> None:
    rows = of(make_bundle(assessment), "RiskAssessment")[0]["prediction"]
    assert all(row["outcome"]["coding"][0]["code"] in causes() | {"unlisted": None} for row in rows)
    coded = [c for row in rows for c in row["outcome"]["coding"] if c["system"] == "http://snomed.info/sct"]
    assert coded == [
        {"system": "http://snomed.info/sct", "code": causes()[row["outcome"]["coding"][0]["code"]].snomed}
        for row in rows
        if row["outcome"]["coding"][0]["code"] in causes() and causes()[row["outcome"]["coding"][0]["code"]].snomed
    ]
    assert coded
