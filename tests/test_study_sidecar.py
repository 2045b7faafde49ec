"""BIDS: roles, physics, site and side from the JSON beside an image, and from names that hold entities."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from marrowscope.study import Role, SequenceClass, read_study
from study_files import save, series, truth

SLOW = {"RepetitionTime": 4.2, "EchoTime": 0.07}
SHORT = {"RepetitionTime": 0.5, "EchoTime": 0.012}


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4)), path)
    return path


def test_what_dcm2niix_writes_tells_the_same_as_the_dicom_it_came_from(tmp_path: Path) -> None:
    dcm2niix = pytest.importorskip("dcm2niix")
    folder = save(series(truth()), tmp_path / "dicom")
    out = tmp_path / "bids"
    out.mkdir()
    subprocess.run(
        [dcm2niix.bin, "-b", "y", "-ba", "n", "-z", "y", "-f", "%s", "-o", str(out), str(folder)], check=True
    )
    ours, theirs = read_study(folder), read_study(out)
    (a,), (b,) = ours.series, theirs.series
    assert (a.role, a.sequence_class, a.sequence.fat_suppression) == (
        b.role,
        b.sequence_class,
        b.sequence.fat_suppression,
    )
    assert a.role is Role.FLUID
    for name in ("tr_ms", "te_ms", "field_t", "scanning_sequence", "slice_thickness_mm"):
        assert getattr(a.sequence, name) == getattr(b.sequence, name) is not None
    assert (ours.site.value, ours.side.value) == (theirs.site.value, theirs.side.value) == ("knee", "left")
    assert not theirs.refusals


@pytest.mark.parametrize(
    ("name", "sidecar", "expected"),
    [
        ("sub-01_ses-1_acq-stir_T2w", {}, (Role.FLUID, SequenceClass.STIR)),
        ("sub-stir_ses-1_run-2_T1w", {}, (Role.T1, SequenceClass.T1)),
        ("sub-01_acq-fatsat_bp-knee_PDw", {}, (Role.FLUID, SequenceClass.PD_FS)),
        ("sub-01_T2w", {**SLOW, "InversionTime": 0.19}, (Role.FLUID, SequenceClass.STIR)),
        ("sub-01_T2w", {**SLOW, "ScanOptions": "PFP_FS"}, (Role.FLUID, SequenceClass.T2_FS)),
        ("sub-01_T2w", SLOW, (Role.T2_NOFS, SequenceClass.T2)),
        ("sub-01_T1w", {**SHORT, "ScanOptions": "FS", "ContrastBolusIngredient": "GADOLINIUM"},
         (Role.T1_CONTRAST_FS, SequenceClass.T1_FS)),
        ("sub-01_ce-gadolinium_T1w", SHORT, (Role.OTHER, SequenceClass.T1)),
    ],
)  # fmt: skip
def test_a_role_by_name_and_sidecar(
    name: str, sidecar: dict[str, object], expected: tuple[Role, SequenceClass], tmp_path: Path
) -> None:
    image(tmp_path / f"{name}.nii.gz")
    if sidecar:
        (tmp_path / f"{name}.json").write_text(json.dumps(sidecar))
    (found,) = read_study(tmp_path).series
    assert (found.role, found.sequence_class) == expected


def test_a_given_role_stays_and_its_class_is_filled_in(tmp_path: Path) -> None:
    path = image(tmp_path / "scan1.nii.gz")
    (tmp_path / "scan1.json").write_text(json.dumps({"RepetitionTime": 3.5, "EchoTime": 0.03, "ScanOptions": "FS"}))
    (found,) = read_study(tmp_path, series={"fluid": path}).series
    assert (found.role, found.sequence_class, found.sequence.te_ms) == (Role.FLUID, SequenceClass.PD_FS, 30.0)


def test_a_changed_sidecar_is_another_input(tmp_path: Path) -> None:
    image(tmp_path / "stir.nii.gz")
    hashes = set()
    for te in (0.04, 0.05):
        (tmp_path / "stir.json").write_text(json.dumps({"EchoTime": te}))
        hashes.add(read_study(tmp_path).input_hash)
    assert len(hashes) == 2


@pytest.mark.parametrize("text", ["[1, 2]", "{", "[" * 100_000, '{"a": "' + "x" * 2_000_000 + '"}', "\xff"])
def test_a_damaged_sidecar_is_listed_and_the_image_read_by_its_name(text: str, tmp_path: Path) -> None:
    image(tmp_path / "stir.nii.gz")
    (tmp_path / "stir.json").write_bytes(text.encode("latin-1"))
    study = read_study(tmp_path)
    assert [s.role for s in study.series] == [Role.FLUID]
    assert study.refusals[0].code.startswith("sidecar_") and study.refusals[0].what == "stir.json"


def test_values_of_the_wrong_kind_are_left_out(tmp_path: Path) -> None:
    image(tmp_path / "stir.nii.gz")
    wrong = {
        "EchoTime": "soon", "RepetitionTime": True, "MagneticFieldStrength": [3], "ScanOptions": 4,
        "ImageType": {"a": 1}, "ScanningSequence": ["SE", 5], "SeriesDescription": None,
    }  # fmt: skip
    (tmp_path / "stir.json").write_text(json.dumps(wrong).replace("[3]", "Infinity"))
    (found,) = read_study(tmp_path).series
    assert found.role is Role.FLUID and found.sequence.scanning_sequence == ("SE",)
    assert (found.sequence.te_ms, found.sequence.tr_ms, found.sequence.field_t) == (None, None, None)
