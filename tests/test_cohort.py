"""A cohort of phantoms: fates before anything runs, one table whatever the workers, resume, change."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import phantom
from marrowscope.cohort.job import CohortRequest, cohort_to
from marrowscope.cohort.manifest import Row, fates, read_manifest
from marrowscope.cohort.plots import bland_altman
from marrowscope.errors import UsageError

TABLES = ("measurements.csv", "studies.csv", "changes.csv", "lesion_changes.csv")


def write_study(folder: Path, seed: int, lesion: bool = True) -> None:
    """The phantom as NIfTI files whose names tell, and its bones."""
    folder.mkdir(parents=True)
    study = phantom.study(seed=seed, lesion=lesion)
    for series, name in zip(study.series, ("stir", "t1"), strict=True):
        nib.save(nib.Nifti1Image(series.volume.array, series.volume.affine_ras), folder / f"{name}.nii.gz")
    bones = phantom.bones(study.series[0].volume)
    bones_file = folder.parent / "bones.nii.gz"
    nib.save(nib.Nifti1Image(bones.volume.array.astype(np.uint8), study.series[0].volume.affine_ras), bones_file)
    (folder.parent / "bones.yaml").write_text("1: femur\n2: tibia\n")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort")
    lines = ["subject,visit,study,site,side,bones"]
    for subject, visit, seed, lesion in (("a", "1", 1, True), ("a", "2", 2, False), ("b", "1", 3, True)):
        write_study(root / f"{subject}{visit}", seed, lesion)
        lines.append(f"{subject},{visit},{subject}{visit},knee,left,bones.nii.gz")
    (root / "broken").mkdir()
    (root / "broken" / "notes.txt").write_text("no image here")
    lines.append("c,1,broken,knee,left,")
    lines.append("d,1,nowhere,knee,left,")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root / "manifest.csv"


@pytest.fixture(scope="module")
def alone(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "out"
    cohort_to(fates(read_manifest(manifest)), CohortRequest(out))
    return out


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_one_bad_study_never_stops_the_rest(alone: Path) -> None:
    status = {(r["subject"], r["visit"]): r["status"] for r in rows(alone / "studies.csv")}
    assert status["c", "1"] == status["d", "1"] == "refused"
    assert {status["a", "1"], status["a", "2"], status["b", "1"]} <= {"done", "partly_not_assessable"}
    assert all(r["reason"] for r in rows(alone / "studies.csv") if r["status"] == "refused")


def test_two_workers_give_the_same_tables_and_a_second_run_does_nothing(
    manifest: Path, alone: Path, tmp_path: Path
) -> None:
    found = fates(read_manifest(manifest))
    cohort_to(found, CohortRequest(tmp_path / "two", workers=2))
    for name in TABLES:
        assert (tmp_path / "two" / name).read_bytes() == (alone / name).read_bytes(), name
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "studies").rglob("run.json")}
    again = cohort_to(found, CohortRequest(tmp_path / "two"))
    assert all(o.reused for o in again if o.status != "refused")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "studies").rglob("run.json")} == before


def test_change_is_found_between_visits(alone: Path) -> None:
    change = next(r for r in rows(alone / "changes.csv") if r["code"] == "edema_volume")
    truth = phantom.lesion_mask().sum() * 3 / 1000
    assert float(change["difference"]) == pytest.approx(-truth, rel=0.2)


def test_outputs_are_all_there_and_documented(alone: Path) -> None:
    for name in (*TABLES, "measurements.parquet", "gallery.html", "methods.txt", "volume_by_visit.svg"):
        assert (alone / name).stat().st_size > 0, name
    documented = {(r["table"], r["column"]) for r in rows(alone / "data_dictionary.csv")}
    assert {("measurements", c) for c in rows(alone / "measurements.csv")[0]} <= documented


def test_fates_are_said_before_anything_runs(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        (tmp_path / name).mkdir()
    study = {name: str(tmp_path / name) for name in ("x", "y", "z")}
    found = fates(
        [
            Row(2, "a", "1", study["x"], "knee", "left"),
            Row(3, "a", "2", study["y"], "knee", "right"),
            Row(4, "b", "1", study["z"], "knee", "left"),
            Row(5, "b", "1", study["z"], "knee", "left"),
            Row(6, "c", "1", str(tmp_path / "none"), "knee", "upside"),
        ]
    )
    assert [f.runs for f in found] == [True, True, False, False, False]
    assert "side differs" in found[0].reasons[0] and "side differs" in found[1].reasons[0]
    assert any("same study" in r for r in found[2].reasons)
    assert any("no such study" in r for r in found[4].reasons) and any("upside" in r for r in found[4].reasons)


@pytest.mark.parametrize(
    "text", ["", "subject,visit\na,1\n", "subject,visit,study,colour\na,1,x,red\n", "subject,visit,study\n"]
)
def test_broken_manifests_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("subject", ["../up", "a/b", "ä b", "x" * 200, "plain"])
def test_names_are_safe_and_differ(subject: str) -> None:
    name = Row(2, subject, "1", "s").name
    assert "/" not in name and not name.startswith(".") and len(name) < 60
    assert name != Row(2, subject + "!", "1", "s").name


def test_bland_altman_of_known_numbers() -> None:
    ours = {("a", "1"): 2.0, ("b", "1"): 4.0, ("c", "1"): 7.0}
    reader = {("a", "1"): 1.0, ("b", "1"): 3.0, ("c", "1"): 6.0, ("d", "1"): 9.0}
    svg, figures = bland_altman(ours, reader)
    assert figures == {"n": 3.0, "bias": 1.0, "lower": 1.0, "upper": 1.0}
    assert svg.count("<circle") == 3
