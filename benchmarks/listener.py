"""``python -m benchmarks listener [--kills 30 --studies 20] [--burst 200] [--study FOLDER]``: ``listen`` with Orthanc.

Kills: SIGKILL at random moments, to the listener alone or to it and its workers at once; then every study must lie at
Orthanc with one SEG and one SR. Burst: studies sent without a pause; all must be done, the listener's memory flat. With
``--study`` the real program assesses copies of that DICOM study, cut to the middle slices of each series; else the
assessment is a stand-in (tests/pacs_listener.py). Orthanc and all clients share a network namespace of their own.
Needs Orthanc, unshare and ip. Exit code 1 when anything was lost or doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLICES, REAL_SLICES = 3, 12
"""Slices of a series, for the stand-in and for the real assessment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked, print a line of JSON each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks listener", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--burst", type=int, default=0)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--study", type=Path, help="assess copies of this DICOM study for real")
    parser.add_argument("--slices", type=int, help="slices of each series that are kept")
    chosen = parser.parse_args(arguments)
    asked = (0, chosen.burst, "0.1") if chosen.burst else (chosen.kills, chosen.studies, "1.0")
    slices = chosen.slices or (REAL_SLICES if chosen.study else SLICES)
    return int(not sound(outcome(*asked, chosen.seed, slices, chosen.study)))


def outcome(
    kills: int, studies: int, seconds: str, seed: int, slices: int, study: Path | None = None
) -> dict[str, object]:
    """What tests/pacs_kills.py saw."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(ROOT / "tests" / "pacs_kills.py"), folder]
        words += [str(kills), str(studies), str(slices), seconds, str(seed)]
        words += [str(study.resolve())] if study else []
        done = subprocess.run(
            ["unshare", "-n", "sh", "-c", f"ip link set lo up && exec {' '.join(words)}"],
            stdout=subprocess.PIPE, text=True, check=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    said = done.stdout.splitlines()[-1]
    print(said)
    found: dict[str, object] = json.loads(said)
    return found


def sound(seen: dict[str, object]) -> bool:
    """Nothing lost, nothing doubled, nobody named."""
    count = seen["studies"]
    once = seen["complete"] == seen["results"] == seen["whole"] == count
    return once and seen["arrived"] == {"SEG": count, "SR": count} and not seen["name_in_log"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
