"""A case without images from intake to leaflet; every knowledge page; the cohort table; no request ends in a 500."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from starlette.testclient import TestClient

from marrowscope.reasoning.explain import topics
from marrowscope.reasoning.intake import Intake
from marrowscope.web.app import create_app
from marrowscope.web.settings import WebSettings
from marrowscope.web.written_report import drafted_answers
from web_helpers import BASE, HOSTILE, PORT, TOKEN, assessed, running


def case(client: TestClient, label: str = "a case") -> str:
    answer = client.post("/cases", data={"label": label}, follow_redirects=False)
    return str(answer.headers["location"].split("/")[2])


def ranking(text: str) -> list[str]:
    return re.findall(r'<li><span class="num">[^<]*</span>(.*?)<svg', text)


def test_a_case_without_images_from_intake_to_released_leaflet(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        study = case(client)
        form = client.get(f"/studies/{study}/intake").text
        assert form.count('value="" checked') > 300, "everything is unknown by default"
        known = {"site": "knee", "age": "62", "sex": "female", "setting": "general_practice"}
        first = client.post(f"/studies/{study}/intake", data=known).text
        assert "What would help most" in first and len(ranking(first)) >= 3
        more = {**known, "f.fever": "yes", "lab.crp": "140 mg/L", "f.subchondral_line": "no", "note": HOSTILE}
        second = client.post(f"/studies/{study}/intake", data=more).text
        assert ranking(second) != ranking(first), "an answer moves the ranking"
        assert "Not to be missed" in second or "nfection" in second
        wrong = client.post(f"/studies/{study}/intake", data={**known, "age": "400"}).text
        assert "Not saved" in wrong
        again = client.get(f"/studies/{study}/intake").text
        assert 'value="62"' in again and "140 mg/L" in again and "<script>alert" not in again

        page = client.get(f"/studies/{study}/reasoning").text
        table = re.search(r"<tbody>(.*?)</tbody>", page, re.S)
        assert table is not None
        numbers = [float(n) for n in re.findall(r">(?:<strong>)?([+-]\d+\.\d)<", table.group(1))]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.05 * len(numbers)), "reasons add up"
        elsewhere = client.get(f"/studies/{study}/reasoning?setting=oncology").text
        assert elsewhere != page and "%" in elsewhere
        assert client.get(f"/studies/{study}/reasoning?setting=nowhere").status_code == 422

        draft = client.get(f"/studies/{study}/leaflet/page").text
        assert "<h1" in draft and "Dr Test" not in draft
        number = int(re.findall(r'name="revision" value="(\d+)"', client.get(f"/studies/{study}/leaflet").text)[0])
        stale = client.post(f"/studies/{study}/leaflet/release", data={"revision": number - 1})
        assert stale.status_code == 409
        assert client.post(f"/studies/{study}/leaflet/release", data={"revision": number}).status_code == 200
        assert "Dr Test" in client.get(f"/studies/{study}/leaflet/page").text
        assert client.get(f"/studies/{study}/viewer").status_code == 404


REPORT = """Patient Name: Harriet Bloomfield
MRN: 88213345
MRI LEFT KNEE. HISTORY: 67-year-old female with knee pain for 3 weeks. No trauma.
FINDINGS: Extensive bone marrow edema in the medial femoral condyle with a thin subchondral low-signal line.
No articular surface collapse. <script>alert(1)</script> A stress fracture of the tibia cannot be excluded.
"""


def test_a_pasted_report_becomes_answers_to_be_checked(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        page = client.post("/cases", data={"report": REPORT}).text
        assert "Drafted from the report: check it" in page and "cannot be excluded" in page
        for code, state in (("subchondral_line", "yes"), ("collapse", "no"), ("acute_trauma", "no")):
            assert f'name="f.{code}" value="{state}" checked' in page, code
        assert 'name="region.medial_femoral_condyle" value="yes" checked' in page and 'value="67"' in page
        assert "Bloomfield" not in page and "88213345" not in page and "<script>alert" not in page
        assert len(ranking(page)) >= 3, "causes are ranked at once"
        study = re.findall(r'action="/studies/(\w+)/intake"', page)[0]
        reasons = client.get(f"/studies/{study}/reasoning").text
        assert "Drafted by software" in reasons and "opinion (thought possible or unlikely)" in reasons
        client.post(f"/studies/{study}/intake", data={"site": "knee", "note": ""})
        assert "Drafted from the report" not in client.get(f"/studies/{study}/intake").text, "checked: the note is out"
        reasons = client.get(f"/studies/{study}/reasoning").text
        assert "Drafted by software" not in reasons and "opinion (thought possible or unlikely)" in reasons


def test_a_report_that_is_none_begins_no_case(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        answer = client.post("/cases", data={"report": "MRI of the brain: no infarct.", "label": "a brain"})
        assert answer.status_code == 422 and "go back" in answer.text and "marrowscope intake" not in answer.text
        assert "a brain" not in client.get("/").text


def test_a_long_draft_is_cut_at_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drafted_answers(REPORT)["note"]
    monkeypatch.setattr("marrowscope.web.written_report.NOTE_CHARACTERS", 300)
    note = drafted_answers(REPORT)["note"]
    assert len(note) <= 300 < len(whole) and whole.startswith(note + "\n")
    assert Intake(note=note).drafted and not Intake(note="checked by me").drafted


def test_every_knowledge_entry_is_a_page_whose_claims_have_a_basis(tmp_path: Path) -> None:
    with running(tmp_path, run_jobs=False) as client:
        listed = re.findall(r'href="(/knowledge/[a-z-]+/[^"]+)"', client.get("/knowledge").text)
        assert len(listed) == len(topics()) > 200
        for address in listed[::4]:
            page = client.get(address)
            assert page.status_code == 200, address
            cited = set(re.findall(r'href="#(s\d+)"', page.text))
            assert cited <= set(re.findall(r'<li id="(s\d+)"', page.text)), address
        assert client.get("/knowledge/cause/no_such_cause").status_code == 404
        assert client.get("/knowledge/passwd/x").status_code == 404


def test_the_cohort_table_shows_results_verdicts_and_failures(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "broken").mkdir(parents=True)
    (outside / "broken" / "assessment.json").write_text("{}")
    with running(tmp_path / "data", results=(outside,)) as client:
        study = assessed(client, "=HYPERLINK(1)")
        bad = client.post("/api/studies", files={"files": ("x.dcm", b"nothing")}, data={"label": "junk"}).json()["id"]
        from web_helpers import until

        until(lambda: "hx-refresh" in client.get(f"/studies/{bad}/progress").headers)
        assert client.post("/api/verdicts", json={"key": study, "verdict": "artefact"}).status_code == 200
        assert client.post("/api/verdicts", json={"key": study, "verdict": "lovely"}).status_code == 422
        page = client.get("/cohort").text
        assert "junk" in page and "broken" in page and "Run them again" in page
        rows = list(csv.DictReader(io.StringIO(client.get("/cohort.csv").text)))
        mine = next(row for row in rows if row["key"] == study)
        assert mine["verdict"] == "artefact" and float(mine["edema_volume_cm3"]) > 0
        assert mine["label"] == "'=HYPERLINK(1)", "no formula reaches a spreadsheet"
        assert [row["failed"] != "" for row in rows] == sorted(row["failed"] != "" for row in rows)
        assert client.get(f"/cohort/thumbnails/{study}.png").content.startswith(b"\x89PNG")
        refused = client.get(f"/studies/{bad}").text
        assert "Found:" in refused and "Assess again" in refused


def _schema() -> Any:
    import tempfile

    settings_ = WebSettings(data=Path(tempfile.mkdtemp(prefix="schema-")), port=PORT, token=TOKEN, run_jobs=False)
    gate, app = create_app(settings_)
    schema = schemathesis.openapi.from_dict(app.openapi())
    return schema, gate, settings_


SCHEMA, GATE, SCHEMA_SETTINGS = _schema()


@SCHEMA.parametrize()
@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
def test_no_request_ends_in_an_internal_error(case: Any) -> None:
    client = schema_client()
    request = case.as_transport_kwargs(base_url=BASE)
    request.pop("cookies", None)
    headers = {**dict(request.pop("headers", None) or {}), "authorization": f"Bearer {TOKEN}", "x-reader": "S"}
    headers = {k: str(v) for k, v in headers.items() if str(v).isascii()}
    if isinstance(request.get("data"), bytes | str):
        request["content"] = request.pop("data")
    answer = client.request(request.pop("method"), request.pop("url"), headers=headers, **request)
    assert answer.status_code < 500, (case.method, case.path, answer.text)
    if answer.status_code >= 400:
        assert set(answer.json()) == {"code", "found", "expected", "do"}


_clients: list[TestClient] = []


def schema_client() -> TestClient:
    if not _clients:
        _clients.append(TestClient(GATE, base_url=BASE))
    return _clients[0]
