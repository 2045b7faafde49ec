"""SEG and SR read back by programs that are not ours (dcmqi, DCMTK), voxel for voxel, value for value."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dicom_results
import study_files
from marrowscope.assessment import to_json
from marrowscope.assessment.pipeline import Assessed
from marrowscope.exchange import codes
from marrowscope.exchange.source import Source
from marrowscope.exchange.write import dicom_objects
from marrowscope.study import read_study
from needs import program, shared_root
from seg_judges import Places, by_dcmqi, by_dcmtk, dcm2json, values

TURN = np.deg2rad(23.0)
OBLIQUE = (float(np.cos(TURN)), 0.0, float(np.sin(TURN)), 0.0, 1.0, 0.0)
DOUBLE_OBLIQUE = (0.8824, 0.4154, -0.221, -0.4705, 0.7831, -0.4067)
"""Direction cosines to four digits, as scanners print them: square only to 1e-4."""

ORIENTATIONS = {
    "axial": study_files.AXIAL,
    "coronal": study_files.CORONAL,
    "sagittal": study_files.SAGITTAL,
    "oblique": OBLIQUE,
    "double_oblique": DOUBLE_OBLIQUE,
    "reversed": study_files.SAGITTAL,
    "left_handed": study_files.AXIAL,
}
ENHANCED = ("philips_enhanced", "siemens_multiframe")
PDF = b"%PDF-1.7\n%%EOF"
FAR_MM = 1e-2
"""A voxel centre may move by this on its way through other programs: decimal strings, single precision."""


def written(kind: str, folder: Path) -> tuple[Assessed, Path]:
    """A small study of that orientation, boxes for lesions, and its DICOM objects on disk."""
    if kind in ENHANCED:
        root = shared_root()
        if root is None:
            pytest.skip("no shared data")
        study = read_study(root / "data" / "dicom" / "vendors" / kind)
    else:
        made = study_files.series(study_files.truth(), orientation=ORIENTATIONS[kind])
        if kind == "reversed":  # numbered from the other end
            for k, ds in enumerate(made):
                ds.InstanceNumber = len(made) - k
        if kind == "left_handed":  # the stack runs against the normal of its slices
            for k, ds in enumerate(made):
                ds.ImagePositionPatient = [-20.0, 5.0, 30.0 - study_files.SPACING_MM * k]
        study = read_study(study_files.save(made, folder / "study"))
    series = study.series[0]
    assessed = dicom_results.assessed(study, series)
    assert assessed.objects is not None
    objects = assessed.objects
    masks = {"lesions": objects.lesions, "bones": objects.anatomy.bones, "regions": objects.anatomy.regions}
    for name, ds in dicom_objects(assessed.assessment, masks, Source.of(study, series), PDF).items():
        ds.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return assessed, folder


@pytest.fixture(scope="module", params=(*ORIENTATIONS, *ENHANCED))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Assessed, Path]:
    return written(request.param, tmp_path_factory.mktemp(request.param))


def same_voxels(assessed: Assessed, places: Places) -> None:
    """Every segment is there, and holds the voxels of our mask: none more, none fewer."""
    assert assessed.objects is not None
    objects = assessed.objects
    assert set(places) == {*objects.lesions.codes, *objects.anatomy.bones.codes, *objects.anatomy.regions.codes}
    for label, mm in places.items():
        truth = dicom_results.map_of(objects, label)
        index = truth.volume.to_index(mm)
        whole = np.rint(index).astype(int)
        assert (np.abs(index - whole) * truth.volume.spacing).max() < FAR_MM
        expected = {tuple(i) for i in np.argwhere(truth.mask(label))}
        assert len(mm) == len(expected)
        assert {tuple(i) for i in whole} == expected, label


@pytest.mark.needs("dcmqi")
def test_dcmqi_reads_the_same_voxels(case: tuple[Assessed, Path], tmp_path: Path) -> None:
    same_voxels(case[0], by_dcmqi(case[1] / "seg.dcm", tmp_path))


@pytest.mark.needs("dcmtk")
def test_dcmtk_reads_the_same_voxels(case: tuple[Assessed, Path]) -> None:
    same_voxels(case[0], by_dcmtk(case[1] / "seg.dcm"))


@pytest.mark.needs("dciodvfy")
def test_every_object_is_valid_in_every_orientation(case: tuple[Assessed, Path]) -> None:
    for name in ("seg", "sr", "pdf", "ko", "pr"):
        done = subprocess.run(
            ["dciodvfy", "-new", str(case[1] / f"{name}.dcm")], capture_output=True, text=True, check=False
        )
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == [], name


Values = dict[tuple[str, str], tuple[float, str]]
"""(tracking identifier, code) to (value, UCUM unit)."""


def stated(assessed: Assessed) -> Values:
    """Every number of assessment.json that a measurement report holds, under the code it is written with."""
    data = json.loads(to_json(assessed.assessment))
    rows = [(x["code"], m) for kind in ("lesions", "bones") for x in data[kind] for m in x["measurements"]]
    rows += [("whole_exam", m) for m in data["totals"]]
    rows += [(x["code"], {"code": "confidence", "value": x["confidence"], "unit": "1"}) for x in data["lesions"]]
    for score in data["scores"]:
        rows.append((score["id"], {**score["total"], "code": score["id"], "unit": "1"}))
        rows += [
            (score["id"], {"code": c["id"].replace(".", "_"), "value": c.get("value"), "unit": "1"})
            for c in score["cells"]
        ]
    return {
        (owner, str(codes.coded("measurements", m["code"]).value)): (m["value"], m["unit"])
        for owner, m in rows
        if m.get("value") is not None
    }


def by_tid1500reader(sr: Path, out: Path) -> Values:
    command = [str(program("tid1500reader")), "--inputDICOM", str(sr), "--outputMetadata", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-800:]
    return {
        (group["TrackingIdentifier"], m["quantity"]["CodeValue"]): (float(m["value"]), m["units"]["CodeValue"])
        for group in json.loads(out.read_text())["Measurements"]
        for m in group.get("measurementItems", [])
    }


def by_dcm2json(sr: Path) -> Values:
    """The report's tree as DCMTK reads it; values from Floating Point Value (0040,A161)."""
    tree = dcm2json(sr)
    (measurements,) = (x for x in values(tree, "0040A730") if concept(x, "0040A043") == "126010")
    found: Values = {}
    for group in values(measurements, "0040A730"):
        items = values(group, "0040A730")
        owner = next(values(x, "0040A160")[0] for x in items if concept(x, "0040A043") == "112039")
        for x in items:
            if values(x, "0040A040") == ["NUM"]:
                number = values(x, "0040A300")[0]
                pair = (values(number, "0040A161")[0], concept(number, "004008EA"))
                assert (owner, concept(x, "0040A043")) not in found
                found[owner, concept(x, "0040A043")] = pair
    return found


def concept(item: dict[str, Any], tag: str) -> str:
    """Code Value, or Long Code Value, of a coded item."""
    code = values(item, tag)[0]
    return str(values(code, "00080100" if "00080100" in code else "00080119")[0])


def agree(found: Values, expected: Values, relative: float) -> None:
    assert found.keys() == expected.keys()
    for key, (value, unit) in found.items():
        assert (value, unit) == (pytest.approx(expected[key][0], rel=relative), expected[key][1]), key


@pytest.mark.needs("dcmtk")
def test_the_report_says_what_assessment_json_says(case: tuple[Assessed, Path]) -> None:
    expected = stated(case[0])
    assert len(expected) > 20
    agree(by_dcm2json(case[1] / "sr.dcm"), expected, 1e-14)  # as many digits as dcm2json prints


@pytest.mark.needs("dcmqi")
def test_dcmqi_reads_the_report_too(case: tuple[Assessed, Path], tmp_path: Path) -> None:
    expected, found = stated(case[0]), by_tid1500reader(case[1] / "sr.dcm", tmp_path / "sr.json")
    agree(found, expected, 1e-12)  # a decimal string has 16 characters


@pytest.mark.needs("dcmtk")
def test_dcmtk_reads_report_key_images_and_outlines(case: tuple[Assessed, Path], tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    subprocess.run(["dcm2pdf", str(case[1] / "pdf.dcm"), str(pdf)], capture_output=True, check=True)
    assert pdf.read_bytes().rstrip(b"\0") == PDF
    checked = subprocess.run(["dcmpschk", str(case[1] / "pr.dcm")], capture_output=True, text=True, check=True)
    assert "Test passed" in checked.stdout + checked.stderr
    keys = subprocess.run(["dsrdump", str(case[1] / "ko.dcm")], capture_output=True, text=True, check=True).stdout
    assert keys.count("contains IMAGE") == (1 if case[1].name.startswith(ENHANCED) else 2)  # two key slices
