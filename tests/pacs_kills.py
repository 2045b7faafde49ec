"""Run inside a network namespace: the listener under kill -9, or under a burst, with Orthanc at the other end.

    python pacs_kills.py FOLDER KILLS STUDIES SLICES SECONDS SEED [STUDY]

Prints one line of JSON: what arrived, how often, and the listener's memory on the way. With STUDY, a folder of DICOM
images, the listener is ``marrowscope listen`` itself and every study a copy of the middle SLICES of each series under
its own UIDs; without it the assessment is a stand-in that takes SECONDS (pacs_listener.py).
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Callable
from copy import deepcopy
from functools import partial
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
from pacs_listener import listen_words
from pacs_round import DIMSE, LISTENER, WEB, start_orthanc

HERE = Path(__file__).parent
UNTIL_QUIET, UNTIL_ASSESSED = 9.0, 40.0
"""Seconds a killed listener has run at most: longer than the quiet time (and, for the real one, than an assessment), so
that kills meet every part of the work."""

PATIENCE_SECONDS, REAL_PATIENCE_SECONDS = 8, 60
"""How long a study may take before the rest is called lost."""

TOLD_SECONDS = 30.0

Make = Callable[[int], list[pydicom.Dataset]]


class Keeper:
    """Starts the listener in a process group of its own, kills it, starts it again."""

    def __init__(self, root: Path, seconds: str, real: bool) -> None:
        data, peers = str(root / "data"), str(root / "peers.toml")
        stand_in = [str(HERE / "pacs_listener.py"), data, peers, str(LISTENER), str(root / "templates"), seconds]
        self.command = [
            sys.executable,
            *(["-m", "marrowscope", *listen_words(data, str(LISTENER), peers)] if real else stand_in),
        ]
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

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory of the listener, and of its workers together."""
        assert self.process is not None
        listener = psutil.Process(self.process.pid)
        workers = 0
        for child in listener.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                workers += child.memory_info().rss
        return listener.memory_info().rss / 1024**2, workers / 1024**2


def make_study(n: int, slices: int) -> list[pydicom.Dataset]:
    made = study_files.series(study_files.truth()[:, :, :slices])
    for k, ds in enumerate(made):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{study_files.ROOT}.7.{n}", f"{study_files.ROOT}.7.{n}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study_files.ROOT}.7.{n}.1.{k + 1}"
        ds.PatientID, ds.PatientName = f"ID{n}", "Zebraleigh^Quendolin"
    return made


def copies(study: Path, slices: int) -> Make:
    """Copies of the middle slices of each series under their own UIDs, made when they are asked for."""
    read = [pydicom.dcmread(p) for p in sorted(study.rglob("*")) if p.is_file()]
    series: dict[str, list[pydicom.Dataset]] = {}
    for ds in sorted(read, key=lambda d: int(d.InstanceNumber)):
        series.setdefault(str(ds.SeriesInstanceUID), []).append(ds)
    middle = [own[(len(own) - slices) // 2 :][:slices] for own in series.values()]

    def copy(n: int) -> list[pydicom.Dataset]:
        made = []
        for number, own in enumerate(middle, start=1):
            for k, one in enumerate(own, start=1):
                ds = deepcopy(one)
                ds.StudyInstanceUID, ds.SeriesInstanceUID = (
                    f"{study_files.ROOT}.7.{n}",
                    f"{study_files.ROOT}.7.{n}.{number}",
                )
                ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study_files.ROOT}.7.{n}.{number}.{k}"
                ds.PatientID, ds.PatientName = f"ID{n}", "Zebraleigh^Quendolin"
                made.append(ds)
        return made

    return copy


def make_templates(folder: Path) -> None:
    study = read_study(study_files.save(study_files.series(study_files.truth()), folder / "study"))
    assessed = dicom_results.assessed(study, study.series[0])
    assert assessed.objects is not None
    o = assessed.objects
    masks = {"lesions": o.lesions, "bones": o.anatomy.bones, "regions": o.anatomy.regions}
    for kind, ds in dicom_objects(assessed.assessment, masks, Source.of(study, study.series[0])).items():
        ds.save_as(folder / f"{kind}.dcm", enforce_file_format=True)


def send_all(make: Make, count: int) -> None:
    """As a modality does: again until it was told that every image was taken."""
    ours = DimseArchive(DimsePeer("us", "127.0.0.1", LISTENER, "MARROWSCOPE"), "ORTHANC")
    for study in map(make, range(count)):
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


def run(
    root: Path, kills: int, count: int, slices: int, seconds: str, seed: int, study: Path | None = None
) -> dict[str, object]:
    make = partial(make_study, slices=slices) if study is None else copies(study, slices)
    if study is None:
        make_templates(root / "templates")
    (root / "peers.toml").write_text(
        f'[peers.pacs]\nkind = "dimse"\nhost = "127.0.0.1"\nport = {DIMSE}\nae_title = "ORTHANC"\n'
    )
    rng, keeper, began = random.Random(seed), Keeper(root, seconds, study is not None), time.monotonic()
    keeper.start()
    sender = threading.Thread(target=send_all, args=(make, count), daemon=True)
    sender.start()
    groups = 0
    for n in range(kills):
        time.sleep(rng.uniform(0.0, UNTIL_ASSESSED if study else UNTIL_QUIET))
        group = rng.random() < 0.5
        groups += group
        keeper.kill(group)
        keeper.start()
        tell(f"kill {n + 1}", began)
    patience = REAL_PATIENCE_SECONDS if study else PATIENCE_SECONDS
    memory = wait_for(keeper, 2 * count, began, began + 60 + 20 * kills + patience * count)
    sender.join(1)
    took = time.monotonic() - began
    time.sleep(3)  # a doubled one would arrive now
    keeper.end()
    images, folders = len(make(0)), list((root / "data" / "results").iterdir())
    results = [p for p in folders if not p.name.startswith(".")]
    return {
        "kills": kills, "of_all_processes": groups, "studies": count, "seconds": round(took, 1),
        "complete": sum(c == Counter({"SEG": 1, "SR": 1}) for c in stored().values()),
        "arrived": dict(sum(stored().values(), Counter())),
        "received": sum(1 for _ in (root / "data" / "spool").rglob("*.dcm")),
        "results": len(results),
        "whole": sum(images_of(p / "assessment.json") == images for p in results if (p / "assessment.json").is_file()),
        "left_half_written": len(folders) - len(results),
        "memory_mb": memory_curve([m for m, _ in memory]),
        "workers_mb": memory_curve([w for _, w in memory]),
    }  # fmt: skip


def wait_for(keeper: Keeper, objects: int, began: float, until: float) -> list[tuple[float, float]]:
    """Memory on the way until that many objects have arrived or the time is over."""
    memory: list[tuple[float, float]] = []
    told = time.monotonic()
    while (there := counted()) < objects and time.monotonic() < until:
        memory.append(keeper.memory_mb())
        if time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            tell(f"{there} of {objects} objects, listener {memory[-1][0]:.0f} MB", began)
        time.sleep(0.5)
    return memory


def tell(words: str, began: float) -> None:
    """Progress, on standard error."""
    print(f"{time.monotonic() - began:.0f} s: {words}", file=sys.stderr, flush=True)


def images_of(assessment: Path) -> int:
    """How many images a result rests on."""
    said = json.loads(assessment.read_text())
    return int(said["files"]) if "files" in said else sum(s["shape"][2] for s in said["series"])


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
        numbers = [int(sys.argv[n]) for n in (2, 3, 4, 6)]
        given = Path(sys.argv[7]) if len(sys.argv) > 7 else None
        outcome = run(folder, *numbers[:3], sys.argv[5], numbers[3], given)
    finally:
        orthanc.terminate()
        orthanc.wait(20)
    outcome["name_in_log"] = "Zebraleigh" in (folder / "listener.log").read_text()
    print(json.dumps(outcome))
