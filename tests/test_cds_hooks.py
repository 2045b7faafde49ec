"""CDS Hooks 2.0: the shape the specification asks for, red flags loud, orders compared with the plan."""

from __future__ import annotations

import copy
import json
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from marrowscope.cli import run
from marrowscope.errors import MarrowscopeError, UsageError
from marrowscope.exchange.cds_hooks import HOOKS, ORDER_SELECT, PATIENT_VIEW, MissingDataError, respond, services
from marrowscope.exchange.cds_orders import IMAGING, phrases, selected_orders
from marrowscope.knowledge.lay import tests as known_tests
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.questionnaire_response import response_of
from web_helpers import TOKEN, running

TODAY = date(2026, 6, 1)
NAMES = (
    "resourceType item linkId answer valueCoding code coding status questionnaire entry resource id birthDate gender "
    "valueQuantity value valueDecimal display text authored"
)
WORDS = st.sampled_from(NAMES.split())
RUNNER = {"site": "foot_ankle", "age": 27, "sex": "female", "onset": "gradual", "symptoms": {"fever": "no"}}
CANCER = {
    "site": "spine", "age": 66, "sex": "male",
    "symptoms": {"night_pain": "yes", "weight_loss": "yes"}, "conditions": {"known_cancer": "yes"},
    "imaging": {"mri": {"t1_fat_lost": "yes", "soft_tissue_mass": "yes", "multiple_lesions": "yes"}},
}  # fmt: skip


def known(data: dict[str, Any]) -> Intake:
    """The intake, without codes that the vocabulary does not have."""
    from marrowscope.knowledge.findings import vocabulary

    data = copy.deepcopy(data)
    for part in (data.get("symptoms", {}), data.get("conditions", {}), data.get("imaging", {}).get("mri", {})):
        for code in [c for c in part if c not in vocabulary()]:
            del part[code]
    return Intake.from_dict(data)


def call(service: str, intake: Intake | None, **context: Any) -> dict[str, Any]:
    response = {**response_of(intake), "authored": "2026-05-01"} if intake else None
    entries = [{"resource": response}] if response else []
    return {
        "hook": HOOKS[service],
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "http://203.0.113.1/never-called",
        "context": {"userId": "Practitioner/1", "patientId": "77", **context},
        "prefetch": {"patient": None, "intake": {"resourceType": "Bundle", "type": "searchset", "entry": entries}},
    }


def order(text: str, **more: Any) -> dict[str, Any]:
    draft = {"resourceType": "ServiceRequest", "id": "9", "status": "draft", "intent": "order", "code": {"text": text}}
    return {
        "selections": ["ServiceRequest/9"],
        "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": {**draft, **more}}]},
    }


def check_card(card: dict[str, Any]) -> None:
    """CDS Hooks 2.0, card attributes."""
    uuid.UUID(card["uuid"])
    assert 0 < len(card["summary"]) < 140
    assert card["indicator"] in ("info", "warning", "critical")
    assert card["source"]["label"]
    assert {"system", "code"} <= set(card["source"]["topic"])
    named = "uuid summary detail indicator source suggestions selectionBehavior overrideReasons links"
    assert set(card) <= set(named.split())
    assert ("suggestions" in card) == ("selectionBehavior" in card)
    assert card.get("selectionBehavior", "any") in ("at-most-one", "any")
    for suggestion in card.get("suggestions", []):
        uuid.UUID(suggestion["uuid"])
        for action in suggestion["actions"]:
            assert action["type"] == "create" and action["description"]
            request = ServiceRequest.model_validate(action["resource"])
            assert (request.status, request.intent) == ("draft", "proposal")  # never an order
            assert action["resource"]["subject"] == {"reference": "Patient/77"}


def test_discovery_names_both_services_and_their_prefetch() -> None:
    listed = services()["services"]
    assert {s["hook"] for s in listed} == {"patient-view", "order-select"}
    for service in listed:
        assert {"hook", "id", "title", "description", "prefetch"} <= set(service)
        assert "{{context.patientId}}" in service["prefetch"]["intake"]


@pytest.mark.parametrize("case", sorted((Path(__file__).parent / "cases").glob("ho*.yaml")), ids=lambda p: p.stem)
def test_cards_say_what_the_reasoning_says(case: Path) -> None:
    intake = Intake.load(case)
    cards = respond(PATIENT_VIEW, call(PATIENT_VIEW, intake), TODAY)["cards"]
    for card in cards:
        check_card(card)
    reasoning = reason_findings(Intake.from_dict(response_of(intake)))
    raised = {f"check_{c.kind}" for c in reasoning.checks if c.level.positive}
    critical = {c["source"]["topic"]["code"] for c in cards if c["indicator"] == "critical"}
    assert critical == raised
    warned = {c["source"]["topic"]["code"] for c in cards if c["indicator"] == "warning"}
    assert warned == {f"check_{c.kind}" for c in reasoning.checks if c.flags and c.level.value == "incomplete"}
    causes = next(c for c in cards if c["source"]["topic"]["code"] == "causes")
    assert reasoning.differential.rows[0].label in causes["detail"]
    assert cards == respond(PATIENT_VIEW, call(PATIENT_VIEW, intake), TODAY)["cards"]


def test_a_red_flag_comes_first_and_loud() -> None:
    first = respond(PATIENT_VIEW, call(PATIENT_VIEW, known(CANCER)), TODAY)["cards"][0]
    assert first["source"]["topic"]["code"] == "check_cancer"
    assert first["indicator"] in ("critical", "warning")
    assert first["overrideReasons"]


def test_no_intake_no_card_and_no_prefetch_is_said() -> None:
    assert respond(PATIENT_VIEW, call(PATIENT_VIEW, None), TODAY) == {"cards": []}
    request = call(PATIENT_VIEW, None)
    del request["prefetch"]
    with pytest.raises(MissingDataError):
        respond(PATIENT_VIEW, request, TODAY)


def test_age_and_sex_come_from_the_patient_where_the_intake_is_silent() -> None:
    request = call(PATIENT_VIEW, Intake.from_dict({"site": "knee"}))
    without = respond(PATIENT_VIEW, request, TODAY)["cards"]
    request["prefetch"]["patient"] = {"resourceType": "Patient", "gender": "male", "birthDate": "1950-07"}
    detail = {c["source"]["topic"]["code"]: c for c in respond(PATIENT_VIEW, request, TODAY)["cards"]}["causes"][
        "detail"
    ]
    assert "Not known: age, sex" in json.dumps(without)
    assert "Not known" not in detail
    stated = call(PATIENT_VIEW, Intake.from_dict({"site": "knee", "age": 75, "sex": "male"}))
    assert detail in [c["detail"] for c in respond(PATIENT_VIEW, stated, TODAY)["cards"]]


def test_radiograph_before_mri() -> None:
    intake = known(RUNNER)
    plan = reason_findings(Intake.from_dict(response_of(intake))).plan.tests
    images = [t.test for t in plan if not t.done and t.test in IMAGING]
    assert images.index("radiograph") < images.index("mri")  # the plan's own order, from its sources
    cards = respond(ORDER_SELECT, call(ORDER_SELECT, intake, **order("MR ankle left")), TODAY)["cards"]
    (card,) = [c for c in cards if c["source"]["topic"]["code"] == "order"]
    check_card(card)
    assert card["summary"].startswith("Before MRI: Radiograph")
    proposed = [s["actions"][0]["resource"]["code"]["coding"][0]["code"] for s in card["suggestions"]]
    assert proposed == images[: images.index("mri")][:3]
    (card,) = respond(ORDER_SELECT, call(ORDER_SELECT, intake, **order("XR foot 3 views")), TODAY)["cards"]
    assert card["summary"].startswith("Radiograph is the next test here")


def test_a_test_that_was_done_is_read_before_it_is_repeated() -> None:
    data = {**RUNNER, "imaging": {"radiograph": {"radiograph_normal": "yes"}, "mri": {"fracture_line": "no"}}}
    cards = respond(ORDER_SELECT, call(ORDER_SELECT, Intake.from_dict(data), **order("MRI foot")), TODAY)["cards"]
    for card in cards:
        check_card(card)
    assert any("was done already" in c["summary"] for c in cards)


@pytest.mark.parametrize(
    ("resource", "test", "concerns"),
    [
        ({"code": {"text": "XR Knee 2 views left"}}, "radiograph", True),
        ({"code": {"coding": [{"display": "MR Knee - left W contrast IV"}]}}, "mri", True),
        ({"code": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}}, "ct", True),
        ({"code": {"text": "Dual-energy CT"}, "bodySite": [{"text": "Knee joint"}]}, "dect", True),
        ({"code": {"text": "Whole-body MRI"}}, "whole_body_mri", True),
        ({"code": {"text": "MRI brain"}}, "mri", False),
        ({"code": {"text": "Ultrasound abdomen"}}, "ultrasound", False),
        ({"code": {"text": "Haemoglobin"}}, "", False),
    ],
)
def test_orders_are_recognised(resource: dict[str, Any], test: str, concerns: bool) -> None:
    (found,) = selected_orders({**order("", **resource)})
    assert (found.test, found.concerns("knee")) == (test, concerns)


def test_every_phrase_names_a_test_we_explain() -> None:
    assert set(phrases().values()) <= set(IMAGING) <= set(known_tests())


def test_other_orders_and_other_joints_get_no_card() -> None:
    for text in ("MRI brain", "Haemoglobin"):
        assert respond(ORDER_SELECT, call(ORDER_SELECT, known(RUNNER), **order(text)), TODAY) == {"cards": []}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.update(hook="order-select"),
        lambda r: r.pop("hookInstance"),
        lambda r: r["context"].pop("patientId"),
        lambda r: r.update(context=[]),
        lambda r: r["prefetch"]["intake"]["entry"][0]["resource"].update(status="entered-in-error"),
    ],
)
def test_a_call_that_breaks_the_specification_is_refused(spoil: Any) -> None:
    request = call(PATIENT_VIEW, known(RUNNER))
    spoil(request)
    with pytest.raises(UsageError):
        respond(PATIENT_VIEW, request, TODAY)


def test_the_server_answers_behind_its_token_and_keeps_nothing(tmp_path: Path) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    request = call(PATIENT_VIEW, known(CANCER))
    request["prefetch"]["intake"]["entry"][0]["resource"]["subject"] = {"display": "Zebraleigh Quendolin"}
    with running(tmp_path, run_jobs=False) as browser:
        client = TestClient(browser.app, base_url=str(browser.base_url))
        for path in ("/cds-services", f"/cds-services/{PATIENT_VIEW}"):
            assert client.get(path).status_code == 401
        assert client.post(f"/cds-services/{PATIENT_VIEW}", json=request).status_code == 403
        foreign = {**bearer, "origin": "http://evil.example"}
        assert client.post(f"/cds-services/{PATIENT_VIEW}", json=request, headers=foreign).status_code == 403
        assert client.get("/cds-services", headers=bearer).json() == services()
        answer = client.post(f"/cds-services/{PATIENT_VIEW}", json=request, headers=bearer)
        assert answer.status_code == 200
        assert answer.json()["cards"]
        bare = {k: v for k, v in request.items() if k != "prefetch"}
        assert client.post(f"/cds-services/{PATIENT_VIEW}", json=bare, headers=bearer).status_code == 412
        assert client.post("/cds-services/other", json=request, headers=bearer).status_code == 404
        wrong = {**request, "hook": "x"}
        assert client.post(f"/cds-services/{PATIENT_VIEW}", json=wrong, headers=bearer).status_code == 400
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"Zebraleigh" not in kept and b"known_cancer" not in kept


def test_the_command_line_answers_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cds"]) == 0
    assert json.loads(capsys.readouterr().out) == services()
    (tmp_path / "r.json").write_text(json.dumps(call(PATIENT_VIEW, known(RUNNER))))
    assert run(["cds", PATIENT_VIEW, str(tmp_path / "r.json")]) == 0
    assert json.loads(capsys.readouterr().out)["cards"]
    (tmp_path / "r.json").write_text("[")
    assert run(["cds", PATIENT_VIEW, str(tmp_path / "r.json")]) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON, JSON, JSON, st.sampled_from(sorted(HOOKS)))
def test_whatever_is_sent_is_answered_or_refused_in_words(intake: Any, patient: Any, context: Any, name: str) -> None:
    request = {
        "hook": HOOKS[name], "hookInstance": "x",
        "prefetch": {"intake": intake, "patient": patient},
        "context": {"userId": "u", "patientId": "p", "selections": ["ServiceRequest/9"], "draftOrders": context},
    }  # fmt: skip
    for call_ in (request, {**request, "context": context}):
        try:
            cards = respond(name, call_, TODAY)["cards"]
        except MarrowscopeError:
            continue
        for card in cards:
            assert card["summary"]
