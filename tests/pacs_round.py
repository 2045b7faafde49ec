"""Run inside a network namespace by test_pacs: Orthanc, the listener and every client, once round."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

import dicom_results
from marrowscope.errors import ExchangeError, UsageError
from marrowscope.exchange.dicomweb import WebArchive
from marrowscope.exchange.dimse import DimseArchive
from marrowscope.exchange.peers import DimsePeer, WebPeer
from marrowscope.exporting import check_kinds
from marrowscope.jobs import JobQueue
from marrowscope.listener import work
from marrowscope.listener.scp import Door
from marrowscope.listener.service import Listener, Settings
from marrowscope.results import read_results, release, write_results
from marrowscope.study import read_study

WEB, DIMSE, LISTENER = 8042, 4242, 11112
NAME = "Zebraleigh^Quendolin"
root = Path(sys.argv[1])


def start_orthanc() -> subprocess.Popen[bytes]:
    settings = {
        "StorageDirectory": str(root / "orthanc"), "IndexDirectory": str(root / "orthanc"), "HttpPort": WEB,
        "DicomPort": DIMSE, "DicomAet": "ORTHANC", "AuthenticationEnabled": False, "RemoteAccessAllowed": False,
        "DicomCheckCalledAet": False, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
        "DicomModalities": {"ms": ["MARROWSCOPE", "127.0.0.1", LISTENER]},
        "Plugins": ["/usr/share/orthanc/plugins"], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (root / "orthanc.json").write_text(json.dumps(settings))
    log = (root / "orthanc.log").open("wb")
    server = subprocess.Popen(
        [shutil.which("Orthanc") or "Orthanc", str(root / "orthanc.json")], stdout=log, stderr=log
    )
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{WEB}/dicom-web/studies", timeout=1)
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit("Orthanc did not start: " + (root / "orthanc.log").read_text()[-500:])


def instances() -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/statistics") as answer:
        return int(json.load(answer)["CountInstances"])


def wait_for(what: str, done: object, seconds: float = 90) -> None:
    for _ in range(int(seconds * 5)):
        if done():  # type: ignore[operator]
            return
        time.sleep(0.2)
    raise SystemExit(f"waited in vain for {what}")


def phantom_study(folder: Path) -> list[Dataset]:
    """A simulated knee study with one plain lesion, under a planted name."""
    from marrowscope.commands.simulate import simulate_to
    from marrowscope.simulate import KneeOptions, LesionRequest

    options = KneeOptions(lesions=(LesionRequest("medial_femoral_condyle", 3.0),))
    made = []
    for path in sorted(simulate_to(folder, 5, options).rglob("*")):
        if path.is_file():
            ds = pydicom.dcmread(path)
            ds.PatientName = NAME
            made.append(ds)
    return made


def fake_assess(payload: dict, context: object) -> dict:
    """Geometry in, results out: a whole results folder from known boxes, so that the round is quick."""
    out = Path(payload["out"])
    if not (out / "assessment.json").is_file():
        study = read_study(payload["study"])
        write_results(out, dicom_results.assessed(study, study.series[0]), {}, {})
    return {"out": out.name}


def main() -> None:
    work.KINDS[work.ASSESS] = "pacs_round:fake_assess"
    server = start_orthanc()
    seen: dict[str, object] = {}
    try:
        seen = round_trip()
    finally:
        server.terminate()
        server.wait(20)
    words = (root / "listener.log").read_text() if (root / "listener.log").exists() else ""
    seen["name_in_log"] = "Zebraleigh" in words
    print(json.dumps(seen))


def round_trip() -> dict[str, object]:
    study = phantom_study(root / "study")
    uid = str(study[0].StudyInstanceUID)
    web, dimse = WebArchive(WebPeer("web", f"http://127.0.0.1:{WEB}/dicom-web")), DimseArchive(
        DimsePeer("pacs", "127.0.0.1", DIMSE, "ORTHANC"), "MARROWSCOPE"
    )  # fmt: skip
    seen: dict[str, object] = {"sent": dimse.send(study[:20]) + web.send(study[20:])}
    seen["found_by_web"] = len(web.find({"StudyInstanceUID": uid}))
    seen["found_by_dimse"] = len(dimse.find({"StudyInstanceUID": uid}))
    seen["got_by_web"] = web.get(uid, root / "web")
    seen["got_by_dimse"] = dimse.get(uid, root / "dimse")
    peers = root / "peers.toml"
    peers.write_text(f'[peers.pacs]\nkind = "dimse"\nhost = "127.0.0.1"\nport = {DIMSE}\nae_title = "ORTHANC"\n')
    data = root / "data"
    settings = Settings(data, 1.0, 10**9, "knee", str(peers), "pacs")
    stop, ready = threading.Event(), threading.Event()
    listener = Listener(settings, Door("MARROWSCOPE", "127.0.0.1", LISTENER, {"ORTHANC": "127.0.0.1"}))
    thread = threading.Thread(target=listener.serve, args=(stop, lambda _: ready.set()), daemon=True)
    thread.start()
    ready.wait(20)
    stranger = DimseArchive(DimsePeer("us", "127.0.0.1", LISTENER, "MARROWSCOPE"), "STRANGER")
    try:
        stranger.send(study[:1])
        seen["stranger_refused"] = False
    except ExchangeError:
        seen["stranger_refused"] = True
    before = instances()
    ours = DimseArchive(DimsePeer("us", "127.0.0.1", LISTENER, "MARROWSCOPE"), "ORTHANC")
    ours.send(study)
    wait_for("drafts at the PACS", lambda: instances() >= before + 2)
    seen["modalities_after"] = sorted(web.find({"StudyInstanceUID": uid})[0].modalities)
    seen["instances_after"] = instances()
    with JobQueue(data / "jobs.sqlite") as queue:
        sent = queue.jobs([work.SEND])[0]
        work.send_drafts(sent.payload, _Quiet())
    seen["instances_after_again"] = instances()
    stop.set()
    thread.join(30)
    folder = next((data / "results").iterdir())
    try:
        check_kinds(read_results(folder), ("pdf",))
        seen["unsigned_pdf_refused"] = False
    except UsageError:
        seen["unsigned_pdf_refused"] = True
    release(folder, "Dr Test", "2026-01-02T00:00:00+00:00")
    check_kinds(read_results(folder), ("pdf",))
    seen["signed_pdf_sent"] = web.send([pydicom.dcmread(folder / "dicom" / "pdf.dcm")])
    return seen


class _Quiet:
    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing to show."""


if __name__ == "__main__":
    main()
