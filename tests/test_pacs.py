"""A real PACS (Orthanc, in its own network namespace): find, get, send, listen, and what must not leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.needs("orthanc")
def test_a_study_goes_round_through_orthanc(tmp_path: Path) -> None:
    # Orthanc listens on every address: server and clients share a namespace that has loopback alone.
    script = f"ip link set lo up && exec {sys.executable} {HERE / 'pacs_round.py'} {tmp_path}"
    source = str(HERE.parent / "src")
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{source}:{HERE}", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["found_by_web"] == seen["found_by_dimse"] == 1
    assert seen["got_by_web"] == seen["got_by_dimse"] == seen["sent"]
    assert seen["modalities_after"] == ["MR", "SEG", "SR"]
    assert seen["instances_after_again"] == seen["instances_after"]  # sending again never doubles
    assert seen["stranger_refused"]
    assert seen["unsigned_pdf_refused"]
    assert seen["signed_pdf_sent"] == 1
    assert not seen["name_in_log"]
