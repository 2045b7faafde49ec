"""The built-in knee: truth against what was asked for, contrast where it should be, files as a scanner writes them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import marrowscope.simulate as sim
from marrowscope.cli import run
from marrowscope.commands.simulate import read_lesions, simulate_to
from marrowscope.errors import UsageError
from marrowscope.simulate.dicom import fingerprint
from marrowscope.simulate.signal import Suppression
from marrowscope.simulate.study import BONE_LABELS

COARSE_MM = 1.5
"""Step of the fine grid in these tests: an eighth of the work; the truth is counted on it all the same."""

OPTIONS = sim.KneeOptions(
    lesions=(
        sim.LesionRequest("medial_femoral_condyle", 3.0),
        sim.LesionRequest("posterolateral_tibia", 0.5, "contusion"),
    ),
    noise="low",
    mimics=sim.Mimics(0.4, 1, 1),
    side="right",
    effusion=0.3,
    voxel_mm=COARSE_MM,
)
SEED = 4


@pytest.fixture(scope="module")
def study() -> sim.SimulatedStudy:
    return sim.knee(SEED, OPTIONS)


@pytest.fixture(scope="module")
def written(study: sim.SimulatedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knee")
    sim.write_dicom(study, folder / "study")
    sim.write_truth(study, folder / "truth")
    return folder


def test_lesions_have_the_volume_asked_for(study: sim.SimulatedStudy) -> None:
    for lesion, asked in zip(study.truth.listed, (3000, 500), strict=True):
        counted = np.count_nonzero(study.truth.lesions.array == lesion.label) * study.truth.lesions.voxel_volume_mm3
        assert lesion.volume_mm3 == pytest.approx(counted)
        assert lesion.volume_mm3 == pytest.approx(asked, rel=0.03)


def test_truth_on_every_series_keeps_the_volume(study: sim.SimulatedStudy) -> None:
    for series in study.series:
        mask = study.truth.on_grid(study.truth.lesions, series.volume)
        assert mask.same_grid(series.volume)
        volume = np.count_nonzero(mask.array == 1) * mask.voxel_volume_mm3
        assert volume == pytest.approx(3000, rel=0.08)


def test_lesions_lie_in_their_bone(study: sim.SimulatedStudy) -> None:
    for lesion in study.truth.listed:
        bones = study.truth.bones.array[study.truth.lesions.array == lesion.label]
        assert (bones == BONE_LABELS[lesion.bone]).all()


def test_a_lesion_leaves_the_bone_across_the_joint_alone() -> None:
    """Large, right under the plateau: the femur looks as it does in the same knee without it."""
    lesion = sim.LesionRequest("medial_tibial_plateau", 7.0)
    options = replace(OPTIONS, mimics=sim.Mimics(), lesions=(lesion,), noise="low")
    ill, sound = (sim.knee(SEED, o) for o in (options, replace(options, lesions=())))
    for with_lesion, without in zip(ill.series, sound.series, strict=True):
        bones = ill.truth.on_grid(ill.truth.bones, with_lesion.volume).array
        femur = ndimage.binary_erosion(bones == BONE_LABELS["femur"])
        change = np.abs(with_lesion.volume.array.astype(float) - without.volume.array)
        assert change[femur].max() < 0.1 * np.percentile(without.volume.array, 99)
        assert change[bones == BONE_LABELS["tibia"]].max() > 0.2 * np.percentile(without.volume.array, 99)


def test_edema_is_bright_on_fluid_and_dark_on_t1(study: sim.SimulatedStudy) -> None:
    for series in study.series:
        lesion = study.truth.on_grid(study.truth.lesions, series.volume).array > 0
        marrow = (study.truth.on_grid(study.truth.bones, series.volume).array == 1) & ~lesion
        ratio = np.median(series.volume.array[lesion]) / np.median(series.volume.array[marrow])
        suppressed = series.protocol.sequence.suppression is not Suppression.NONE
        assert ratio > 2 if suppressed else ratio < 0.9, series.protocol.name


def test_sides_are_mirrored(study: sim.SimulatedStudy) -> None:
    """The fibula is lateral: towards the patient's right (-x) in a right knee."""
    labels = study.truth.bones
    fibula, tibia = (
        labels.to_world(np.argwhere(labels.array == BONE_LABELS[b]).mean(axis=0)) for b in ("fibula", "tibia")
    )
    assert fibula[0] < tibia[0] - 15
    patella = labels.to_world(np.argwhere(labels.array == BONE_LABELS["patella"]).mean(axis=0))
    assert patella[1] < tibia[1] - 20  # in front


def test_bones_are_of_adult_size(study: sim.SimulatedStudy) -> None:
    volumes = {b["name"]: b["volume_mm3"] / 1000 for b in sim.truth_data(study)["bones"]}
    assert 120 < volumes["femur"] < 280
    assert 80 < volumes["tibia"] < 220
    assert 9 < volumes["patella"] < 28
    assert 3 < volumes["fibula"] < 25


def test_same_seed_same_bytes_other_seed_other_knee(study: sim.SimulatedStudy, written: Path, tmp_path: Path) -> None:
    again = sim.knee(SEED, OPTIONS)
    assert fingerprint(again) == fingerprint(study)
    sim.write_dicom(replace(again, series=again.series[:1]), tmp_path / "study")
    sim.write_truth(again, tmp_path / "truth")
    for path in sorted((tmp_path / "truth").iterdir()):
        assert path.read_bytes() == (written / "truth" / path.name).read_bytes(), path.name


def test_dicom_series_read_back_as_the_volume(study: sim.SimulatedStudy, written: Path) -> None:
    import pydicom

    frames = [pydicom.dcmread(p) for p in sorted((written / "study").rglob("IM*"))]
    assert len({f.SOPInstanceUID for f in frames}) == len(frames)
    assert len({f.StudyInstanceUID for f in frames}) == len({f.FrameOfReferenceUID for f in frames}) == 1
    for series in study.series:
        mine = [f for f in frames if f.SeriesNumber == series.number]
        assert len({f.SeriesInstanceUID for f in mine}) == 1
        for k, frame in enumerate(sorted(mine, key=lambda f: f.InstanceNumber)):
            assert (series.volume.array[:, :, k] == frame.pixel_array.T).all()
            assert np.allclose(
                np.array(frame.ImagePositionPatient, float), series.volume.to_world((0, 0, k)), atol=1e-4
            )
        step = np.array(mine[1].ImagePositionPatient, float) - np.array(mine[0].ImagePositionPatient, float)
        assert np.linalg.norm(step) == pytest.approx(float(mine[0].SpacingBetweenSlices), abs=1e-3)


def test_header_tells_the_physics(written: Path) -> None:
    import pydicom

    fluid, t1 = (pydicom.dcmread(written / "study" / s / "IM00001") for s in ("SER0002", "SER0004"))
    assert fluid.ScanOptions == "FS" and float(fluid.EchoTime) < 60 and float(fluid.RepetitionTime) > 2000
    assert not t1.ScanOptions and float(t1.RepetitionTime) < 800
    assert fluid.MagneticFieldStrength == 3 and fluid.Laterality == "R"
    assert fluid.InPlanePhaseEncodingDirection == "COL" and t1.InPlanePhaseEncodingDirection == "ROW"
    assert "InversionTime" not in fluid


@pytest.mark.needs("dciodvfy")
def test_dciodvfy_finds_no_error(written: Path) -> None:
    for name in ("SER0002", "SER0003", "SER0004"):
        path = written / "study" / name / "IM00007"
        judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in judged.stderr + judged.stdout, judged.stderr


def test_nobody_outside_can_recognise_a_simulated_study() -> None:
    """The tags that would give one away are named in no other room."""
    root = Path(sim.__file__).parent.parent
    telling = ("Phantom^", "PHANTOM-", "Built-in knee", "marrowscope.simulate")
    allowed = {root / "commands" / "simulate.py", root / "validation" / "knee_cases.py"}  # they make studies
    for path in root.rglob("*.py"):
        if root / "simulate" not in path.parents and path not in allowed:
            text = path.read_text(encoding="utf-8")
            assert not [word for word in telling if word in text], path.name


def test_truth_file_says_what_was_drawn(written: Path) -> None:
    truth = json.loads((written / "truth" / "truth.json").read_text(encoding="utf-8"))
    assert [x["site"] for x in truth["lesions"]] == ["medial_femoral_condyle", "posterolateral_tibia"]
    assert truth["faults"] == [] and truth["field_t"] == 3.0
    assert truth["lesion_volume_mm3"] == pytest.approx(sum(x["volume_mm3"] for x in truth["lesions"]))


def test_faults_do_what_they_say() -> None:
    plain = sim.KneeOptions(
        lesions=(), noise="low", fluid="pd_fs", side="left", mimics=sim.Mimics(), voxel_mm=COARSE_MM
    )
    spoilt = replace(plain, faults=tuple(sim.Fault))
    studies = [sim.knee(9, options) for options in (plain, spoilt)]
    fluid, t1 = ([study.series[i].volume for study in studies] for i in (0, 2))
    in_fluid, in_t1 = (studies[0].truth.on_grid(studies[0].truth.bones, v[0]).array > 0 for v in (fluid, t1))
    bright = [np.percentile(v.array[in_fluid], 75) / np.percentile(v.array[in_fluid], 25) for v in fluid]
    assert bright[1] > 1.5 * bright[0]  # fat comes back in part of the field of view
    assert t1[1].array[:8].mean() > 1.5 * t1[0].array[:8].mean()  # ghosts along the phase axis
    black = [np.count_nonzero(v.array[in_t1] < 0.05 * np.median(v.array[in_t1])) for v in t1]
    assert black[1] > black[0] + 100  # the void of the screws


def test_lesion_words() -> None:
    assert read_lesions("random") is None and read_lesions("none") == ()
    one, two = read_lesions("trochlea, medial_tibial_plateau:2.5:fracture") or ()
    assert (one.site, one.volume_cm3, one.pattern) == ("trochlea", 1.0, "subchondral")
    assert (two.volume_cm3, two.pattern) == (2.5, "fracture")
    for bad in ("nose:1", "trochlea:x", "trochlea:1:2:3", "trochlea:900", "trochlea:1:blue", ""):
        with pytest.raises(UsageError, match="expected"):
            read_lesions(bad)


@pytest.mark.parametrize(
    "flags",
    [["--fault", "flood"], ["--side", "up"], ["--field", "7"], ["--noise", "x"], ["--fluid", "ct"], ["--extra", "x"]],
)
def test_wrong_flags_are_refused_and_leave_nothing(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["simulate", "knee", "-o", str(out), "--lesions", "none", *flags]) == 2
    assert not out.exists()


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="no simulated study"):
        simulate_to(tmp_path, 1)
    assert (tmp_path / "study" / "mine.txt").read_text() == "keep"


def test_a_later_visit_is_the_same_knee_scanned_again(study: sim.SimulatedStudy) -> None:
    grown = (replace(OPTIONS.lesions[0], volume_cm3=5.0), *OPTIONS.lesions[1:])  # type: ignore[index]
    later = sim.knee(SEED, replace(OPTIONS, visit=2, lesions=grown))
    assert np.array_equal(later.truth.bones.array, study.truth.bones.array)
    assert [round(x.volume_mm3 / 500) for x in later.truth.listed] == [10, 1]
    assert later.truth.listed[1] == study.truth.listed[1]
    first, second = (s.series[0].volume for s in (study, later))
    assert 0 < np.abs(second.affine - first.affine).max() < 40  # slices planned anew, mm
    dates = [_dataset(s).StudyDate for s in (study, later)]
    assert dates == ["20250101", "20250702"]


def _dataset(study: sim.SimulatedStudy):
    from marrowscope.simulate.dicom import _frame

    return _frame(study, study.series[0], "identity", 0)
