"""A running app for tests: in this process, its workers in theirs; and a tiny study with a known bright spot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from starlette.testclient import TestClient

import study_files
from marrowscope.volume import ras_to_lps
from marrowscope.web.app import create_app
from marrowscope.web.settings import WebSettings
from needs import program

TOKEN = "t" * 24
PORT = 8571
BASE = f"http://127.0.0.1:{PORT}"
HOSTILE = "<script>alert(1)</script>\"'&lt;\u202egnol\u202c " + "x" * 300

SHAPE = (40, 48, 12)
SPACING = (1.0, 1.0, 4.0)
NAMES = b"1: femur\n2: tibia\n"


@contextmanager
def running(data: Path, *, reader: str = "Dr Test", **settings: Any) -> Iterator[TestClient]:
    """A signed-in client of an app whose workers run."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent / "src")
    gate, _ = create_app(WebSettings(data=data, port=PORT, token=TOKEN, **settings))
    with TestClient(gate, base_url=BASE, headers={"origin": BASE}) as client:
        answer = client.get(f"/sign-in?token={TOKEN}")
        assert answer.status_code == 200, answer.text
        if reader:
            assert client.post("/reader", data={"name": reader}).status_code == 200
        yield client


def tiny_arrays() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Fluid, T1 and mask: two bones and one bright spot in the first."""
    rng = np.random.default_rng(5)
    bones = np.zeros(SHAPE, dtype=np.uint8)
    bones[8:32, 6:22, 1:11] = 1
    bones[8:32, 26:42, 1:11] = 2
    fluid = np.full(SHAPE, 300.0) + rng.normal(0, 12, SHAPE)
    fluid[bones > 0] = 100 + rng.normal(0, 8, int((bones > 0).sum()))
    fluid[13:22, 10:18, 3:7] = 420
    fluid[10:12, 22:26, 2:10] = 900
    t1 = np.where(bones > 0, 800.0, 300.0) + rng.normal(0, 12, SHAPE)
    return fluid, t1, bones


def tiny_study() -> dict[str, bytes]:
    """Fluid and T1 as NIfTI, and the mask of the bones."""
    fluid, t1, bones = tiny_arrays()
    affine = np.diag([*SPACING, 1.0])
    return {
        "stir_sag.nii.gz": nifti(fluid.astype(np.float32), affine),
        "t1_sag.nii.gz": nifti(t1.astype(np.float32), affine),
        "bones": nifti(bones, affine),
    }


def tiny_dicom() -> dict[str, bytes]:
    """The same as DICOM, axial, 1 mm pixels; the mask stays NIfTI."""
    fluid, t1, bones = tiny_arrays()
    lps = study_files.affine(study_files.AXIAL) @ np.diag([1 / 0.7, 1 / 0.5, 1.0, 1.0])
    parts = {"bones": nifti(bones, ras_to_lps(lps))}
    stir = {"RepetitionTime": 4000, "EchoTime": 60, "SeriesDescription": "t2 fs"}
    plain = {"RepetitionTime": 600, "EchoTime": 12, "SeriesDescription": "t1", "ScanOptions": ""}
    for number, array, physics in ((1, fluid, stir), (2, t1, plain)):
        values = np.clip(array, 0, None).astype(np.uint16)
        for k in range(SHAPE[2]):
            ds = study_files.instance(
                values, k, series=number, orientation=study_files.AXIAL, PixelSpacing=[1.0, 1.0], **physics
            )
            parts[f"{number}-{k}.dcm"] = study_files.encoded(ds)
    return parts


def nifti(array: np.ndarray[Any, Any], affine: np.ndarray[Any, Any]) -> bytes:
    import gzip

    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 1)


def upload(client: TestClient, label: str = "tiny", dicom: bool = False, **fields: str) -> str:
    """Drop the tiny study; returns its id."""
    parts = tiny_dicom() if dicom else tiny_study()
    files: list[Any] = [("bones", ("m.nii.gz", parts.pop("bones"))), ("bones", ("m.yaml", NAMES))]
    files += [("files", (name, content)) for name, content in parts.items()]
    answer = client.post("/api/studies", files=files, data={"label": label, "site": "knee", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def assessed(client: TestClient, label: str = "tiny", dicom: bool = False, **fields: str) -> str:
    """Drop the tiny study and wait for its result."""
    study = upload(client, label, dicom, **fields)
    until(lambda: "hx-refresh" in client.get(f"/studies/{study}/progress").headers)
    assert client.get(f"/api/studies/{study}/state").status_code == 200, client.get(f"/studies/{study}").text
    return study


def state(client: TestClient, study: str, revision: int | None = None) -> Mapping[str, Any]:
    query = f"?revision={revision}" if revision else ""
    data: Mapping[str, Any] = client.get(f"/api/studies/{study}/state{query}").json()
    return data


def edit(client: TestClient, study: str, **change: Any) -> Any:
    """POST an edit under a fresh request name."""
    return client.post(f"/api/studies/{study}/edits", json={"request": uuid.uuid4().hex, **change})


def volume(found: Mapping[str, Any]) -> float:
    """Edema volume of a state in cm3."""
    return next(float(t["value"].split()[0]) for t in found["totals"] if t["code"] == "edema_volume")


@pytest.fixture
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own on a socket in a temporary folder; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    owner: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        owner = ["runuser", "-u", "postgres", "--"]
    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    initdb, control = str(program("initdb")), str(program("pg_ctl"))
    quietly([*owner, initdb, "-D", data, "-U", "reader", "-A", "trust", "-E", "UTF8"], folder)
    quietly([*owner, control, "-D", data, "-o", options, "-w", "start"], folder)
    try:
        yield f"postgresql://reader@/postgres?host={folder}"
    finally:
        quietly([*owner, control, "-D", data, "-m", "immediate", "stop"], folder)
        shutil.rmtree(folder, ignore_errors=True)


def quietly(command: list[str], folder: Path) -> None:
    nowhere = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=nowhere, stderr=nowhere, cwd=folder)
