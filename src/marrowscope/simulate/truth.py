"""The truth of a simulated examination as files: masks on each series' grid and one JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.simulate.study import BONE_LABELS, SimulatedStudy
from marrowscope.volume import Volume


def write_truth(study: SimulatedStudy, folder: Path) -> None:
    """Write ``truth.json``, masks on the fine grid and masks on every series' grid.

    Args:
        study: the examination.
        folder: made if absent; holds ``{bones,lesions}_fine.nii.gz`` and ``{bones,lesions}_ser0002.nii.gz`` ...,
            each with a YAML of the same name that names its labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bone_names = {label: name for name, label in BONE_LABELS.items()}
    lesion_names = {lesion.label: f"{lesion.pattern} {lesion.site}" for lesion in study.truth.listed}
    for name, labels, names in (
        ("bones", study.truth.bones, bone_names),
        ("lesions", study.truth.lesions, lesion_names),
    ):
        _write_mask(labels, names, folder / f"{name}_fine")
        for series in study.series:
            mask = study.truth.on_grid(labels, series.volume)
            _write_mask(mask, names, folder / f"{name}_ser{series.number:04d}")
    (folder / "truth.json").write_text(json.dumps(truth_data(study), indent=2) + "\n", encoding="utf-8")


def truth_data(study: SimulatedStudy) -> dict[str, Any]:
    """The truth as plain data: person, lesions with volumes from the fine grid, faults, mimics, bone volumes."""
    truth = study.truth
    voxel = truth.bones.voxel_volume_mm3
    return {
        "seed": study.seed,
        "field_t": study.field_t,
        "person": asdict(study.person),
        "bone_labels": BONE_LABELS,
        "bones": [
            {"name": name, "label": label, "volume_mm3": round(float(np.sum(truth.bones.array == label) * voxel), 3)}
            for name, label in BONE_LABELS.items()
        ],
        "lesions": [asdict(lesion) for lesion in truth.listed],
        "lesion_volume_mm3": round(float(np.count_nonzero(truth.lesions.array) * voxel), 3),
        "lesion_definition": "fine voxels whose marrow is edema by at least one half",
        "fine_voxel_mm3": voxel,
        "mimics": asdict(truth.mimics),
        "faults": [fault.value for fault in truth.faults],
        "series": [
            {"number": s.number, "name": s.protocol.name, "image": s.image.value, "plane": s.protocol.plane}
            for s in study.series
        ],
    }


def _write_mask(volume: Volume, names: Mapping[int, str], stem: Path) -> None:
    """NIfTI in RAS, gzip without a time stamp so that the same masks give the same bytes, and its label names."""
    from nibabel.nifti1 import Nifti1Image

    image: Any = Nifti1Image(  # type: ignore[no-untyped-call]
        np.asarray(volume.array), volume.affine_ras
    )
    image.header.set_xyzt_units("mm")
    stem.with_suffix(".nii.gz").write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
    text = "".join(f"{label}: {name}\n" for label, name in sorted(names.items()))
    stem.with_suffix(".yaml").write_text(text or "{}\n", encoding="utf-8")
