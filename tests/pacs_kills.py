"""Run inside a network namespace: the listener under kill -9, or under a burst, with Orthanc at the other end.

    python pacs_kills.py FOLDER KILLS STUDIES SLICES SECONDS SEED

Prints one line of JSON: what arrived, how often, and the listener's memory on the way.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pydicom

import dicom_results
import study_files
from marrowscope.errors import ExchangeError
from marrowscope.exchange.dimse import DimseArchive
from marrowscope.exchange.peers import DimsePeer
from marrowscope.exchange.source import Source
from marrowscope.exchange.write import dicom_objects
from marrowscope.study import read_study
from pacs_round import DIMSE, LISTENER, WEB, start_orthanc

HERE = Path(__file__).parent
UNTIL_QUIET = 9.0
"""Seconds a killed listener has run at most: longer than the quiet time, so that kills meet every part of the work."""


class Keeper:
    """Starts the listener in a process group of its own, kills it, starts it again."""

    def __init__(self, root: Path, seconds: str) -> None:
        self.command = [
            sys.executable, str(HERE / "pacs_listener.py"), str(root / "data"), str(root / "peers.toml"),
            str(LISTENER), str(root / "templates"), seconds,
        ]  # fmt: skip
        self.log = (root / "listener.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True, cwd=HERE
        )
        assert self.process.stdout is not None
        if b"listening" not in self.process.stdout.readline():
            raise SystemExit("the listener did not start")

    def kill(self, group: bool) -> None:
        """SIGKILL: to the listener alone (its workers notice), or to all of them (a power cut)."""
        assert self.process is not None
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def memory_mb(self) -> float:
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss / 1024**2


def make_study(n: int, slices: int) -> list[pydicom.Dataset]:
    made = study_files.series(study_files.truth()[:, :, :slices])
    for k, ds in enumerate(made):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{study_files.ROOT}.7.{n}", f"{study_files.ROOT}.7.{n}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study_files.ROOT}.7.{n}.1.{k + 1}"
        ds.PatientID, ds.PatientName = f"ID{n}", "Zebraleigh^Quendolin"
    return made


def make_templates(folder: Path) -> None:
    study = read_study(study_files.save(study_files.series(study_files.truth()), folder / "study"))
    assessed = dicom_results.assessed(study, study.series[0])
    assert assessed.objects is not None
    o = assessed.objects
    masks = {"lesions": o.lesions, "bones": o.anatomy.bones, "regions": o.anatomy.regions}
    for kind, ds in dicom_objects(assessed.assessment, masks, Source.of(study, study.series[0])).items():
        ds.save_as(folder / f"{kind}.dcm", enforce_file_format=True)


def send_all(studies: list[list[pydicom.Dataset]]) -> None:
    """As a modality does: again until it was told that every image was taken."""
    ours = DimseArchive(DimsePeer("us", "127.0.0.1", LISTENER, "MARROWSCOPE"), "ORTHANC")
    for study in studies:
        while True:
            try:
                ours.send(study)
                break
            except ExchangeError:
                time.sleep(0.3)


def stored() -> dict[str, Counter[str]]:
    """PatientID to the instances Orthanc holds of it, by modality."""
    with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/series?expand") as answer:
        series = json.load(answer)
    found: dict[str, Counter[str]] = {}
    for one in series:
        with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/series/{one['ID']}/patient") as answer:
            patient = json.load(answer)["MainDicomTags"]["PatientID"]
        found.setdefault(patient, Counter())[one["MainDicomTags"]["Modality"]] += len(one["Instances"])
    return found


def counted() -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/statistics") as answer:
        return int(json.load(answer)["CountInstances"])


def run(root: Path, kills: int, count: int, slices: int, seconds: str, seed: int) -> dict[str, object]:
    studies = [make_study(n, slices) for n in range(count)]
    make_templates(root / "templates")
    (root / "peers.toml").write_text(
        f'[peers.pacs]\nkind = "dimse"\nhost = "127.0.0.1"\nport = {DIMSE}\nae_title = "ORTHANC"\n'
    )
    rng, keeper, began = random.Random(seed), Keeper(root, seconds), time.monotonic()
    keeper.start()
    sender = threading.Thread(target=send_all, args=(studies,), daemon=True)
    sender.start()
    groups = 0
    for _ in range(kills):
        time.sleep(rng.uniform(0.0, UNTIL_QUIET))
        group = rng.random() < 0.5
        groups += group
        keeper.kill(group)
        keeper.start()
    memory = []
    while counted() < 2 * count and time.monotonic() - began < 60 + 20 * kills + 8 * count:
        memory.append(keeper.memory_mb())
        time.sleep(0.5)
    sender.join(1)
    took = time.monotonic() - began
    time.sleep(3)  # a doubled one would arrive now
    keeper.end()
    return {
        "kills": kills, "of_all_processes": groups, "studies": count, "seconds": round(took, 1),
        "complete": sum(c == Counter({"SEG": 1, "SR": 1}) for c in stored().values()),
        "arrived": dict(sum(stored().values(), Counter())),
        "received": sum(1 for _ in (root / "data" / "spool").rglob("*.dcm")),
        "results": sum(1 for p in (root / "data" / "results").iterdir() if not p.name.startswith(".")),
        "whole": sum(
            json.loads(p.read_text())["files"] == slices for p in (root / "data" / "results").glob("*/assessment.json")
        ),
        "memory_mb": memory_curve(memory),
    }  # fmt: skip


def memory_curve(memory: list[float]) -> list[float]:
    """The listener's resident memory, at eleven times evenly spread."""
    return (
        [round(float(m), 1) for m in np.array(memory)[np.linspace(0, len(memory) - 1, 11).astype(int)]]
        if memory
        else []
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    orthanc = start_orthanc()
    try:
        outcome = run(folder, int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], int(sys.argv[6]))
    finally:
        orthanc.terminate()
        orthanc.wait(20)
    outcome["name_in_log"] = "Zebraleigh" in (folder / "listener.log").read_text()
    print(json.dumps(outcome))
