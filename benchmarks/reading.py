"""How fast a whole study is read and judged, and what the pixel checks say of every exam at hand.

python -m benchmarks reading            speed and memory: 500 slices in 20 series, in a process of its own
python -m benchmarks reading --quality  quality checks over the development data, one row an exam
python -m benchmarks reading --faults 8 detection and false alarms on simulated knees, 8 seeds with each fault
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import ROOT

SERIES, SLICES, SIDE = 20, 25, 320
ROLES = ("STIR", "T1", "T2")
STIRS = ("1007", "1012", "1013", "1016", "1234", "2015")


def write_study(folder: Path) -> None:
    """20 series of 25 slices, 320x320: fluid, T1 and T2 in turns, a limb with texture in each."""
    from study_files import instance

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    limb = np.where(np.hypot(x, y) < 120, 400, 8)[..., None]
    for number in range(1, SERIES + 1):
        kind = ROLES[number % len(ROLES)]
        array = (limb + rng.integers(0, 60, (SIDE, SIDE, SLICES))).astype(np.uint16)
        physics = {"STIR": (4000, 60, "FS"), "T1": (600, 12, ""), "T2": (4000, 90, "")}[kind]
        for k in range(SLICES):
            ds = instance(array, k, series=number, PixelSpacing=[0.5, 0.5])
            ds.RepetitionTime, ds.EchoTime, ds.ScanOptions = physics
            ds.SeriesDescription = kind
            path = folder / f"{number:02d}" / f"{k:03d}"
            path.parent.mkdir(exist_ok=True)
            ds.save_as(path, enforce_file_format=True)


def speed(repeats: int) -> None:
    """Median seconds and peak memory of ``marrowscope inspect --json`` over the whole study."""
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder))
        command = [sys.executable, "-m", "marrowscope", "inspect", folder, "--json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        seconds, cpu = [], []
        for _ in range(repeats):
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, capture_output=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(time.perf_counter() - start)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    wall, busy = statistics.median(seconds), statistics.median(cpu)
    print(f"{SERIES * SLICES} slices in {SERIES} series: median {wall:.2f} s, {busy:.2f} s of CPU, peak {peak:.0f} MB")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def quality(shared: Path) -> None:
    """One row an exam: every check of its fluid series that is not OK, and the figures behind all."""
    from marrowscope.study import Role, Study, read_study
    from test_study_qc import KNEES, write_knee

    def row(name: str, study: Study) -> None:
        fluid = next(s for s in study.series if s.role is Role.FLUID)
        figures = {c.code: c.value.value for c in fluid.qc if c.value is not None and c.value.value is not None}
        alarms = [f"{c.code}: {c.severity}" for c in fluid.qc if c.severity not in ("ok", "note")]
        shown = " ".join(f"{code} {value:.2f}" for code, value in sorted(figures.items()))
        print(f"{name:8} {', '.join(alarms) or '-':28} {shown}")

    for exam in KNEES:
        with tempfile.TemporaryDirectory() as folder:
            files = write_knee(shared / "data" / "knee_clinical" / f"{exam}.npz", Path(folder))
            row(exam, read_study(Path(folder), series=files))
    for case in STIRS:
        row(case, read_study(shared / "data" / "si_joint" / case))


def faults(seeds: int, first: int = 1000) -> None:
    """How often each check warns: knees of every fluid class, noise and field, without and with one fault each."""
    from marrowscope.simulate import Fault, KneeOptions, knee, write_dicom
    from marrowscope.study import Role, read_study

    found: dict[str, Counter[str]] = {}
    for seed in range(first, first + seeds):
        facts = {"fluid": ("pd_fs", "t2_fs", "stir")[seed % 3], "noise": ("low", "medium", "high")[seed // 3 % 3]}
        for fault in (None, *Fault):
            wrong = () if fault is None else (fault,)
            study = knee(seed, KneeOptions(**facts, field_t=(3.0, 1.5)[seed % 2], faults=wrong, voxel_mm=1.0))
            with tempfile.TemporaryDirectory() as folder:
                write_dicom(study, Path(folder))
                fluid = read_study(Path(folder)).with_role(Role.FLUID)[0]
            row = found.setdefault(str(fault or "none") + (" (stir)" if facts["fluid"] == "stir" else ""), Counter())
            row["exams"] += 1
            row.update(check.code for check in fluid.qc if check.severity not in ("ok", "note"))
    for name, row in found.items():
        print(f"{name:24}", ", ".join(f"{code} {count}" for code, count in sorted(row.items())))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure speed, or print the quality table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks reading", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--faults", type=int, default=0, metavar="SEEDS")
    options = parser.parse_args(arguments)
    if options.faults:
        faults(options.faults)
    elif options.quality:
        quality(options.shared)
    else:
        speed(options.repeats)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
