"""De-identification: nothing planted survives, pixels and geometry do, UIDs map alike under one key."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from enhanced_files import enhanced, item
from marrowscope.errors import StudyError, UsageError
from marrowscope.study import read_study
from marrowscope.study.deidentify import Deidentification, deidentify_study
from marrowscope.study.scrub import Report, deidentified
from study_files import ROOT, affine, encoded, instance, save, series, truth

KEY = Deidentification(b"secret")
NAMES = ("Muster", "ERIKA", "Dr Wichtig", "Klinik am See", "Frau Geheim")
NUMBERS = ("ID778899", "ACC445566", "19600203", "20260102", "+49 30 1234567", "SN-998877")
PLANTED = (*NAMES, *NUMBERS)
TEXT_VRS = ("LO", "SH", "PN", "LT", "ST", "UT", "UC", "AE", "CS")


def planted(ds: FileDataset) -> FileDataset:
    """Names, dates and numbers where they belong, where they do not, in private and unknown attributes, in items."""
    ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "Muster^ERIKA", "19600203", "F"
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.InstitutionName = "ACC445566", "Dr Wichtig", "Klinik am See"
    ds.DeviceSerialNumber, ds.PatientTelephoneNumbers = "SN-998877", "+49 30 1234567"
    ds.SeriesDescription, ds.ImageComments = "t2 fs Muster knee", "call Frau Geheim on +49 30 1234567"
    ds.SequenceName, ds.ManufacturerModelName, ds.BodyPartExamined = "muster_tse", "Scanner of ERIKA", "MUSTER"
    block = ds.private_block(0x0019, "ACME Muster", create=True)
    block.add_new(0x01, "LO", "Frau Geheim 19600203")
    ds.add_new(0x00190055, "UN", b"Muster ERIKA")
    item = Dataset()
    item.PatientName, item.AccessionNumber = "Muster^ERIKA", "ACC445566"
    item.ReferencedSOPInstanceUID = f"{ROOT}.1.1"
    ds.RequestAttributesSequence = [item]
    ds.add_new(0x60003000, "OW", b"Frau Geheim " * 4)
    return ds


def all_bytes(folder: Path) -> bytes:
    """Everything written: file names, headers, the report; pixel data left out."""
    parts = [str(p.relative_to(folder)).encode() for p in sorted(folder.rglob("*"))]
    for path in sorted(folder.rglob("*.dcm")):
        ds = dcmread(path)
        del ds.PixelData
        parts.append(str(ds.file_meta).encode() + str(ds).encode())
    return b"\n".join(parts) + (folder / "deidentification.json").read_bytes()


def copy_of(source: Path, out: Path, how: Deidentification = KEY) -> Path:
    deidentify_study(source, out, how)
    return out


def test_nothing_planted_survives(tmp_path: Path) -> None:
    source = save([planted(ds) for ds in series(truth())], tmp_path / "Muster_ERIKA", [f"Muster{i}" for i in range(7)])
    out = copy_of(source, tmp_path / "out")
    written = all_bytes(out).lower()
    assert [word for word in PLANTED if word.lower().encode() in written] == []
    assert [part for part in (b"muster", b"geheim", b"wichtig", ROOT.encode()) if part in written] == []
    for path in out.rglob("*.dcm"):
        raw = path.read_bytes().lower()
        assert not any(word.lower().encode() in raw for word in PLANTED)


@settings(max_examples=60, phases=(Phase.generate,))
@given(st.data())
def test_a_name_planted_in_any_standard_text_attribute_is_gone(data: st.DataObject) -> None:
    tags = [tag for tag, entry in DicomDictionary.items() if entry[0] in TEXT_VRS and tag >> 16 not in (0, 2, 0xFFFE)]
    ds = instance(truth(), 0)
    name = data.draw(st.sampled_from(["MUSTER", "GEHEIM"]))  # the second stands nowhere else
    chosen = data.draw(st.lists(st.sampled_from(sorted(tags)), min_size=5, max_size=30, unique=True))
    for tag in chosen:
        ds.add_new(tag, dictionary_VR(tag), name)
    clean = deidentified(ds, KEY, Report())
    kept = [keyword_for_tag(t) for t in chosen if t in clean and name in str(clean[t].value)]
    assert name.lower() not in str(clean).lower(), kept


HIDDEN = [
    ("SOPInstanceUID", "UI", "1.2.840.10008.19600203"),  # under the standard's root, but no registered UID
    ("RepetitionTime", "LO", "Frau Geheim"),  # text under a number's tag
    ("SequenceName", "OB", b"Frau Geheim "),
    ("SequenceName", "SH", "GEHEIM_1960"),
    ("PulseSequenceName", "SH", "Geheim2"),
    ("ImageType", "CS", ["ORIGINAL", "PRIMARY", "KIM"]),
    ("ScanOptions", "CS", ["FS", "LEE", "GEHEIM_GEMS"]),
    ("StackID", "SH", "Kim"),
    ("RescaleType", "LO", "Lee"),
    ("StudyTime", "TM", "101500 Geheim"),
    ("PatientAge", "AS", "Kim"),
    ("StudyDate", "DA", "20260102Geheim"),
    ("AcquisitionDateTime", "DT", "20260102 Geheim"),
    ("EchoTime", "DS", "70 Geheim"),
    ("TriggerTime", "DS", "778899"),
    ("ImageComments", "LT", '{"patient": "Geheim", "mrn": "778899"}'),
    ("StudyComments", "UT", "Geheim"),
    ("BodyPartExamined", "CS", "GEHEIM"),
    ("ConvolutionKernel", "SH", "Geheim"),
    ("Manufacturer", "LO", "Klinik Geheim"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("keyword", "vr", "value"), HIDDEN, ids=[f"{k}-{vr}" for k, vr, _ in HIDDEN])
def test_names_hidden_under_any_representation_are_gone(keyword: str, vr: str, value: object) -> None:
    ds = instance(truth(), 0)
    ds[keyword] = DataElement(tag_for_keyword(keyword), vr, value, already_converted=True)
    how = Deidentification(b"k", frozenset({"shifted_dates", "characteristics"}))
    clean = deidentified(ds, how, Report())
    kept = str(clean).lower()
    assert not any(word in kept for word in ("geheim", "kim", "lee", "klinik", "778899", "19600203"))
    if keyword == "ImageType":
        assert len(clean.ImageType) == 3 and clean.ImageType[:2] == ["ORIGINAL", "PRIMARY"]


@pytest.mark.parametrize(
    ("charset", "name", "told"),
    [
        ("ISO_IR 100", "Müller^Jörg", "MUELLER"),
        ("ISO_IR 192", "山田^太郎", "山田"),
        ("ISO_IR 144", "Иванов^Пётр", "Иванов"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        ("GB18030", "王^小东", "小东"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "길동"),
    ],
)
def test_names_in_any_character_set_are_found_in_text_that_an_option_keeps(
    charset: str, name: str, told: str, tmp_path: Path
) -> None:
    facts = {"SpecificCharacterSet": charset.split("\\"), "PatientName": name}
    facts |= {"StationName": f"MR {told}", "SeriesDescription": f"t2 fs {told}"}
    source = save(series(truth(), **facts), tmp_path / "in")
    out = copy_of(source, tmp_path / "out", Deidentification(b"k", frozenset({"device"})))
    written = all_bytes(out)
    assert told.encode() not in written and told.lower().encode() not in written.lower()
    if not told.isascii():
        assert told not in read_study(source).series[0].description


def test_what_rides_along_with_pixels_is_cut(tmp_path: Path) -> None:
    files = series(truth())
    for ds in files:
        ds.PixelData = ds.PixelData + b"Frau Geheim!"
        ds.preamble = b"Frau Geheim".ljust(128, b"\0")
    out = copy_of(save(files, tmp_path / "in"), tmp_path / "out")
    assert all(b"Geheim" not in path.read_bytes() for path in out.rglob("*.dcm"))
    assert np.array_equal(read_study(out).series[0].volume.array, truth())


@pytest.mark.parametrize(("syntax", "marker"), [(JPEGLSLossless, b"\xff\xfe"), (JPEG2000Lossless, b"\xff\x64")])
def test_comments_inside_codestreams_are_cut(syntax: str, marker: bytes, tmp_path: Path) -> None:
    files = series(truth())
    for ds in files:
        ds.compress(syntax, generate_instance_uid=False)
        frame = next(generate_frames(ds.PixelData, number_of_frames=1))
        at = 2 if syntax == JPEGLSLossless else 4 + int.from_bytes(frame[4:6], "big")
        comment = marker + (15).to_bytes(2, "big") + b"\0\1Frau Geheim"
        ds.PixelData = encapsulate([frame[:at] + comment + frame[at:]])
        ds["PixelData"].is_undefined_length = True
    source = save(files, tmp_path / "in")
    assert np.array_equal(read_study(source).series[0].volume.array, truth())
    out = copy_of(source, tmp_path / "out")
    assert all(b"Geheim" not in path.read_bytes() for path in out.rglob("*.dcm"))
    assert np.array_equal(read_study(out).series[0].volume.array, truth())


def test_overlays_in_pixel_bits_are_refused(tmp_path: Path) -> None:
    files = series(truth())
    for ds in files:
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 12)
    with pytest.raises(StudyError, match="embedded_overlay"):
        deidentify_study(save(files, tmp_path / "in"), tmp_path / "out", KEY)


@pytest.mark.parametrize(
    ("facts", "usable"),
    [
        ({"SeriesDescription": "t2 fs sag post Gd"}, False),
        ({"ContrastBolusAgent": "Gadovist"}, False),
        ({"ContrastBolusAgent": "Gadovist", "AcquisitionTime": "101500", "ContrastBolusStartTime": "100000"}, False),
        ({"ContrastBolusAgent": "Gadovist", "AcquisitionTime": "094500", "ContrastBolusStartTime": "100000"}, True),
        ({}, True),
    ],
)
def test_what_is_known_of_contrast_survives(facts: dict[str, str], usable: bool, tmp_path: Path) -> None:
    source = save(series(truth(), **facts), tmp_path / "in")
    copy = read_study(copy_of(source, tmp_path / "out"))
    assert (read_study(source).fluid is not None) is usable
    assert (copy.fluid is not None) is usable


def test_nested_without_end_is_refused_not_followed(tmp_path: Path) -> None:
    item = Dataset()
    for _ in range(60):
        outer = Dataset()
        outer.PixelMeasuresSequence = [item]
        item = outer
    files = series(truth(), PixelMeasuresSequence=[item])
    for ds in files:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    with pytest.raises(StudyError, match="nested_too_deep"):
        deidentify_study(save(files, tmp_path / "in"), tmp_path / "out", KEY)


def test_pixels_geometry_and_role_are_unchanged(tmp_path: Path) -> None:
    source = save([planted(ds) for ds in series(truth())], tmp_path / "in")
    copy = read_study(copy_of(source, tmp_path / "out")).series[0]
    original = read_study(source).series[0]
    assert np.array_equal(copy.volume.array, truth())
    assert np.allclose(copy.volume.affine, affine(), atol=1e-4)
    assert (copy.role, copy.sequence.te_ms) == (original.role, original.sequence.te_ms)


def test_uids_map_alike_under_one_key_and_differ_under_another(tmp_path: Path) -> None:
    source = save(series(truth()), tmp_path / "in")
    studies = [
        read_study(copy_of(source, tmp_path / f"out{i}", Deidentification(key)))
        for i, key in enumerate((b"a", b"a", b"b"))
    ]
    sources = [study.series[0].source for study in studies]
    assert sources[0].frames[0].sop_instance_uid == sources[1].frames[0].sop_instance_uid  # type: ignore[union-attr]
    uids = {s.series_instance_uid for s in sources}  # type: ignore[union-attr]
    assert len(uids) == 2 and all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)


def test_shifted_dates_keep_intervals_and_hide_the_day(tmp_path: Path) -> None:
    how = Deidentification(b"k", frozenset({"shifted_dates", "characteristics"}))
    for name, day in (("first", "20260102"), ("second", "20260205")):
        save(series(truth(), StudyDate=day, AcquisitionTime="101500"), tmp_path / name)
    dates = [read_study(copy_of(tmp_path / n, tmp_path / f"{n}_out", how)).study_date for n in ("first", "second")]
    first, second = (np.datetime64(str(date)) for date in dates)
    assert int((second - first) / np.timedelta64(1, "D")) == 34
    assert str(first) != "2026-01-02"
    assert read_study(tmp_path / "first_out").patient.sex == "F"


def test_burned_in_text_is_refused_unless_told(tmp_path: Path) -> None:
    source = save(series(truth(), BurnedInAnnotation="YES"), tmp_path / "in")
    with pytest.raises(StudyError, match="burned_in"):
        deidentify_study(source, tmp_path / "out", KEY)
    assert list(tmp_path.iterdir()) == [source]
    copy_of(source, tmp_path / "out", Deidentification(b"k", accept_burned_in=True))
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 7


def test_reports_and_screenshots_are_not_copied_and_the_report_says_so(tmp_path: Path) -> None:
    capture = instance(truth(), 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    report = instance(truth(), 1, Modality="SR")
    source = save([*series(truth())[2:], capture, report], tmp_path / "in")
    out = copy_of(source, tmp_path / "out")
    told = json.loads((out / "deidentification.json").read_text())
    assert told["files_written"] == 5
    assert {entry["code"] for entry in told["refused"]} == {"burned_in", "not_mr_or_ct"}
    assert told["removed"]["SeriesDescription"] == 5


def test_an_existing_folder_and_unknown_options_are_wrong_usage(tmp_path: Path) -> None:
    source = save(series(truth()), tmp_path / "in")
    with pytest.raises(UsageError, match="exists"):
        deidentify_study(source, source, KEY)
    with pytest.raises(UsageError, match="one of"):
        Deidentification(b"k", frozenset({"everything"}))
    with pytest.raises(UsageError, match="key"):
        Deidentification(b"")


@pytest.mark.needs("shared:data/dicom")
@pytest.mark.parametrize(
    "folder", ["vendors/siemens_multiframe", "vendors/philips_enhanced", "vendors/ge", "vendors/hitachi"]
)
def test_vendors_files_keep_pixels_and_geometry(folder: str, shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "dicom" / folder
    copy, original = read_study(copy_of(source, tmp_path / "out")), read_study(source)
    assert len(copy.series) == len(original.series) > 0
    for ours, theirs in zip(copy.series, original.series, strict=True):
        assert np.array_equal(ours.volume.array, theirs.volume.array)
        assert np.array_equal(ours.volume.affine, theirs.volume.affine)


@pytest.mark.needs("dciodvfy")
def test_a_copy_is_no_worse_an_mr_image_than_its_original(tmp_path: Path) -> None:
    source = save(series(truth(), PatientBirthDate="19600203"), tmp_path / "in")
    out = copy_of(source, tmp_path / "out")
    tool = shutil.which("dciodvfy")
    assert tool is not None

    def errors(path: Path) -> set[str]:
        done = subprocess.run([tool, str(path)], capture_output=True, check=False)
        lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
        return {line for line in lines if line.startswith("Error")}

    assert errors(sorted(out.rglob("*.dcm"))[0]) <= errors(sorted(source.iterdir())[0])


MOMENT, DAY, HOUR = "19600203101500", "19600203", "101500"


def dated(group: Dataset, k: int, t: int) -> None:
    """A frame with moments wherever an enhanced object has them, and in vendors' own groups, one inside another."""
    content = group.FrameContentSequence[0]
    content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = MOMENT
    content.FrameAcquisitionDuration = 12.5
    content.FrameComments = f"Frau Geheim {DAY}"
    inner = Dataset()
    inner.ContentDate, inner.AcquisitionDateTime, inner.PatientName = DAY, MOMENT, "Muster^ERIKA"
    private = Dataset()
    private.StudyDate = private.SeriesDate = DAY
    for holder, held in ((private, inner), (group, private)):
        holder.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", [held])
    group.MRTimingAndRelatedParametersSequence = item(RepetitionTime=3500.0, ContentTime=HOUR, InstanceCreationDate=DAY)


@pytest.mark.parametrize("options", [frozenset(), frozenset({"shifted_dates"})])
def test_no_moment_of_an_enhanced_object_survives(options: frozenset[str], tmp_path: Path) -> None:
    ds = enhanced(
        [truth()], [(k, 0) for k in range(7)], per_frame=dated, Manufacturer="Philips", EchoPulseSequence="SPIN"
    )
    ds.ContentDate = ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.InstanceCreationDate = DAY
    ds.ContentTime = ds.StudyTime = HOUR
    ds.AcquisitionDateTime = ds.StartAcquisitionDateTime = MOMENT
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0").write_bytes(encoded(ds))
    out = copy_of(tmp_path / "in", tmp_path / "out", Deidentification(b"k", options))
    (path,) = out.rglob("*.dcm")
    raw = path.read_bytes()
    assert DAY.encode() not in raw and b"Geheim" not in raw and b"ERIKA" not in raw
    clean = dcmread(path)
    frames = clean.PerFrameFunctionalGroupsSequence
    moments = {(f.FrameContentSequence[0].FrameAcquisitionDateTime, clean.AcquisitionDateTime) for f in frames}
    ((frame, whole),) = moments  # what the object must have is there, and stands for no moment, or for a shifted one
    assert frame == whole
    assert (frame[8:] == HOUR and frame[:8] == clean.ContentDate) if options else frame == "19000101000000"
    assert not any(element.tag.is_private for f in frames for element in f.iterall())
    assert frames[0].FrameContentSequence[0].FrameAcquisitionDuration == 12.5
    copy = read_study(out)
    assert np.array_equal(copy.series[0].volume.array, truth())
    assert copy.study_date == (
        f"{clean.StudyDate[:4]}-{clean.StudyDate[4:6]}-{clean.StudyDate[6:]}" if options else None
    )


def test_a_number_that_is_zero_stays_zero() -> None:
    clean = deidentified(instance(truth(), 0, RescaleIntercept=0, RescaleSlope=1, TriggerTime=0), KEY, Report())
    assert (clean.RescaleIntercept, clean.TriggerTime) == (0, 0)


TABLE = Path(__file__).parent / "data" / "ps3_15_e1_1.csv"


def profile() -> list[tuple[int, str]]:
    """Tag and Basic Profile action of every row of PS3.15 table E.1-1."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [(int(row["tag"], 16), row["action"]) for row in csv.DictReader(lines)]


FILLERS = {"DA": "19600203", "TM": "101500", "DT": "19600203101500", "AS": "066Y", "UI": f"{ROOT}.77"}
FILLERS |= {"PN": "Muster^Erika", "DS": "7788", "IS": "7788"}
MADE_UP = ("PatientName", "PatientID", "ContrastBolusAgent")
"""What a copy says in place of the original: a pseudonym and whether a contrast agent was given."""


def filled(tag: int) -> DataElement:
    """The attribute with a value that identifies someone, whatever its representation."""
    try:
        vr = dictionary_VR(tag).split(" or ")[0]
    except KeyError:  # newer than pydicom's dictionary
        vr = "LO"
    if vr == "SQ":
        item = Dataset()
        item.PatientName = "Muster^Erika"
        return DataElement(tag, vr, [item])
    if vr in ("OB", "OW", "UN"):
        return DataElement(tag, vr, b"Muster")
    if vr in ("US", "UL", "SS", "SL", "FD", "FL"):
        return DataElement(tag, vr, 7788)
    return DataElement(tag, vr, FILLERS.get(vr, "MUSTER"))


@pytest.mark.filterwarnings("ignore")
def test_every_row_of_the_profile_is_done() -> None:
    rows = profile()
    assert len(rows) > 640
    ds = instance(truth(), 0)
    for tag, _ in rows:
        ds[tag] = filled(tag)
    nested = Dataset()
    for tag, _ in rows:
        nested[tag] = filled(tag)
    ds.SharedFunctionalGroupsSequence = [nested]
    clean = deidentified(ds, KEY, Report())
    for place in (clean, clean.SharedFunctionalGroupsSequence[0]):
        for tag, action in rows:
            left = place.get(tag)
            if left is None or left.is_empty:
                continue  # X is met, and Z, D and U by something stricter
            if action == "U":
                assert str(left.value).startswith("2.25."), keyword_for_tag(tag)
            else:  # D and Z allow a value of ours
                assert left.keyword in MADE_UP and not action.startswith("X"), (left.keyword, action)
    assert not any(word in str(clean) for word in ("Muster", "MUSTER", "7788", "19600203"))
