"""Time and memory of a cohort by its size: ``python -m benchmarks cohort_throughput WORK [--sizes 10 50 200]``.

Every study is the same small NIfTI pair (STIR and T1 of 72 x 72 x 12 voxels, bones given) under another name, so that
only the number of studies differs; ``--no-look`` because the same images twice would be refused. Figures: wall-clock
and processor seconds, the largest resident memory of a worker (as each study reports it) and of all together.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.processes import run_measured

SIZES = (10, 50, 200)
SHAPE, SPACING = (72, 72, 12), (1.0, 1.0, 3.0)
MARROW, MUSCLE, FAT, EDEMA = (60.0, 300.0), (100.0, 90.0), (25.0, 400.0), (240.0, 110.0)
"""Brightness of each tissue on STIR and T1."""

BONES = (np.s_[16:56, 8:32, 2:10], np.s_[16:56, 40:64, 2:10])
LESION = np.s_[24:36, 14:26, 4:8]


def write_study(folder: Path) -> None:
    """One study with its bones beside it."""
    folder.mkdir(parents=True)
    tissue = np.full(SHAPE, 1)
    tissue[:6], tissue[-6:] = 2, 2
    bones = np.zeros(SHAPE, np.uint8)
    for label, box in enumerate(BONES, start=1):
        tissue[box], bones[box] = 0, label
    tissue[LESION] = 3
    table, rng = np.array([MARROW, MUSCLE, FAT, EDEMA]), np.random.default_rng(1)
    affine = np.diag([*SPACING, 1.0])
    for n, name in enumerate(("stir", "t1")):
        image = np.abs(table[tissue, n] + rng.normal(0, 4, SHAPE)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, affine), folder / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(bones, affine), folder.parent / "bones.nii.gz")
    (folder.parent / "bones.yaml").write_text("1: femur\n2: tibia\n", encoding="utf-8")


def manifest(work: Path, size: int) -> Path:
    """A manifest of two visits each of ``size / 2`` subjects."""
    lines = ["subject,visit,study,site,side,bones"]
    for n in range(size):
        link = work / "links" / f"{n:05d}"
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            shutil.copytree(work / "study", link)
        lines.append(f"s{n // 2:04d},{n % 2 + 1},links/{n:05d},knee,left,bones.nii.gz")
    path = work / f"manifest_{size}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cohort_throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--workers", default="2")
    parser.add_argument("--light", action="store_true")
    given = parser.parse_args(arguments)
    if not (given.work / "study").exists():
        write_study(given.work / "study")
    for size in given.sizes:
        out = given.work / f"out_{size}"
        shutil.rmtree(out, ignore_errors=True)
        options = ["-o", str(out), "--workers", given.workers, "--no-look", "--quiet"]
        options += ["--light"] if given.light else []
        ran = run_measured(
            ["marrowscope", "cohort", str(manifest(given.work, size)), *options], given.work / f"log_{size}.txt"
        )
        states = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(out.glob("state/*.json"))]
        peaks = [s["peak_mb"] for s in states]
        print(
            f"{size} studies: exit {ran.code}, {ran.seconds:.0f} s wall, {ran.seconds / size:.2f} s a study, "
            f"{ran.cpu_seconds:.0f} s processor, worker at most {max(peaks):.0f} MB, all together {ran.peak_mb:.0f} MB",
            flush=True,
        )
    return 0
