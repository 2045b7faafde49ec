"""Paint evenly bright edema into one femoral condyle of real knee exams and read the exam anew.

    python -m benchmarks knee_painted DATA/knee_clinical [--exams 0009,1133]

The bones are found on the exam as it is; the marrow of the last ``REACH_MM`` of the femur on one side of its middle
slice is raised by a share of the way from its own median to the brightest fluid, its own texture kept, its border
blurred by a pixel. The whole chain then reads the painted exam, bones included. Only exams without plain edema serve.
The brightness over muscle is printed: below 1.15 the rule on large plain marrow does not speak (decision 0019).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

import knee_clinical_data as clinical
from marrowscope.assessment.pipeline import detect, prepare
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.measure import counted
from marrowscope.lesion.types import Objects
from marrowscope.study import Study

EXAMS = ("0009", "1133", "0004", "0006", "1122", "0001")
SHARES = (0.35, 0.7)
REACH_MM = 22.0
BRIGHTEST = 99.9
"""Percentile of the fluid series that counts as the brightest fluid."""


def condyles(objects: Objects) -> tuple[BoolArray, BoolArray]:
    """Femoral marrow near the joint, before and after the middle slice, on the fluid grid (column, row, slice)."""
    femur = objects.anatomy.bones.mask("femur")
    used = np.nonzero(femur)
    bottom = int(np.percentile(used[1], 99.5))
    near = femur & (np.arange(femur.shape[1]) > bottom - REACH_MM / clinical.PIXEL_MM)[None, :, None]
    middle = np.median(np.nonzero(near)[2])
    before = np.arange(femur.shape[2])[None, None, :] < middle
    return near & before, near & ~before


def painted(study: Study, where: BoolArray, share: float) -> Study:
    """The study with its fluid series raised inside ``where``."""
    fluid = study.series[0].volume
    array = fluid.array.astype(np.float32)
    marrow = float(np.median(array[where]))
    more = share * (float(np.percentile(array, BRIGHTEST)) - marrow)
    soft = ndimage.gaussian_filter(where.astype(np.float32), (1, 1, 0))
    changed = replace(study.series[0], volume=fluid.with_array(array + more * soft))
    return replace(study, series=(changed, *study.series[1:]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--exams", default=",".join(EXAMS))
    args = parser.parse_args(arguments)
    off, inside = [], []
    for exam in args.exams.split(","):
        study = clinical.study(args.data, exam)
        for number, where in enumerate(condyles(detect(prepare(study))), start=1):
            cells = [f"{exam} condyle {number}"]
            for share in SHARES:
                changed = painted(study, where, share)
                objects = detect(prepare(changed))
                muscle = objects.reference.muscle if objects.reference else None
                bright = np.median(changed.series[0].volume.array[where])
                over = f"{bright / muscle:.1f} x muscle" if muscle else "muscle not known"
                found = counted(objects)
                grid = objects.exam.image
                if found.shape != where.shape:
                    raise SystemExit(f"{exam}: the chain worked on {found.shape}, painted on {where.shape}")
                cm3 = grid.voxel_volume_mm3 / 1000
                off.append(found.sum() / where.sum() - 1)
                inside.append((found & where).sum() / where.sum())
                sizes = f"{where.sum() * cm3:.1f} > {found.sum() * cm3:.1f} cm3"
                cells.append(f"{share:.0%} ({over}): {sizes}, {inside[-1]:.0%} of it")
            print("; ".join(cells), flush=True)
    print(f"{len(off)} trials: {min(off):+.0%} to {max(off):+.0%}")
    print(f"{min(inside):.0%} to {max(inside):.0%} of the truth found")
    return 0
