"""A DICOM SEG as input: ours, dcmqi's (what 3D Slicer writes with), fractional, label map; as bones and as edits."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.sr.codedict import codes as sr_codes
from scipy import ndimage

import dicom_results
import study_files
from marrowscope.anatomy import given as given_bones
from marrowscope.anatomy.from_seg import part_of
from marrowscope.assessment.pipeline import Assessed
from marrowscope.errors import GeometryError, StudyError
from marrowscope.exchange.dicom_seg import write_seg
from marrowscope.exchange.source import Source
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.edits import EditKind, apply_edits
from marrowscope.lesion.from_seg import edits_to, lesion_edits
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Verdict
from marrowscope.sites import load_site
from marrowscope.study import read_study
from marrowscope.study.seg_grid import place
from marrowscope.study.segmentation import Segment, read_segmentation
from needs import program
from test_exchange_readback import ORIENTATIONS

NOW = "2026-01-02T03:04:05+00:00"


def assessed_of(folder: Path, orientation: tuple[float, ...] = study_files.SAGITTAL) -> Assessed:
    study = read_study(study_files.save(study_files.series(study_files.truth(), orientation=orientation), folder))
    return dicom_results.assessed(study, study.series[0])


def objects_in(assessed: Assessed) -> Objects:
    assert assessed.objects is not None
    return assessed.objects


def our_seg(assessed: Assessed, path: Path) -> Path:
    o = objects_in(assessed)
    masks = {"lesions": o.lesions, "bones": o.anatomy.bones, "regions": o.anatomy.regions}
    seg = write_seg(assessed.assessment, masks, Source.of(o.exam.study, o.exam.fluid))
    assert seg is not None
    seg.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_our_own_segments_come_back_voxel_for_voxel(orientation: str, tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study", ORIENTATIONS[orientation])
    objects = objects_in(assessed)
    drawn = read_segmentation(our_seg(assessed, tmp_path / "seg.dcm"))
    assert {s.name for s in drawn.segments} >= {"lesion_1", "lesion_2", "femur", "femur_posterior_medial"}
    for segment in drawn.segments:
        placed = place(segment, objects.exam.image)
        assert placed.note == ""
        assert (placed.mask == dicom_results.map_of(objects, segment.name).mask(segment.name)).all()


def test_our_seg_as_bones_brings_bones_and_regions(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    truth = objects_in(assessed).anatomy
    found = given_bones.segment(objects_in(assessed).exam, our_seg(assessed, tmp_path / "any.name"))
    assert found.bones.codes == ("femur",)
    assert (found.bones.mask() == truth.bones.mask()).all()
    assert (found.regions.mask("femur_posterior_medial") == truth.regions.mask("femur_posterior_medial")).all()
    assert found.source == "given mask"


def test_an_untouched_seg_changes_nothing_and_a_corrected_one_only_what_was_corrected(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    objects = objects_in(assessed)
    drawn = read_segmentation(our_seg(assessed, tmp_path / "seg.dcm"))
    assert lesion_edits(objects, drawn, "Dr A", NOW).edits == ()
    without_second = replace(drawn, segments=tuple(s for s in drawn.segments if s.name != "lesion_2"))
    (edit,) = lesion_edits(objects, without_second, "Dr A", NOW).edits
    assert (edit.kind, edit.label, edit.by, edit.at) == (EditKind.REJECT, 2, "Dr A", NOW)
    assert drawn.uid in edit.reason
    after = apply_edits(objects, (edit,))
    # A rejected lesion is kept in the record but not written as a lesion again: the next round changes nothing.
    again = dicom_results.concluded(assessed, (edit,))
    assert lesion_edits(after, read_segmentation(our_seg(again, tmp_path / "2.dcm")), "Dr A", NOW).edits == ()


def test_frames_may_come_in_any_order(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    ds = pydicom.dcmread(our_seg(assessed, tmp_path / "seg.dcm"))
    order = list(range(ds.NumberOfFrames))
    random.Random(3).shuffle(order)
    frames = ds.pixel_array[order]
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[n] for n in order]
    ds.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes() + b"\0" * 2
    ds.save_as(tmp_path / "shuffled.dcm")
    objects = objects_in(assessed)
    for segment in read_segmentation(tmp_path / "shuffled.dcm").segments:
        expected = dicom_results.map_of(objects, segment.name).mask(segment.name)
        assert (place(segment, objects.exam.image).mask == expected).all()


def drawn_by_hand(
    path: Path, images: list[Any], pixels: np.ndarray, labels: list[str], kind: str = "BINARY", **more: Any
) -> Path:
    """A SEG as an ordinary viewer writes it: everything is "Tissue", labels are the reader's own words."""
    described = [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=label,
            segmented_property_category=sr_codes.SCT.Tissue,
            segmented_property_type=sr_codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for n, label in enumerate(labels, start=1)
    ]
    for image in images:
        for keyword in ("PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyTime"):
            setattr(image, keyword, image.get(keyword, ""))
    seg = hd.seg.Segmentation(
        source_images=images, pixel_array=pixels, segmentation_type=kind, segment_descriptions=described,
        series_instance_uid=hd.UID(), series_number=1, sop_instance_uid=hd.UID(), instance_number=1,
        manufacturer="Viewer", manufacturer_model_name="v", software_versions="1", device_serial_number="1", **more,
    )  # fmt: skip
    seg.save_as(path, enforce_file_format=True)
    return path


def test_fractional_counts_from_a_half_on_and_a_label_map_is_read(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    image = objects_in(assessed).exam.image
    images = [pydicom.dcmread(p) for p in sorted((tmp_path / "study").iterdir())]
    share = np.zeros((7, 36, 40, 1))
    share[2, 5:9, 6:10, 0], share[3, 5:9, 6:10, 0] = 0.6, 0.4
    path = drawn_by_hand(tmp_path / "f.dcm", images, share, ["edema"], "FRACTIONAL", fractional_type="PROBABILITY")
    (segment,) = read_segmentation(path).segments
    expected = np.zeros(image.shape, bool)
    expected[6:10, 5:9, 2] = True
    assert (place(segment, image).mask == expected).all()
    labels = np.zeros((7, 36, 40), np.uint8)
    labels[1, 4:6, 4:8], labels[5, 20:25, 30:33] = 1, 2
    found = read_segmentation(drawn_by_hand(tmp_path / "l.dcm", images, labels, ["a b", "Tibia"], "LABELMAP"))
    assert [s.name for s in found.segments] == ["a_b", "tibia"]
    assert (place(found.segments[1], image).mask == (labels == 2).transpose(2, 1, 0)).all()


@pytest.mark.needs("dcmqi")
def test_a_seg_written_by_dcmqi_is_read_and_becomes_edits(tmp_path: Path) -> None:
    # 3D Slicer writes SEG with dcmqi: frames only where something is drawn, one file of several readers' segments.
    assessed = assessed_of(tmp_path / "study", study_files.CORONAL)
    objects = objects_in(assessed)
    image = objects.exam.image
    drawn = objects.lesions.volume.array == 1
    drawn = drawn & ~(np.arange(image.shape[1])[None, :, None] < 14)  # part of lesion 1 taken away
    drawn[30:34, 30:33, 4] = True  # a lesion that was missed; lesion 2 is not drawn
    itk = sitk.GetImageFromArray(drawn.astype(np.uint8).transpose(2, 1, 0))
    itk.SetSpacing(image.spacing)
    itk.SetDirection(image.directions.ravel().tolist())
    itk.SetOrigin(image.to_world((0, 0, 0)).tolist())
    sitk.WriteImage(itk, str(tmp_path / "drawn.nrrd"))
    tissue = {"CodeValue": "85756007", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Tissue"}
    segment = {
        "labelID": 1, "SegmentLabel": "Segment_1", "SegmentDescription": "x", "SegmentAlgorithmType": "MANUAL",
        "SegmentedPropertyCategoryCodeSequence": tissue, "SegmentedPropertyTypeCodeSequence": tissue,
    }  # fmt: skip
    meta = {
        "ContentCreatorName": "Reader", "SeriesDescription": "s", "SeriesNumber": "300", "InstanceNumber": "1",
        "ContentLabel": "SEG", "ContentDescription": "c", "segmentAttributes": [[segment]],
        "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1", "BodyPartExamined": "",
    }  # fmt: skip
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    command = [
        str(program("itkimage2segimage")), "--inputImageList", str(tmp_path / "drawn.nrrd"),
        "--inputDICOMDirectory", str(tmp_path / "study"), "--inputMetadata", str(tmp_path / "meta.json"),
        "--outputDICOM", str(tmp_path / "slicer.dcm"), "--skip", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-800:]
    result = lesion_edits(objects, read_segmentation(tmp_path / "slicer.dcm"), "Dr A", NOW)
    assert result.notes == ()
    kinds = [(e.kind, e.label) for e in result.edits]
    assert kinds == [(EditKind.REMOVE_VOXELS, 1), (EditKind.REJECT, 2), (EditKind.ADD_VOXELS, 0)]
    assert (standing(apply_edits(objects, result.edits)) == drawn).all()


def standing(objects: Objects) -> np.ndarray:
    """Voxels of the lesions that are not rejected."""
    labels = [o.label for o in objects.objects if o.verdict is not Verdict.REJECTED]
    return np.isin(objects.lesions.volume.array, labels)


@pytest.fixture(scope="module")
def canvas(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return objects_in(assessed_of(tmp_path_factory.mktemp("canvas")))


SMALL = (5, 4, 3)
SMALL_MAP = hnp.arrays(np.uint16, SMALL, elements=st.integers(0, 3))


@settings(max_examples=150)
@given(before=SMALL_MAP, after=SMALL_MAP, rejected=st.integers(0, 3), names=st.permutations(["lesion_1", "x", "y"]))
def test_whatever_was_drawn_is_what_stands(
    canvas: Objects, before: np.ndarray, after: np.ndarray, rejected: int, names: list[str]
) -> None:
    objects = on_canvas(canvas, before, rejected)
    masks = [(name, np.zeros(canvas.exam.image.shape, bool)) for name in names]
    for n, (_, mask) in enumerate(masks, start=1):
        mask[:5, :4, :3] = after == n
    edits, shared = edits_to(objects, masks, "Dr A", NOW, "drawn")
    assert shared == 0
    corrected = apply_edits(objects, edits)
    assert (standing(corrected) == np.logical_or.reduce([m for _, m in masks])).all()
    assert edits_to(corrected, masks, "Dr A", NOW, "drawn")[0] == () or len({n for n in after.ravel() if n}) > 1


def on_canvas(canvas: Objects, labels: np.ndarray, rejected: int) -> Objects:
    array = np.zeros(canvas.exam.image.shape, np.uint16)
    array[:5, :4, :3] = labels
    found = sorted({int(n) for n in labels.ravel() if n})
    listed = tuple(
        LesionObject(n, LesionKind.EDEMA, 0.5, (), Verdict.REJECTED if n == rejected else Verdict.AUTOMATIC)
        for n in found
    )
    names = {n: f"lesion_{n}" for n in found}
    return replace(canvas, lesions=LabelMap(canvas.exam.image.with_array(array), names), objects=listed)


def test_segments_that_overlap_are_shared_out_and_said(canvas: Objects) -> None:
    one, two = (np.zeros(canvas.exam.image.shape, bool) for _ in range(2))
    one[30:34, 30:32, 5], two[32:36, 30:32, 5] = True, True
    edits, shared = edits_to(canvas, [("a", one), ("b", two)], "Dr A", NOW, "drawn")
    assert shared == 4
    assert (standing(apply_edits(canvas, edits)) == (one | two)).all()


def test_drawn_on_another_series_of_the_study_it_is_resampled_and_said(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    image = objects_in(assessed).exam.image
    fine = np.zeros((60, 50, 12), np.uint16)
    images = study_files.series(fine, orientation=study_files.AXIAL, series=4, PixelSpacing=[0.5, 0.5])
    centre = image.to_world((20, 18, 3))
    for k, ds in enumerate(images):
        ds.ImagePositionPatient = [float(v) for v in centre + np.array([-15.0, -12.5, -6.0 + k])]
        ds.SliceThickness = 1.0
    pixels = np.zeros((12, 50, 60, 1), np.uint8)
    pixels[3:9, 15:35, 20:40] = 1  # 10 x 10 x 6 mm around the centre
    path = drawn_by_hand(tmp_path / "axial.dcm", images, pixels, ["oedema"])
    (segment,) = read_segmentation(path).segments
    placed = place(segment, image)
    assert "another grid (0.50 x 0.50 x 1.00 mm, axial)" in placed.note
    assert "0.600 cm3" in placed.note
    volume = placed.mask.sum() * image.voxel_volume_mm3
    assert volume == pytest.approx(600, rel=0.2)  # three 3.5 mm slices of ten
    world = image.to_world(np.argwhere(placed.mask))
    assert np.abs(world.mean(axis=0) - (centre - np.array([0.25, 0.25, 0.5]))).max() < 1.75


@pytest.mark.parametrize(
    ("spoil", "error", "word"),
    [
        (lambda ds: setattr(ds, "FrameOfReferenceUID", "1.2.3"), GeometryError, "another frame of reference"),
        (lambda ds: setattr(ds, "SOPClassUID", pydicom.uid.MRImageStorage), StudyError, "expected: a DICOM SEG"),
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:50]), StudyError, "shorter than"),
        (lambda ds: delattr(ds, "PerFrameFunctionalGroupsSequence"), StudyError, "described frames"),
        (lambda ds: ds.SegmentSequence.pop(), StudyError, "not described"),
        (lambda ds: delattr(ds, "SharedFunctionalGroupsSequence"), StudyError, "orientation"),
    ],
)
def test_a_seg_that_cannot_be_used_says_why(
    spoil: Callable[[Any], None], error: type[Exception], word: str, tmp_path: Path
) -> None:
    assessed = assessed_of(tmp_path / "study")
    ds = pydicom.dcmread(our_seg(assessed, tmp_path / "seg.dcm"))
    if word == "another frame of reference":  # drawn on a series of another study
        ds.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.4"
    spoil(ds)
    ds.save_as(tmp_path / "bad.dcm")
    with pytest.raises(error, match=word):
        lesion_edits(objects_in(assessed), read_segmentation(tmp_path / "bad.dcm"), "Dr A", NOW)


def test_a_segment_outside_the_series_is_refused(tmp_path: Path) -> None:
    assessed = assessed_of(tmp_path / "study")
    ds = pydicom.dcmread(our_seg(assessed, tmp_path / "seg.dcm"))
    for group in ds.PerFrameFunctionalGroupsSequence:
        place_ = group.PlanePositionSequence[0]
        place_.ImagePositionPatient = [float(v) + 35 for v in place_.ImagePositionPatient]
    ds.save_as(tmp_path / "far.dcm")
    with pytest.raises(GeometryError, match="lies outside the fluid series"):
        lesion_edits(objects_in(assessed), read_segmentation(tmp_path / "far.dcm"), "Dr A", NOW)


def bright_study(folder: Path) -> Path:
    """A DICOM study with two bones and one bright spot in the first."""
    rng = np.random.default_rng(5)
    array = np.full(study_files.SHAPE, 300.0) + rng.normal(0, 12, study_files.SHAPE)
    bones = np.zeros(study_files.SHAPE, bool)
    bones[5:18, 4:32, 1:6], bones[22:36, 4:32, 1:6] = True, True
    array[bones] = 100 + rng.normal(0, 8, int(bones.sum()))
    spot = np.zeros(study_files.SHAPE)
    spot[8:15, 10:18, 2:5] = 200.0
    array += ndimage.gaussian_filter(spot, 1.3) * bones  # soft: a sharp one would be a cyst
    images = study_files.series(array.astype(np.uint16))
    study_files.save(images, folder)
    pixels = np.zeros((7, 36, 40, 2), np.uint8)
    pixels[1:6, 4:32, 5:18, 0] = pixels[1:6, 4:32, 22:36, 1] = 1
    drawn_by_hand(folder.parent / "bones.dcm", images, pixels, ["Femur", "Tibia"])
    corrected = np.zeros((7, 36, 40, 1), np.uint8)
    corrected[2:5, 10:14, 8:15] = corrected[3, 20:24, 26:30] = 1
    drawn_by_hand(folder.parent / "corrected.dcm", images, corrected, ["Segment_1"])
    return folder


def test_bones_and_corrections_from_a_seg_through_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from marrowscope.cli import run
    from marrowscope.results import read_results, release

    study, out = bright_study(tmp_path / "study"), tmp_path / "out"
    assert run(["assess", str(study), "-o", str(out), "--bones", str(tmp_path / "bones.dcm"), "--quiet"]) in (0, 4)
    first = read_results(out)
    assert set(first.mask("bones").codes) == {"femur", "tibia"}
    assert [x.bone for x in first.assessment.lesions] == ["femur"]
    release(out, "Dr A", NOW)
    monkeypatch.setattr("marrowscope.lesion.choose.detect_lesions", None)  # a correction never searches again
    words = ["edit", str(out), "--lesions", str(tmp_path / "corrected.dcm"), "--by", "Dr B", "--quiet", "--study"]
    assert run([*words, str(study)]) == 0, capsys.readouterr().err
    after = read_results(out)
    voxel = np.prod(study_files.PIXEL_MM) * study_files.SPACING_MM / 1000
    total = after.assessment.total("edema_volume")
    assert total is not None
    assert total.value == pytest.approx((7 * 4 * 3 + 4 * 4) * voxel)
    assert f"-> {total.value:.3f} cm3; amended" in capsys.readouterr().out
    assert {x.bone for x in after.assessment.lesions} == {"femur", "tibia"}
    assert (after.assessment.status.value, after.assessment.released_by) == ("amended", "")
    assert {e.by for e in after.assessment.edits} == {"Dr B"}
    assert len(list((out / "versions").glob("*.json"))) == 2
    ours = read_segmentation(out / "dicom" / "seg.dcm")
    assert sum(p.pixels.sum() for s in ours.segments if s.name.startswith("lesion") for p in s.planes) == 100
    assert run([*words, str(study)]) == 2
    assert "changes nothing" in capsys.readouterr().err
    study_files.save([study_files.instance(study_files.truth(1), k) for k in range(7)], tmp_path / "other")
    assert run([*words, str(tmp_path / "other")]) == 2
    assert "another study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("site", "label", "code", "side", "part"),
    [
        ("si_joint", "Left ilium", "", "", "left_ilium"),
        ("si_joint", "Sacrum", "", "", "sacrum"),
        ("si_joint", "bone A", "22356005", "right", "right_ilium"),
        ("knee", "Segment_2", "12611008", "left", "tibia"),
        ("knee", "FEMUR", "", "", "femur"),
        ("knee", "meniscus", "", "", ""),
    ],
)
def test_bones_are_known_by_name_or_by_code(site: str, label: str, code: str, side: str, part: str) -> None:
    assert part_of(Segment(1, label, "", "85756007", code, side, ()), load_site(site), "bones") == part
