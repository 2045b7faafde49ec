"""Run inside a network namespace by test_pacs: the reading room finds, gets, assesses, signs and sends with Orthanc."""

from __future__ import annotations

import json
import re
import sys
import time

import httpx2 as httpx

from browser import free_port, serving
from marrowscope.exchange.dicomweb import WebArchive
from marrowscope.exchange.peers import WebPeer
from pacs_round import NAME, WEB, phantom_study, root, start_orthanc, wait_for

PATIENT = "PACS-0815"


def main() -> None:
    server = start_orthanc()
    try:
        print(json.dumps(round_trip()))
    finally:
        server.terminate()
        server.wait(20)


def round_trip() -> dict[str, object]:
    study = phantom_study(root / "study")
    for ds in study:
        ds.PatientID = PATIENT
    uid = str(study[0].StudyInstanceUID)
    url = f"http://127.0.0.1:{WEB}/dicom-web"
    pacs = WebArchive(WebPeer("hospital", url))
    pacs.send(study)
    peers = root / "peers.toml"
    peers.write_text(f'[peers.hospital]\nkind = "dicomweb"\nurl = "{url}"\n')
    seen: dict[str, object] = {"sent_first": len(study)}
    with serving(root / "data", free_port(), "--peers", str(peers)) as address:
        base, token = address.split("/sign-in?token=")
        headers = {"authorization": f"Bearer {token}", "x-reader": "Dr Web"}
        with httpx.Client(base_url=base, headers=headers, timeout=300, follow_redirects=True) as client:
            read_and_send(client, uid, seen)
    seen["modalities"] = sorted(pacs.find({"StudyInstanceUID": uid})[0].modalities)
    words = (root / "data" / "worker.log").read_text() if (root / "data" / "worker.log").exists() else ""
    seen["name_in_log"] = NAME.split("^")[0] in words or PATIENT in words
    return seen


def read_and_send(client: httpx.Client, uid: str, seen: dict[str, object]) -> None:
    for _ in range(300):
        try:
            client.get("/healthz")
            break
        except httpx.ConnectError:
            time.sleep(0.2)
    none = client.post("/pacs/find", data={"peer": "hospital", "patient": "NOBODY"}).text
    found = client.post("/pacs/find", data={"peer": "hospital", "patient": PATIENT}).text
    seen["found"] = [uid in found, uid in none, "Zebraleigh" in found]
    seen["refused"] = [
        client.post("/pacs/find", data={"peer": "hospital", "patient": "*"}).status_code,
        client.post("/pacs/find", data={"peer": "elsewhere", "patient": PATIENT}).status_code,
    ]
    page = client.post("/pacs", data={"peer": "hospital", "study_uid": uid, "label": "from the PACS", "site": "knee"})
    study = re.fullmatch(r".*/studies/([0-9a-f]{12})", str(page.url))[1]
    path = f"/studies/{study}"
    wait_for("the assessment", lambda: "hx-refresh" in client.get(f"{path}/progress").headers, 400)
    state = client.get(f"/api{path}/state").json()
    seen["lesions"] = len(state["lesions"])
    seen["unsigned"] = client.post(f"{path}/send", data={"peer": "hospital", "revision": "1"}).status_code
    client.post(f"{path}/sign", data={"revision": "1"}).raise_for_status()
    sent = client.post(f"{path}/send", data={"peer": "hospital", "revision": "2"})
    seen["sent"] = [sent.status_code, "sent" in sent.text]


if __name__ == "__main__":
    sys.exit(main())
