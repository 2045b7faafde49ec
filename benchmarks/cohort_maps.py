"""Two visits of real knees, from label maps, scanned in simulation: ``python -m benchmarks cohort_maps DATA WORK``.

DATA holds maps SUBJECT_00m.nii.gz and SUBJECT_NNm.nii.gz: bones as they were years apart, and the lesions drawn on
them. Each is completed to a limb, its drawn lesions become edema, and a sagittal STIR and T1 are scanned, as in
``cohort_change``, which judges it: ``marrowscope cohort WORK/manifest.csv -o WORK/out --light`` and then
``python -m benchmarks cohort_change judge WORK``. Soft tissue and red marrow are drawn by subject: both visits have the
same, unless ``--other-marrow`` draws them anew; slice planning and all that a scanner adds differ. ``--only`` picks
subjects.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from marrowscope.anatomy.knee import CORTEX_MM, within
from marrowscope.simulate.limb import plan
from marrowscope.simulate.limb.scan import grow, scan, tissue_map, truth_on
from marrowscope.simulate.limb.source import load
from marrowscope.simulate.protocols import load_protocol
from marrowscope.simulate.scanner import Imperfections
from marrowscope.simulate.study import BONE_LABELS
from marrowscope.simulate.tissues import load_tissues
from marrowscope.validation.knee_cases import CENTRE_MM, subject_of

FIELD_T, MATRIX, SERIES = 1.5, (128, 128), ("stir_sag", "t1_sag")
SCANNER = Imperfections(noise=0.08, residual=0.05, shim_ppm=0.3, flip=0.04, shading=0.3)

SOFT_TISSUE, MARROW = 101, 102
"""Ends of two random streams of a person."""

SOFT_VOXELS = 1.0
"""Blur of a drawn lesion's edge: 0.7 mm."""

LARGEST_SHIFT_MM = 4.0
"""How far apart the two visits' stacks may lie."""


def write_visit(path: Path, visit: int, work: Path, other_marrow: bool = False) -> None:
    """One map as a study, its marrow as the mask to search, and its truth."""
    name = f"{subject_of(path)}_{visit}"
    if (work / "truth" / f"{name}.json").is_file():
        return
    subject = int(subject_of(path))
    person = [subject, visit] if other_marrow else [subject]
    rng = np.random.default_rng([subject, visit])
    knee = load(path)
    limb = grow(knee, "right", np.random.default_rng([*person, SOFT_TISSUE]), 0)
    share = ndimage.gaussian_filter(knee.lesion.astype(np.float32), SOFT_VOXELS)
    limb = replace(limb, share=share * plan.marrow_of_code()[limb.codes])
    table = load_tissues(FIELD_T)
    tissues = tissue_map(limb, table, np.random.default_rng([*person, MARROW]))
    centre = np.array(CENTRE_MM) + rng.uniform(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM, 3)
    images = {}
    for series in SERIES:
        protocol = replace(load_protocol(series, FIELD_T), matrix=MATRIX)
        images[series] = scan(tissues, table, protocol, SCANNER, protocol.grid(centre), rng)
    fluid = images[SERIES[0]]
    bones, _ = truth_on(limb, fluid)
    marrow = np.zeros(fluid.shape, np.uint8)
    for bone, label in BONE_LABELS.items():
        marrow[within(bones[bone], fluid, CORTEX_MM)] = label
    (work / name).mkdir(parents=True, exist_ok=True)
    (work / "truth").mkdir(exist_ok=True)
    for series, image in images.items():
        file = work / name / f"{series.removesuffix('_sag')}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image.array.astype(np.int16), image.affine_ras), file)
    nibabel.save(nibabel.Nifti1Image(marrow, fluid.affine_ras), work / f"{name}_bones.nii.gz")
    names = "".join(f"{label}: {bone}\n" for bone, label in BONE_LABELS.items())
    (work / f"{name}_bones.yaml").write_text(names, encoding="utf-8")
    lesions = limb.lesions
    cm3 = float(np.count_nonzero(lesions.array)) * lesions.voxel_volume_mm3 / 1000
    truth = {"cm3": cm3, "what": "as drawn", "fault": ""}
    (work / "truth" / f"{name}.json").write_text(json.dumps(truth), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cohort_maps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--other-marrow", action="store_true", help="red marrow and soft tissue drawn anew each visit")
    given = parser.parse_args(arguments)
    visits: dict[str, list[Path]] = {}
    for path in sorted(given.data.glob("*_*m.nii.gz")):
        if not given.only or subject_of(path) in given.only:
            visits.setdefault(subject_of(path), []).append(path)
    given.work.mkdir(parents=True, exist_ok=True)
    lines: list[tuple[str, ...]] = [("subject", "visit", "study", "site", "side", "bones")]
    for subject, paths in visits.items():
        for visit, path in enumerate(paths, start=1):
            write_visit(path, visit, given.work, given.other_marrow)
            name = f"{subject}_{visit}"
            lines.append((subject, str(visit), name, "knee", "right", f"{name}_bones.nii.gz"))
    with (given.work / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)
    return 0
