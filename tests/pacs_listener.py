"""``marrowscope listen`` with a stand-in for the assessment: what is tried is that nothing is lost and nothing doubled.

    python pacs_listener.py DATA PEERS PORT TEMPLATES SECONDS

The stand-in takes SECONDS, then writes a results folder whose SEG and SR are the templates under the study's own UIDs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TEMPLATES, SECONDS = "MARROWSCOPE_TEST_TEMPLATES", "MARROWSCOPE_TEST_SECONDS"


def stand_in(payload: dict[str, Any], context: Any) -> dict[str, Any]:
    import pydicom

    from marrowscope.exchange.uids import derived_uid
    from marrowscope.listener.work import superseded
    from marrowscope.results import write_folder, write_text

    out = Path(payload["out"])
    if (out / "assessment.json").is_file():
        return {"out": out.name}
    if superseded(payload):
        return {"out": out.name, "superseded": "more images came"}
    steps = max(1, int(float(os.environ[SECONDS]) / 0.1))
    for n in range(steps):
        context.progress("assessing", n, steps)
        time.sleep(0.1)
    files = sorted(Path(payload["study"]).glob("*.dcm"))
    source = pydicom.dcmread(files[0], stop_before_pixels=True)
    content = "".join(f.name for f in files)

    def objects(folder: Path) -> None:
        (folder / "dicom").mkdir()
        for kind in ("seg", "sr"):
            ds = pydicom.dcmread(Path(os.environ[TEMPLATES]) / f"{kind}.dcm")
            ds.StudyInstanceUID, ds.PatientID = source.StudyInstanceUID, source.PatientID
            ds.SeriesInstanceUID = derived_uid("series", kind, content)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived_uid(kind, content)
            ds.save_as(folder / "dicom" / f"{kind}.dcm", enforce_file_format=True)

    said = {
        "assessment": lambda folder: write_text(folder, "assessment.json", json.dumps({"files": len(files)})),
        "objects": objects,
    }
    write_folder(out, said)
    return {"out": out.name}


def listen_words(data: str, port: str, peers: str) -> list[str]:
    """Words after ``marrowscope``."""
    return ["listen", "--data", data, "--allow", "ORTHANC=127.0.0.1", "--port", port, "--quiet-seconds", "5",
            "--to", "pacs", "--peers", peers]  # fmt: skip


if __name__ == "__main__":
    from marrowscope.cli import run
    from marrowscope.listener import work

    data, peers, port, os.environ[TEMPLATES], os.environ[SECONDS] = sys.argv[1:6]
    work.KINDS[work.ASSESS] = "pacs_listener:stand_in"
    sys.exit(run(listen_words(data, port, peers)))
