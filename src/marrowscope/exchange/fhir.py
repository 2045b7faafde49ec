"""A result as a FHIR R4B bundle: report, observations, risk assessments, care plan, provenance.

Everything is preliminary until a named person released it. Names of patients are not copied: the subject is a Patient
with sex alone, to be matched by the receiving system through the ImagingStudy.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from marrowscope import __version__
from marrowscope.assessment.types import Assessment, LesionRecord, ReleaseStatus
from marrowscope.errors import ExchangeError
from marrowscope.exchange import fhir_reasoning
from marrowscope.exchange.codes import concepts, local_scheme
from marrowscope.exchange.fhir_rules import broken_rules
from marrowscope.measurement import Measurement
from marrowscope.reasoning.questionnaire import LOCAL_SYSTEM
from marrowscope.scoring.types import Score
from marrowscope.sites import load_site, site_names

SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
}
UCUM = "http://unitsofmeasure.org"
IMAGING = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}]}
RADIOLOGY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
UNKNOWN_TIME = "1900-01-01T00:00:00Z"
"""Written where neither release nor study date is known: Provenance must state when it was recorded."""

SIGNED_STATUS = {ReleaseStatus.FINAL: "final", ReleaseStatus.AMENDED: "amended"}
"""Status of what a named person stands behind; whatever nobody signed is preliminary, an unsigned amendment too."""

GENDER = {"F": "female", "M": "male", "female": "female", "male": "male", "O": "other"}


def bundle_json(assessment: Assessment) -> str:
    """The bundle as stable text.

    Raises:
        ExchangeError: the bundle breaks one of our own rules (a defect, named).
    """
    bundle = make_bundle(assessment)
    if problems := broken_rules(bundle):
        raise ExchangeError(f"a FHIR bundle that breaks a rule: {problems[0]}", "a sound bundle", "report this defect")
    return json.dumps(bundle, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def make_bundle(assessment: Assessment) -> dict[str, Any]:
    """The bundle as plain data, referentially whole, every id a hash of the result."""
    book = _Book(assessment)
    patient = book.add("Patient", "patient", gender=GENDER.get(assessment.subject.sex, "unknown"))
    device = book.add("Device", "device", deviceName=[{"name": "marrowscope", "type": "user-friendly-name"}],
                      version=[{"value": __version__}], note=[{"text": assessment.disclaimer}])  # fmt: skip
    subject, author = {"subject": patient}, device
    study = _imaging_study(book, assessment, subject)
    observations = _observations(book, assessment, subject, author)
    risks = fhir_reasoning.risks(book, assessment, subject, author)
    plan = fhir_reasoning.care_plan(book, assessment, subject)
    document = book.add("DocumentReference", "document", status="current",
                        docStatus="final" if assessment.signed else "preliminary", **subject,
                        content=[{"attachment": {"contentType": "application/pdf", "url": "../report.pdf",
                                                 "title": "Bone marrow report"}}])  # fmt: skip
    report = _report(book, assessment, subject, study, observations)
    targets = [report, *observations, *risks, *plan, document]
    book.add(
        "Provenance", "provenance", target=targets, recorded=_recorded(assessment), agent=_agents(assessment, device)
    )
    return {"resourceType": "Bundle", "type": "collection", "entry": book.entries}


class _Book:
    """Collects entries; gives each resource a stable ``urn:uuid`` from the result it belongs to."""

    def __init__(self, assessment: Assessment) -> None:
        p = assessment.provenance
        edits = json.dumps([e.to_dict() for e in assessment.edits], sort_keys=True)
        parts = (p.software, p.fluid_series_uid, json.dumps(dict(p.input_sha256), sort_keys=True), edits)
        intake = json.dumps(assessment.intake or {}, sort_keys=True, default=str)
        self._root = uuid.uuid5(uuid.NAMESPACE_OID, "\x1f".join((*parts, intake, assessment.status.value)))
        self.entries: list[dict[str, Any]] = []

    def add(self, kind: str, name: str, **content: Any) -> dict[str, str]:
        """Add a resource; returns the reference to it."""
        url = f"urn:uuid:{uuid.uuid5(self._root, f'{kind}/{name}')}"
        kept = {k: v for k, v in content.items() if v not in (None, [], {}, "")}
        self.entries.append({"fullUrl": url, "resource": {"resourceType": kind, **kept}})
        return {"reference": url}


def status_of(a: Assessment) -> str:
    """Status of report and observations."""
    return SIGNED_STATUS[a.status] if a.signed else "preliminary"


def concept(scheme: str, code: str, text: str) -> dict[str, Any]:
    """A CodeableConcept."""
    system = SYSTEMS.get(scheme, LOCAL_SYSTEM)
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def measure_concept(code: str) -> dict[str, Any]:
    """The concept of a measurement code."""
    entry = concepts()["measurements"].get(code) or {"scheme": local_scheme(), "value": code, "meaning": code}
    return concept(entry["scheme"], entry["value"], entry["meaning"].replace("_", " "))


def _value(measurement: Measurement) -> dict[str, Any]:
    """The value with its unit, or why there is none."""
    if measurement.value is None:
        code = "not-performed" if measurement.status.value == "not_assessable" else "error"
        absent = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": code}]}
        return {"dataAbsentReason": {**absent, "text": measurement.reason}}
    quantity = {
        "value": float(f"{measurement.value:.9g}"),
        "unit": measurement.unit,
        "system": UCUM,
        "code": measurement.unit,
    }
    interval = {}
    if measurement.low is not None and measurement.high is not None:
        words = f"{measurement.low:.4g} to {measurement.high:.4g} {measurement.unit} ({measurement.interval_basis})"
        interval = {"note": [{"text": f"Interval: {words}"}]}
    return {"valueQuantity": quantity, **interval}


def _site_concept(assessment: Assessment, part: str = "") -> dict[str, Any] | None:
    if assessment.site not in site_names():
        return {"text": assessment.site.replace("_", " ")}
    site = load_site(assessment.site)
    found = site.part(part) if part else None
    term = found.term if found else (site.term if not part else None)
    text = site.label_of(part) if part else site.label
    return concept(term.scheme, term.value, text) if term else {"text": text}


def _observations(
    book: _Book, a: Assessment, subject: Mapping[str, Any], author: dict[str, str]
) -> list[dict[str, str]]:
    status = status_of(a)
    base = {**subject, "status": status, "device": author, "category": [IMAGING]}
    made = [
        book.add(
            "Observation",
            f"total/{m.code}",
            code=measure_concept(m.code),
            bodySite=_site_concept(a),
            **base,
            **_value(m),
        )
        for m in a.totals
    ]
    made += [_lesion(book, a, lesion, base) for lesion in a.lesions]
    return made + [_score(book, score, base) for score in a.scores]


def _lesion(book: _Book, a: Assessment, lesion: LesionRecord, base: Mapping[str, Any]) -> dict[str, str]:
    kind = concepts()["types"][lesion.kind.value]
    parts = [
        {"code": measure_concept(m.code), **{k: v for k, v in _value(m).items() if k != "note"}}
        for m in lesion.measurements
    ]
    return book.add(
        "Observation",
        f"lesion/{lesion.code}",
        code=concept(kind["scheme"], kind["value"], kind["meaning"]),
        valueString=f"{lesion.place}; {lesion.verdict.value}; confidence {lesion.confidence:.2f}",
        bodySite=_site_concept(a, lesion.bone),
        component=parts,
        **base,
    )


def _score(book: _Book, score: Score, base: Mapping[str, Any]) -> dict[str, str]:
    cells = [
        {
            "code": concept(local_scheme(), f"{score.id}/{c.id}", c.id.replace(".", " ").replace("_", " ")),
            "valueQuantity": {"value": c.value, "unit": "1", "system": UCUM, "code": "1"},
        }
        for c in score.cells
        if c.value is not None
    ]
    note = [{"text": f"{score.origin}; {score.statement}".rstrip("; ")}]
    value = {k: v for k, v in _value(score.total).items() if k != "note"}
    code = concept(local_scheme(), score.id, score.label)
    return book.add("Observation", f"score/{score.id}", code=code, component=cells, note=note, **base, **value)


def _imaging_study(book: _Book, a: Assessment, subject: Mapping[str, Any]) -> dict[str, str] | None:
    if not a.provenance.study_uid:
        return None
    identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{a.provenance.study_uid}"}]
    series = [
        {"uid": a.provenance.fluid_series_uid.split("/")[0], "modality": {"system": SYSTEMS["DCM"], "code": "MR"}}
    ]
    return book.add("ImagingStudy", "study", identifier=identifier, status="available", series=series, **subject)


def _report(
    book: _Book, a: Assessment, subject: Mapping[str, Any], study: dict[str, str] | None, results: list[dict[str, str]]
) -> dict[str, str]:
    return book.add(
        "DiagnosticReport",
        "report",
        status=status_of(a),
        category=[RADIOLOGY],
        code=concept("LN", "18748-4", "Diagnostic Imaging Report"),
        imagingStudy=[study] if study else [],
        result=results,
        conclusion=a.impression,
        issued=_instant(a.released_at) if a.released_at else None,
        **subject,
    )


def _instant(text: str) -> str:
    return text if text.endswith("Z") or "+" in text[10:] else f"{text}Z"


def _recorded(a: Assessment) -> str:
    if a.released_at:
        return _instant(a.released_at)
    return f"{a.provenance.study_date}T00:00:00Z" if a.provenance.study_date else UNKNOWN_TIME


def _agents(a: Assessment, device: dict[str, str]) -> list[dict[str, Any]]:
    role = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    agents: list[dict[str, Any]] = [{"type": {"coding": [{"system": role, "code": "assembler"}]}, "who": device}]
    if a.signed:
        agents.append({"type": {"coding": [{"system": role, "code": "verifier"}]}, "who": {"display": a.released_by}})
    return agents
