"""The reading room and a real PACS (Orthanc, in its own network namespace): find, get, assess, sign, send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.needs("orthanc")
def test_the_reading_room_gets_a_study_and_sends_the_signed_result(tmp_path: Path) -> None:
    """Takes half a minute: a whole knee goes through the assessment, as it would in a hospital."""
    script = f"ip link set lo up && exec {sys.executable} {HERE / 'pacs_web_round.py'} {tmp_path}"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{HERE.parent / 'src'}:{HERE}", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["found"] == [True, False, False], "found by its number, and no name is shown"
    assert seen["refused"] == [422, 422], "no wildcard, no peer that was not named"
    assert seen["lesions"] >= 1
    assert seen["unsigned"] == 409
    assert seen["sent"] == [200, True]
    assert {"MR", "SEG", "SR"} <= set(seen["modalities"])
    assert not seen["name_in_log"]
