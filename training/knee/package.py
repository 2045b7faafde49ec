"""Put a trained knee model into the package: weights beside a card that says what it is and how well it does.

    python -m training.knee.package RUN MAPS LABELS [--results bench.json]

RUN holds one or more ``knee*.onnx`` (their mean is the model) and ``log.jsonl``; MAPS the baked maps (for the
subjects); LABELS the label maps (hashed).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from training.knee.images import PIXEL_MM
from training.knee.subjects import held_out

VERSION = "1.4"
FOLDER = Path(__file__).parents[2] / "src" / "marrowscope" / "models" / "knee"
OUTPUTS = ["background", "femur", "tibia", "patella", "fibula", "edema"]
FAILURES = [
    "Trained on simulated images only. Real scanners, coils and patients differ from every simulation.",
    "Bones are those of adults: growth plates and unossified ends of children were not simulated.",
    "The maps show osteoarthritis or its risk; fractures with displacement, tumours that break the cortex and "
    "prostheses were never seen.",
    "The fibula in training was a tube grown by rule, not a drawn bone.",
    "Beyond 3.5 cm above and 5 cm below the joint the shafts in training were carried on unchanged.",
    "The patella on fat-suppressed slices is drawn too long into its tendons, or too short beside a large effusion "
    "(Dice 0.68 to 0.9 on real slices); cartilage beside it may be taken for edema.",
    "In one young real knee a part of the tibial shaft below the growth plate was missed on a fat-suppressed slice.",
    "Muscle on the outermost slices may be taken for the shaft; what lies beside the bone's shadow is taken away "
    "again.",
    "Edema is found less often than a reader would and its extent is understated: the cut-off was set so that real "
    "exams without edema stay clean.",
    "Of an evenly bright condyle the model itself marks little but its border (the rules around it count it whole).",
    "Edema close to the growth plate of young adults and red marrow that is patchy may be taken for each other.",
]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(run: Path, maps: Path, labels: Path, results: dict[str, Any]) -> dict[str, Any]:
    """The card as plain data."""
    files = sorted(labels.glob("*.nii.gz"))
    subjects = sorted({p.name.removesuffix(".nii.gz").split("_")[0] for p in files})
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    held = [p.name.removesuffix(".nii.gz") for p in files if held_out(p.name.removesuffix(".nii.gz").split("_")[0])]
    return {
        "name": "knee",
        "version": VERSION,
        "site": "knee",
        "task": "femur, tibia, patella and fibula with their cortex, and bone marrow edema, on single slices",
        "contract": {
            "channels": ["any spin-echo contrast"],
            "first": "I",
            "second": "P",
            "pixel_mm": PIXEL_MM,
            "multiple_of": 16,
            "context_mm": 0.0,
            "planes": ["sagittal", "coronal", "axial"],
            "spacing_mm": [0.2, 1.2],
            "slice_spacing_mm": [0.5, 6.0],
        },
        "outputs": OUTPUTS,
        "weights": [
            {"file": path.name, "sha256": sha256(path), "fold": fold, "held_out": held}
            for fold, path in enumerate(sorted(run.glob("knee*.onnx")))
        ],
        "data": [
            {
                "what": f"{len(files)} knee label maps of {len(subjects)} subjects, grown to whole limbs by rule and "
                "turned into simulated slices; no real image was used",
                "source": "Woo et al. 2022, arXiv 2211.16696 (drawn on Osteoarthritis Initiative DESS images)",
                "licence": "none stated",
            }
        ],
        "images": {p.name.removesuffix(".nii.gz"): {"labels": sha256(p)} for p in files},
        "settings": {"trained_subjects": [s for s in subjects if not held_out(s)]},
        "results": {"held_out_slices": {k: v for k, v in last.items() if k not in ("step", "minutes")}, **results},
        "training": {"steps": last["step"], "completed_maps": len(list(maps.glob("*.npy")))},
        "failures": FAILURES,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("maps", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--results", type=Path, action="append", default=[])
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for path in args.results:
        data = json.loads(path.read_text())
        results[path.stem] = data.get("summary", data)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.onnx"):
        old.unlink()
    for path in args.run.glob("knee*.onnx"):
        shutil.copyfile(path, FOLDER / path.name)
    text = yaml.safe_dump(card(args.run, args.maps, args.labels, results), sort_keys=False, width=110)
    (FOLDER / "card.yaml").write_text("# Written by training/knee/package.py.\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
