"""No conclusion leaves unsigned: every way out is tried, also after an amendment of a released result."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

import dicom_results
import study_files
from marrowscope.assessment import from_json
from marrowscope.assessment.pipeline import Assessed, conclude
from marrowscope.cli import run
from marrowscope.editing import amended_after
from marrowscope.errors import UsageError
from marrowscope.exchange.fhir import make_bundle
from marrowscope.exporting import export_results
from marrowscope.lesion.edits import Edit, EditKind
from marrowscope.listener.work import send_drafts
from marrowscope.reasoning.intake import Intake
from marrowscope.results import read_results, release, write_results
from marrowscope.study import read_study

NOW = "2026-01-02T03:04:05+00:00"
INTAKE = Intake.from_dict({"site": "knee", "age": 70, "symptoms": {"night_pain": "yes"}})
CONCLUSIONS = ("pdf", "fhir")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One result unsigned, signed, and amended after it was signed."""
    root = tmp_path_factory.mktemp("gate")
    study = read_study(study_files.save(study_files.series(study_files.truth()), root / "study"))
    objects = dicom_results.assessed(study, study.series[0]).objects
    assert objects is not None
    made = {name: root / name for name in ("unsigned", "signed", "amended")}
    for folder in made.values():
        write_results(folder, Assessed(conclude(objects, INTAKE), objects))
    for name in ("signed", "amended"):
        release(made[name], "Dr A", NOW)
    old = read_results(made["amended"])
    now = conclude(objects, INTAKE, edits=(Edit(EditKind.REJECT, "Dr B", NOW, 1),))
    write_results(made["amended"], Assessed(amended_after(old.assessment, now), objects), earlier=old)
    return made


@pytest.fixture
def arrived() -> Iterator[tuple[list[Any], int]]:
    """A PACS of our own on loopback: what it was sent, and its port."""
    from pynetdicom import AE, AllStoragePresentationContexts, evt

    got: list[Any] = []
    lock = threading.Lock()

    def keep(event: Any) -> int:
        with lock:
            got.append(event.dataset)
        return 0x0000

    ae = AE(ae_title="ARCHIVE")
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    yield got, int(server.server_address[1])
    server.shutdown()


def peers_file(folder: Path, port: int) -> Path:
    path = folder / "peers.toml"
    path.write_text(f'[peers.a]\nkind = "dimse"\nhost = "127.0.0.1"\nport = {port}\nae_title = "ARCHIVE"\n')
    return path


@pytest.mark.parametrize("state", ["unsigned", "amended"])
def test_no_conclusion_is_exported_or_sent_unsigned(
    folders: dict[str, Path], state: str, arrived: tuple[list[Any], int], tmp_path: Path
) -> None:
    results, (got, port) = folders[state], arrived
    peers = peers_file(tmp_path, port)
    for kind in CONCLUSIONS:
        for kinds in ((kind,), ("seg", "sr", kind)):
            with pytest.raises(UsageError, match="released"):
                export_results(results, kinds, tmp_path / "out")
            assert run(["export", str(results), "--to", ",".join(kinds), "-o", str(tmp_path / "out")]) == 2
            assert run(["pacs", "send", "a", str(results), "--to", ",".join(kinds), "--peers", str(peers)]) == 2
    assert not (tmp_path / "out").exists()
    assert got == []
    assert run(["pacs", "send", "a", str(results), "--peers", str(peers)]) == 0
    assert sorted(ds.Modality for ds in got) == ["SEG", "SR"]


@pytest.mark.parametrize("state", ["unsigned", "signed", "amended"])
def test_the_listener_sends_measurements_only(
    folders: dict[str, Path], state: str, arrived: tuple[list[Any], int], tmp_path: Path
) -> None:
    got, port = arrived
    payload = {"out": str(folders[state]), "peers": str(peers_file(tmp_path, port)), "to": "a"}
    assert send_drafts(payload, Silent()) == {"sent": 2}
    assert sorted(ds.Modality for ds in got) == ["SEG", "SR"]
    reasoning = read_results(folders[state]).assessment.reasoning
    assert reasoning is not None
    forbidden = {row["label"].lower() for row in reasoning["differential"]["rows"]}
    forbidden |= {c[name].lower() for c in reasoning["checks"] for name in ("question", "answer", "label")}
    for ds in got:
        for text in words_of(ds):
            assert not [f for f in forbidden if f in text.lower()], text


class Silent:
    def progress(self, stage: str, done: int, total: int) -> None:
        """Nobody watches."""


def words_of(ds: pydicom.Dataset) -> Iterator[str]:
    for element in ds.iterall():
        if element.VR in ("LO", "SH", "ST", "LT", "UT", "UC", "PN"):
            yield str(element.value)


@pytest.mark.parametrize("state", ["unsigned", "amended"])
def test_fhir_reads_preliminary_until_somebody_signs(folders: dict[str, Path], state: str) -> None:
    text = (folders[state] / "fhir" / "bundle.json").read_text()
    assert '"preliminary"' in text
    for word in ("final", "amended", "corrected", "active"):
        assert f'"{word}"' not in text
    assert "verifier" not in text


@pytest.mark.parametrize(
    "spoil",
    [{"status": "final", "released_by": ""}, {"status": "amended", "released_by": " "}, {"released_by": "Dr Nobody"}],
)
def test_half_a_signature_is_none(folders: dict[str, Path], spoil: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    for name in ("assessment.json", "run.json"):
        (folder / name).write_bytes((folders["unsigned"] / name).read_bytes())
    data = {**json.loads((folder / "assessment.json").read_text()), **spoil}
    (folder / "assessment.json").write_text(json.dumps(data))
    for kind in CONCLUSIONS:
        with pytest.raises(UsageError, match="released"):
            export_results(folder, (kind,), tmp_path / "out")
    kinds = {e["resource"]["resourceType"]: e["resource"] for e in make_bundle(from_json(json.dumps(data)))["entry"]}
    assert kinds["DiagnosticReport"]["status"] == "preliminary"


def test_signed_results_leave_and_an_amendment_after_its_own_signature(
    folders: dict[str, Path], arrived: tuple[list[Any], int], tmp_path: Path
) -> None:
    got, port = arrived
    peers = peers_file(tmp_path, port)
    assert run(["pacs", "send", "a", str(folders["signed"]), "--to", "seg,sr,pdf", "--peers", str(peers)]) == 0
    assert sorted(ds.Modality for ds in got) == ["DOC", "SEG", "SR"]
    released = release(folders["amended"], "Dr C", NOW)
    assert (released.status.value, released.released_by) == ("amended", "Dr C")
    (bundle,) = export_results(folders["amended"], ("fhir",), tmp_path / "out")
    report = next(
        e["resource"]
        for e in json.loads(bundle.read_text())["entry"]
        if e["resource"]["resourceType"] == "DiagnosticReport"
    )
    assert report["status"] == "amended"
    earlier = sorted((folders["amended"] / "versions").glob("*.json"))
    assert [from_json(p.read_text()).released_by for p in earlier] == ["", "Dr A", ""]
    assert replace(released, released_by="").released_by == ""


def test_a_folder_knows_its_patient_for_a_comparison_and_tells_nobody(folders: dict[str, Path]) -> None:
    header = json.loads((folders["signed"] / "dicom" / "source.json").read_text())["header"]
    number = header["00100020"]["Value"][0]
    visit = read_results(folders["signed"]).visit()
    assert visit.person.patient_id == number.upper()
    assert visit.person.born == header.get("00100030", {}).get("Value", [""])[0]
    assert number.upper() not in repr(visit)


def test_what_has_not_changed_since_it_was_signed_is_not_signed_again(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(folders["unsigned"], folder)
    assert release(folder, "Dr A", NOW).status.value == "final"
    before = (folder / "assessment.json").read_bytes()
    with pytest.raises(UsageError, match=r"signed \(final\) and has not changed since"):
        release(folder, "Dr B", NOW)
    assert run(["release", str(folder), "--by", "Dr B"]) == 2
    assert (folder / "assessment.json").read_bytes() == before
    assert len(list((folder / "versions").glob("*.json"))) == 1
