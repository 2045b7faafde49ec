"""Run the whole chain on the real clinical knee exams: outlines, lesions, flags, pictures.

    python -m benchmarks knee_clinical DATA/knee_clinical OUT

OUT (outside the repository: the images may not be passed on) receives one folder an exam with bones and lesions as
NIfTI on the stated spacing and a picture of every slice, and ``summary.json``. Bone overlap with the outlines drawn by
hand (``tests/polygons/knee``) is measured on both series.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

import knee_clinical_data as clinical
from marrowscope.anatomy.knee import believable_bones, clean
from marrowscope.anatomy.knee_model import BONES, OUTLINES, look
from marrowscope.assessment.pipeline import detect, prepare
from marrowscope.lesion.measure import counted
from marrowscope.lesion.types import LesionKind, Objects
from marrowscope.measurement import Severity
from marrowscope.validation.agreement import dice
from marrowscope.volume import Volume

COLOURS = {1: (255, 70, 70), 2: (70, 255, 70), 3: (80, 160, 255), 4: (255, 80, 255)}
LESION, CYST = (255, 255, 0), (0, 255, 255)


def outline_overlap(folder: Path, exam: str) -> dict[str, float]:
    """Dice of every outlined bone, and of all outlined bones of the exam together."""
    found: dict[str, float] = {}
    both = total = 0.0
    with np.load(folder / f"{exam}.npz") as arrays:
        for entry in (e for e in clinical.outlines() if e["exam"] == exam):
            volume = clinical.volume(arrays[entry["series"]], entry["series"])
            labels = clean(believable_bones(look(volume), volume.slice_axis), volume)
            for name, points in entry["bones"].items():
                truth = clinical.raster(points, volume.array.shape[1::-1])
                mine = labels[name][:, :, entry["slice"]].T
                found[f"{entry['series'][:3]} {entry['slice']} {name}"] = round(dice(truth, mine) or 0.0, 3)
                both, total = both + 2 * (truth & mine).sum(), total + truth.sum() + mine.sum()
    return {**found, "all": round(both / total, 3)} if total else {}


def picture(objects: Objects, path: Path) -> None:
    """Every slice with bones outlined and lesions drawn."""
    image = objects.exam.image.array
    top = np.percentile(image, 99.5)
    bones = objects.anatomy.extras[OUTLINES].array if OUTLINES in objects.anatomy.extras else np.zeros(image.shape)
    kinds = {o.label: o.kind for o in objects.objects}
    tiles = []
    for n in range(image.shape[2]):
        grey = (np.clip(image[:, :, n].T / top, 0, 1) ** 0.7 * 255).astype(np.uint8)
        tile = np.repeat(grey[..., None], 3, axis=2)
        for label, colour in COLOURS.items():
            tile[edge(label == bones[:, :, n].T)] = colour
        lesions = objects.lesions.volume.array[:, :, n].T
        for label in np.unique(lesions[lesions > 0]):
            tile[edge(lesions == label)] = CYST if kinds[int(label)] is LesionKind.CYST else LESION
        tiles.append(tile)
    while len(tiles) % 6:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.concatenate(tiles[n : n + 6], 1) for n in range(0, len(tiles), 6)]
    Image.fromarray(np.concatenate(rows, 0)).save(path)


def edge(mask: np.ndarray) -> np.ndarray:
    """The outermost pixels of a mask."""
    inner = mask.copy()
    for axis in (0, 1):
        inner &= np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    return mask & ~inner


def write(volume: Volume, path: Path) -> None:
    """Labels as NIfTI."""
    nibabel.save(nibabel.Nifti1Image(volume.array.astype(np.uint8), volume.affine_ras), path)


def run(folder: Path, exam: str, out: Path) -> dict:
    """One exam: figures as plain data, files under ``out``."""
    started = time.perf_counter()
    objects = detect(prepare(clinical.study(folder, exam)))
    seconds = time.perf_counter() - started
    target = out / exam
    target.mkdir(parents=True, exist_ok=True)
    picture(objects, target / "slices.png")
    write(objects.anatomy.bones.volume, target / "bones.nii.gz")
    write(objects.lesions.volume, target / "lesions.nii.gz")
    voxel = objects.exam.image.voxel_volume_mm3 / 1000
    lesions = [
        {
            "kind": o.kind.value,
            "cm3": round(float((objects.lesions.volume.array == o.label).sum()) * voxel, 2),
            "confidence": round(o.confidence, 2),
        }
        for o in objects.objects
    ]
    checks = (*objects.exam.qc, *objects.anatomy.qc, *objects.qc)
    return {
        "bones_cm3": {n: round(float(objects.anatomy.bones.mask(n).sum()) * voxel, 1) for n in BONES},
        "edema_cm3": round(float(counted(objects).sum()) * voxel, 2),
        "lesions": lesions,
        "regions": len(objects.anatomy.regions.names),
        "flags": [f"{c.code}: {c.message}" for c in checks if c.severity in (Severity.WARNING, Severity.REFUSE)],
        "outlines": outline_overlap(folder, exam),
        "seconds": round(seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks knee_clinical",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exams", nargs="*", default=clinical.EXAMS)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for exam in args.exams:
        results[exam] = run(args.data, exam, args.out)
        print(exam, json.dumps(results[exam]), flush=True)
    (args.out / "summary.json").write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
