"""A real PACS (Orthanc, in its own network namespace): find, get, send, listen, and what must not leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def in_namespace(script: str, *words: str, seconds: float) -> dict[str, Any]:
    """Run a script where Orthanc may listen on every address: a namespace that has loopback alone."""
    line = " ".join(("ip link set lo up && exec", sys.executable, str(HERE / script), *words))
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", line],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{HERE.parent / 'src'}:{HERE}", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.needs("orthanc")
def test_a_study_goes_round_through_orthanc(tmp_path: Path) -> None:
    seen = in_namespace("pacs_round.py", str(tmp_path), seconds=180)
    assert seen["found_by_web"] == seen["found_by_dimse"] == 1
    assert seen["got_by_web"] == seen["got_by_dimse"] == seen["sent"]
    assert seen["modalities_after"] == ["MR", "SEG", "SR"]
    assert seen["instances_after_again"] == seen["instances_after"]  # sending again never doubles
    assert seen["stranger_refused"]
    assert seen["unsigned_pdf_refused"]
    assert seen["signed_pdf_sent"] == 1
    assert not seen["name_in_log"]


@pytest.mark.needs("orthanc")
def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    # Two kills, about 30 s, most of it quiet times and starts; thirty, and a burst: python -m benchmarks listener.
    seen = in_namespace("pacs_kills.py", str(tmp_path), "2", "2", "3", "1.0", "7", seconds=240)
    assert seen["arrived"] == {"SEG": 2, "SR": 2}
    assert seen["complete"] == seen["results"] == seen["whole"] == 2
    assert seen["received"] == 6
    assert not seen["name_in_log"]
