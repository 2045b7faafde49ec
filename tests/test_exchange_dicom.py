"""DICOM results, judged by dciodvfy, DCMTK, dcmqi and highdicom; never by what wrote them."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dicom_results
from marrowscope.assessment.pipeline import Assessed
from marrowscope.exchange.outlines import outlines
from marrowscope.exchange.source import Source
from marrowscope.exchange.uids import derived_uid
from marrowscope.exchange.write import dicom_objects
from marrowscope.study import read_study

VENDORS = ("ge", "hitachi", "philips", "philips_enhanced", "siemens", "siemens_multiframe")


def objects_of(assessed: Assessed, source: Source) -> dict[str, pydicom.Dataset]:
    assert assessed.objects is not None
    objects = assessed.objects
    masks = {"lesions": objects.lesions, "bones": objects.anatomy.bones, "regions": objects.anatomy.regions}
    return dicom_objects(assessed.assessment, masks, source, b"%PDF-1.7 test\n%%EOF")


@pytest.fixture(scope="module", params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> tuple[Assessed, Source]:
    from needs import shared_root

    root = shared_root()
    if root is None:
        pytest.skip("no shared data")
    study = read_study(root / "data" / "dicom" / "vendors" / request.param)
    series = study.series[0]
    return dicom_results.assessed(study, series), Source.of(study, series)


def check(ds: pydicom.Dataset, path: Path) -> list[str]:
    ds.save_as(path, enforce_file_format=True)
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


@pytest.mark.needs("shared", "dciodvfy")
def test_every_object_is_valid_for_every_vendor(vendor: tuple[Assessed, Source], tmp_path: Path) -> None:
    made = objects_of(*vendor)
    assert set(made) == {"seg", "sr", "pdf", "ko", "pr"}
    for kind, ds in made.items():
        assert check(ds, tmp_path / f"{kind}.dcm") == [], kind


@pytest.mark.needs("shared")
def test_an_independent_reader_puts_every_voxel_back(vendor: tuple[Assessed, Source], tmp_path: Path) -> None:
    assessed, source = vendor
    objects_of(assessed, source)["seg"].save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    read = hd.seg.segread(tmp_path / "seg.dcm")
    assert assessed.objects is not None
    for number in read.segment_numbers:
        label = read.get_segment_description(number).segment_label
        truth = dicom_results.map_of(assessed.objects, label)
        volume = read.get_volume(segment_numbers=[number], combine_segments=False)
        found = volume.array[..., 0].astype(bool)
        places = np.c_[np.argwhere(found), np.ones(found.sum())] @ volume.affine.T
        index = truth.volume.to_index(places[:, :3])
        assert np.abs(index - np.rint(index)).max() < 1e-3  # voxels
        expected = {tuple(i) for i in np.argwhere(truth.mask(label))}
        assert {tuple(i) for i in np.rint(index).astype(int)} == expected


@pytest.mark.needs("shared")
def test_report_values_equal_the_assessment(vendor: tuple[Assessed, Source]) -> None:
    assessed, source = vendor
    report = hd.sr.Comprehensive3DSR.from_dataset(objects_of(assessed, source)["sr"])
    groups = report.content.get_volumetric_roi_measurement_groups()
    by_id = {g.tracking_identifier: g for g in groups}
    assert assessed.assessment.lesions
    for lesion in assessed.assessment.lesions:
        values = {m.name.value: m.value for m in by_id[lesion.code].get_measurements()}
        volume = lesion.measurement("volume")
        assert volume is not None
        assert values["118565006"] == pytest.approx(volume.value, rel=1e-8)
        assert by_id[lesion.code].referenced_segment is not None


@pytest.mark.needs("shared")
def test_uids_are_hashes_and_the_source_is_named(vendor: tuple[Assessed, Source]) -> None:
    once, again = objects_of(*vendor), objects_of(vendor[0], Source.from_json(vendor[1].to_json()))
    for kind, ds in once.items():
        assert ds.SOPInstanceUID.startswith("2.25.")
        assert len(ds.SOPInstanceUID) <= 64
        assert (ds.SOPInstanceUID, ds.StudyInstanceUID) == (
            again[kind].SOPInstanceUID,
            vendor[1].frames.study_instance_uid,
        )
        assert ds.PatientID == again[kind].PatientID
    known = {f.sop_instance_uid for f in vendor[1].frames.frames}
    named = {i.ReferencedSOPInstanceUID for i in once["seg"].ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named <= known


def test_the_same_result_is_the_same_bytes(vendor: tuple[Assessed, Source], tmp_path: Path) -> None:
    first, again = objects_of(*vendor), objects_of(*vendor)
    for kind, ds in first.items():
        for name, made in (("first", ds), ("again", again[kind])):
            made.save_as(tmp_path / name, enforce_file_format=True)
        assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes(), kind


def test_derived_uids_differ_with_every_part() -> None:
    assert len({derived_uid("a", "b"), derived_uid("ab"), derived_uid("a", "c"), derived_uid("a\x1fb", "")}) == 4


@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_outlines_hold_exactly_the_mask(mask: np.ndarray) -> None:
    # Even-odd rule at pixel centres: a ray to the left crosses the outline an odd number of times inside.
    lines = outlines(mask)
    for (c, r), inside in np.ndenumerate(mask):
        crossings = 0
        for line in lines:
            assert (line[0] == line[-1]).all()
            for (x0, y0), (x1, y1) in itertools.pairwise(line):
                crossings += bool(x0 == x1 and x0 <= c and min(y0, y1) < r + 0.5 < max(y0, y1))
        assert (crossings % 2 == 1) == inside
