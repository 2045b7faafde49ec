"""Reading: the same slices however they are shuffled, copied, named or encoded; else a refusal that names the cause."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from marrowscope import simulate
from marrowscope.errors import StudyError, UsageError
from marrowscope.measurement import Severity
from marrowscope.study import Role, SequenceClass, Study, read_study, require_fluid
from marrowscope.study.choose import explain_choice, nearest
from marrowscope.study.describe import describe
from marrowscope.volume import Volume
from study_files import AXIAL, CORONAL, SAGITTAL, SHAPE, affine, encoded, instance, save, series, truth

REFUSALS = {"missing_slices", "too_few_slices", "uneven_spacing", "same_position", "conflicting_copies"}


def only(study: Study) -> tuple[np.ndarray, np.ndarray]:
    assert [r.code for r in study.refusals] == []
    (one,) = study.series
    return one.volume.array, one.volume.affine


def recode(ds: FileDataset, syntax: str) -> FileDataset:
    if syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        ds.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.set_original_encoding(False, False)
        ds.file_meta.TransferSyntaxUID = syntax
    elif syntax:
        ds.file_meta.TransferSyntaxUID = syntax
    return ds


SYNTAXES = (
    "",
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
)


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)])
def test_a_series_becomes_its_volume(orientation: tuple[float, ...], tmp_path: Path) -> None:
    array = truth()
    got, grid = only(read_study(save(series(array, orientation=orientation), tmp_path)))
    assert np.array_equal(got, array)
    assert np.allclose(grid, affine(orientation), atol=1e-4)


@settings(max_examples=15, phases=(Phase.generate,))
@given(
    order=st.permutations(range(SHAPE[2])),
    copies=st.lists(st.integers(0, SHAPE[2] - 1), max_size=3),
    syntaxes=st.lists(st.sampled_from(SYNTAXES), min_size=SHAPE[2] + 3, max_size=SHAPE[2] + 3),
    names=st.lists(
        st.from_regex(r"[a-zA-Z0-9_ .]{1,12}", fullmatch=True), min_size=10, max_size=10, unique_by=str.lower
    ),
)
def test_shuffled_copied_renamed_reencoded_slices_are_the_same_volume(
    order: list[int], copies: list[int], syntaxes: list[str], names: list[str]
) -> None:
    array = truth()
    slices = [recode(instance(array, k), syntaxes[i]) for i, k in enumerate([*order, *copies])]
    with tempfile.TemporaryDirectory() as folder:
        named = [f"{i}/{name.strip('. ') or 'x'}" for i, name in enumerate(names)]
        got, grid = only(read_study(save(slices, Path(folder), named)))
    assert np.array_equal(got, array)
    assert np.allclose(grid, affine(), atol=1e-4)


@settings(max_examples=25, phases=(Phase.generate,))
@given(
    dropped=st.sets(st.integers(0, SHAPE[2] - 1), min_size=1, max_size=4),
    shift_mm=st.floats(-1.5, 1.5),
    moved=st.integers(1, SHAPE[2] - 2),
)
def test_lost_or_moved_slices_are_refused_or_leave_the_rest_in_place(
    dropped: set[int], shift_mm: float, moved: int
) -> None:
    array = truth()
    slices = [instance(array, k) for k in range(SHAPE[2]) if k not in dropped]
    for ds in slices:
        if ds.InstanceNumber == moved + 1:
            position = [float(v) for v in ds.ImagePositionPatient]
            ds.ImagePositionPatient = [round(position[0] + shift_mm, 5), *position[1:]]
    with tempfile.TemporaryDirectory() as folder:
        study = read_study(save(slices, Path(folder)))
    if study.series:
        kept = [k for k in range(SHAPE[2]) if k not in dropped]
        assert kept == list(range(kept[0], kept[-1] + 1)), "a gap inside was not seen"
        assert np.array_equal(study.series[0].volume.array, array[:, :, kept[0] : kept[-1] + 1])
        if moved in kept[1:-1] and abs(shift_mm) > 0.2:
            pytest.fail("an uneven stack was taken")
        if kept[0] > 0:
            coverage = study.series[0].check("coverage")
            assert coverage is not None and coverage.severity is Severity.NOTE
    else:
        assert {r.code for r in study.refusals} <= REFUSALS


KNEE_PIXELS, KNEE_SLICES = slice(128, 192), slice(11, 17)  # three series of 6 slices, 64x64: quick
KNEE_FILES = 18


class KneeFiles:
    """A small simulated knee as read in good order, and the bytes of its files, series by series."""

    def __init__(self, study: Study, files: list[bytes]) -> None:
        self.study, self.files = study, files

    def __repr__(self) -> str:  # hypothesis prints arguments, and would print every byte
        return "KneeFiles()"


@pytest.fixture(scope="module")
def knee_files(tmp_path_factory: pytest.TempPathFactory) -> KneeFiles:
    """Made once: reading it takes most of the time."""
    whole = simulate.knee(7, simulate.KneeOptions(voxel_mm=3.0))
    cut = tuple(replace(one, volume=_cut(one.volume)) for one in whole.series)
    folder = tmp_path_factory.mktemp("knee")
    files = simulate.write_dicom(replace(whole, series=cut), folder)
    study = read_study(folder)
    assert [s.role for s in study.series] == [Role.FLUID, Role.FLUID, Role.T1]
    assert len(files) == KNEE_FILES
    return KneeFiles(study, [path.read_bytes() for path in files])


def _parsed(file: bytes) -> FileDataset:
    """The file with every value decoded: pydicom writes values it has not looked at as the bytes they came in."""
    ds = pydicom.dcmread(BytesIO(file))
    list(ds.iterall())
    return ds


def _cut(volume: Volume) -> Volume:
    corner = np.eye(4)
    corner[:3, 3] = KNEE_PIXELS.start, KNEE_PIXELS.start, KNEE_SLICES.start
    array = np.ascontiguousarray(volume.array[KNEE_PIXELS, KNEE_PIXELS, KNEE_SLICES])
    return replace(volume, array=array, affine=volume.affine @ corner)


@settings(max_examples=5, phases=(Phase.generate,), deadline=None)
@given(
    lost=st.sets(st.integers(0, KNEE_FILES - 1), max_size=3),
    copies=st.lists(st.integers(0, KNEE_FILES - 1), min_size=4, max_size=4),
    order=st.permutations(range(KNEE_FILES + 4)),
    syntaxes=st.lists(st.sampled_from(SYNTAXES), min_size=KNEE_FILES + 4, max_size=KNEE_FILES + 4),
    names=st.permutations(range(KNEE_FILES + 4)),
)
def test_a_simulated_study_in_disorder_is_the_same_or_refused_by_its_cause(
    lost: set[int],
    copies: list[int],
    order: list[int],
    syntaxes: list[str],
    names: list[int],
    knee_files: KneeFiles,
) -> None:
    study, files = knee_files.study, knee_files.files
    size = len(files) // 3
    sent = [k if k < KNEE_FILES else copies[k - KNEE_FILES] for k in order]
    slices = [recode(_parsed(files[k]), syntaxes[i]) for i, k in enumerate(sent) if k not in lost]
    with tempfile.TemporaryDirectory() as folder:
        found = read_study(save(slices, Path(folder), [f"{name % 4}/{name}" for name in names]))
    by_uid = {one.uid: one for one in found.series}
    for number, was in enumerate(study.series):
        kept = [k for k in range(size) if number * size + k not in lost]
        inner_gap = len(kept) != kept[-1] - kept[0] + 1
        assert (was.uid in by_uid) is not inner_gap, found.refusals
        if not inner_gap:
            got = by_uid[was.uid]
            gone = was.volume.array.shape[2] - len(kept)
            at = [
                k
                for k in range(gone + 1)
                if np.array_equal(got.volume.array, was.volume.array[:, :, k : k + len(kept)])
            ]
            assert len(at) == 1 and got.role is was.role
            start = was.volume.to_world((0, 0, at[0]))
            assert np.allclose(got.volume.to_world((0, 0, 0)), start, atol=1e-4)
    gaps = sum(one.uid not in by_uid for one in study.series)
    causes = [r.code for r in found.refusals]
    assert len(causes) == gaps and set(causes) <= {"missing_slices", "uneven_spacing"}


def test_two_images_with_one_uid_are_refused(tmp_path: Path) -> None:
    slices = series(truth())
    slices.append(instance(truth(seed=5), 2))
    study = read_study(save(slices, tmp_path))
    assert [r.code for r in study.refusals] == ["conflicting_copies"]


@pytest.mark.parametrize("order", ["0_cut.dcm", "z_cut.dcm"])
def test_a_damaged_copy_is_refused_by_name_and_the_whole_one_used(tmp_path: Path, order: str) -> None:
    folder = save(series(truth()), tmp_path / "study")
    (folder / order).write_bytes((folder / "0003").read_bytes()[:-300])
    study = read_study(folder)
    assert np.array_equal(study.series[0].volume.array, truth())
    assert [(r.what, r.code, r.count) for r in study.refusals] == [(order, "pixels_truncated", 1)]


def test_a_damaged_copy_does_not_hide_that_two_others_conflict(tmp_path: Path) -> None:
    folder = save([*series(truth()), instance(truth(seed=5), 2)], tmp_path / "study")
    (folder / "cut.dcm").write_bytes((folder / "0002").read_bytes()[:-300])
    assert "conflicting_copies" in [r.code for r in read_study(folder).refusals]


def test_a_slice_sent_again_under_a_new_uid_is_dropped_with_a_reason(tmp_path: Path) -> None:
    slices = series(truth())
    again = instance(truth(), 2)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    study = read_study(save([*slices, again], tmp_path))
    assert np.array_equal(only(study)[0], truth())
    assert "duplicates_dropped" in [reason.code for reason in study.series[0].reasons]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"EchoTime": 20}, "split_by_echo_time"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "split_by_image_type"),
        ({"DiffusionBValue": 800.0}, "split_by_b_value"),
        ({"TemporalPositionIdentifier": 2}, "split_by_time"),
        ({"AcquisitionNumber": 2}, "split_by_acquisition"),
        ({"InversionTime": 200}, "split_by_inversion_time"),
        ({"KVP": 80}, "split_by_tube_voltage"),
        ({"orientation": AXIAL}, "split_by_orientation"),
        ({"InstanceNumber": 100}, "split_by_repeat"),
    ],
)
def test_what_is_not_one_volume_is_split_with_its_reason(change: dict[str, object], code: str, tmp_path: Path) -> None:
    first, second = series(truth()), series(truth(seed=1), **change)
    for k, ds in enumerate(second):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k}"
        ds.InstanceNumber = 50 + k
    study = read_study(save([*first, *second], tmp_path))
    assert study.refusals == ()
    assert {s.uid.rsplit("/")[-1] for s in study.series} == {"1", "2"}
    assert all(code in [reason.code for reason in s.reasons] for s in study.series)
    arrays = [s.volume.array for s in study.series]
    assert any(np.array_equal(a, truth()) for a in arrays) and any(np.array_equal(a, truth(seed=1)) for a in arrays)


@pytest.mark.parametrize(
    ("off_mm", "reasons", "refusals"),
    [
        (0.0, [], []),
        (0.05, ["jitter_evened"], []),
        (0.5, [], ["uneven_spacing"]),
    ],
)
def test_uneven_slices_are_evened_out_within_a_tolerance_and_refused_beyond_it(
    off_mm: float, reasons: list[str], refusals: list[str], tmp_path: Path
) -> None:
    files = series(truth())
    x, *rest = (float(v) for v in files[3].ImagePositionPatient)
    files[3].ImagePositionPatient = [x + off_mm, *rest]
    study = read_study(save(files, tmp_path))
    assert [r.code for s in study.series for r in s.reasons if r.code == "jitter_evened"] == reasons
    assert [r.code for r in study.refusals] == refusals
    assert all(np.allclose(s.volume.affine, affine(), atol=1e-4) for s in study.series)


def test_echo_times_that_only_scatter_are_one(tmp_path: Path) -> None:
    files = series(truth())
    for k, ds in enumerate(files):
        ds.EchoTime = 70.04 + 0.02 * (k % 2)
    assert np.array_equal(only(read_study(save(files, tmp_path)))[0], truth())


def test_both_knees_in_one_series_are_two_slabs(tmp_path: Path) -> None:
    array = truth()
    left, right = series(array), series(truth(seed=1))
    for k, ds in enumerate(right):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k}"
        ds.InstanceNumber = SHAPE[2] + k + 1
        position = [float(v) for v in ds.ImagePositionPatient]
        ds.ImagePositionPatient = [position[0] - 160, *position[1:]]
    study = read_study(save([*left, *right], tmp_path))
    assert len(study.series) == 2
    assert all("split_by_slab" in [reason.code for reason in s.reasons] for s in study.series)


def test_the_source_of_every_slice_is_kept_in_order(tmp_path: Path) -> None:
    study = read_study(save(list(reversed(series(truth()))), tmp_path))
    source = study.series[0].source
    uids = [frame.sop_instance_uid.rsplit(".", 1)[1] for frame in source.frames]  # type: ignore[union-attr]
    assert uids == [str(k + 1) for k in range(SHAPE[2])]
    assert study.dicom_header is not None and study.dicom_header.PatientID == "ID778899"
    assert len(study.file_hashes) == SHAPE[2]


def test_facts_of_patient_site_and_side_are_read_with_reasons(tmp_path: Path) -> None:
    study = read_study(save(series(truth()), tmp_path))
    assert (study.patient.age_years, study.patient.sex, study.study_date) == (44.0, "F", "2026-01-02")
    assert (study.site.value, study.side.value) == ("knee", "left")
    one = study.series[0]
    assert (one.role, one.sequence_class, one.plane) == (Role.FLUID, SequenceClass.T2_FS, "sagittal")


def test_a_series_after_injection_by_the_clock_is_never_sized(tmp_path: Path) -> None:
    after = {"AcquisitionTime": "101500", "ContrastBolusAgent": "Gadovist", "ContrastBolusStartTime": "100000"}
    before = {**after, "AcquisitionTime": "094500"}
    for name, extra, usable in (("after", after, False), ("before", before, True)):
        study = read_study(save(series(truth(), **extra), tmp_path / name))
        assert (study.fluid is not None) is usable
        if not usable:
            with pytest.raises(StudyError, match="contrast"):
                require_fluid(study)


def test_two_patients_in_one_folder_are_never_mixed(tmp_path: Path) -> None:
    other = series(truth(seed=1), series=2, StudyInstanceUID="1.2.9")[:5]
    study = read_study(save([*series(truth()), *other], tmp_path))
    assert len(study.series) == 1
    assert [(r.code, r.count) for r in study.refusals] == [("another_study", 5)]


def test_two_patients_under_one_study_uid_are_not_mixed_either(tmp_path: Path) -> None:
    other = series(truth(seed=1), series=2, PatientID="ID000001")[:5]
    unnamed = series(truth(seed=2), series=3, PatientID="")
    study = read_study(save([*series(truth()), *other, *unnamed], tmp_path))
    assert [s.number for s in study.series] == [1, 3]
    assert [(r.code, r.count) for r in study.refusals] == [("another_patient", 5)]


def test_names_of_patients_are_blotted_out_of_what_is_shown(tmp_path: Path) -> None:
    slices = series(truth(), SeriesDescription="t2 fs Muster knee left")
    save(slices, tmp_path / "MUSTER_ERIKA")
    (tmp_path / "MUSTER_ERIKA" / "Erika notes.txt").write_text("hello")
    study = read_study(tmp_path)
    shown = str(describe(study)).lower()
    assert "muster" not in shown and "erika" not in shown and "id778899" not in shown
    assert study.refusals[0].code == "not_an_image"


def test_a_nifti_beside_dicom_is_left_out_and_listed(tmp_path: Path) -> None:
    save(series(truth()), tmp_path)
    nibabel.save(nibabel.Nifti1Image(truth().astype(np.int16), np.eye(4)), tmp_path / "Muster_t1.nii.gz")
    study = read_study(tmp_path)
    assert [(r.code, r.count) for r in study.refusals] == [("nifti_beside_dicom", 1)]
    assert len(study.series) == 1 and "muster" not in study.refusals[0].what.lower()


def test_a_zip_is_read_like_its_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for k, ds in enumerate(series(truth())):
            archive.writestr(f"a/b/{k}.dcm", encoded(ds))
    assert np.array_equal(only(read_study(tmp_path / "study.zip"))[0], truth())


def test_a_study_without_fluid_says_what_comes_nearest(tmp_path: Path) -> None:
    study = read_study(save(series(truth(), ScanOptions="", SeriesDescription="t2_tse_sag"), tmp_path))
    with pytest.raises(StudyError, match="series 1: T2-weighted, but no fat suppression"):
        require_fluid(study)
    assert "no fat suppression" in nearest(study)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"EchoTime": 30}, "contrast class"),
        ({"SliceThickness": 1.0, "PixelSpacing": [0.9, 0.9]}, "voxels are finer"),
        ({}, "lower series number"),
        ({"ContrastBolusAgent": "Gadovist"}, "passes its quality checks"),
    ],
)
def test_the_choice_among_fluid_series_says_why(second: dict[str, object], why: str, tmp_path: Path) -> None:
    study = read_study(save([*series(truth()), *series(truth(seed=1), series=2, **second)], tmp_path))
    assert study.fluid is not None and study.fluid.number == 1
    assert why in explain_choice(study) == describe(study)["fluid_choice"]
    assert explain_choice(study).startswith("series 1 is taken before series 2")


def test_nonsense_paths_and_roles_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no file or folder"):
        read_study(tmp_path / "absent")
    with pytest.raises(UsageError, match="no such role"):
        read_study(tmp_path, series={"fluids": tmp_path / "x.nii"})
