"""Files made to break a reader: each refused by name, within bounds, the rest of the study still read."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEG2000Lossless, RLELossless

import marrowscope
from marrowscope.errors import LimitExceededError, StudyError
from marrowscope.study import limits, read_study
from marrowscope.study.describe import describe
from study_files import encoded, instance, save, series, truth

PEAK_BYTES = 300 * limits.MIB  # above idle, for any hostile file

DEFLATED = "1.2.840.10008.1.2.1.99"


def bomb(inflated: int) -> bytes:
    """A deflated data set whose one private value inflates to many bytes of zero."""
    ds = instance(truth(), 0)
    ds.file_meta.TransferSyntaxUID = DEFLATED
    whole = encoded(ds)
    meta_end = 132 + 12 + struct.unpack_from("<I", whole, 132 + 8)[0]
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [engine.compress(struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, inflated))]
    block = b"\0" * limits.MIB
    parts += [engine.compress(block) for _ in range(inflated // limits.MIB)]
    return whole[:meta_end] + b"".join(parts) + engine.flush()


def nested(depth: int, *, defined: bool) -> bytes:
    """An instance with sequences nested in one another."""
    value = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
        value = struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, len(item)) + item
    if not defined:
        opened = struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF)
        opened += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        closed = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        value = opened * depth + closed * depth
    whole = encoded(instance(truth(), 0))
    at = whole.index(b"\x08\x00\x16\x00")
    return whole[:at] + value + whole[at:]


def many_items(count: int) -> bytes:
    whole = encoded(instance(truth(), 0))
    at = whole.index(b"\x08\x00\x16\x00")
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count
    return whole[:at] + struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, len(items)) + items + whole[at:]


def compressed(syntax: str, frame: bytes, **extra: object) -> bytes:
    ds = instance(truth(), 0, **extra)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    return encoded(ds)


def j2k(rows: int, columns: int) -> bytes:
    """The head of a JPEG 2000 codestream that declares its own size."""
    siz = struct.pack(">HHIIIIIIII", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0)
    siz += struct.pack(">HBBB", 1, 15, 1, 1)
    return b"\xff\x4f\xff\x51" + siz + b"\xff\xd9"


def rle(frame_bytes: int) -> bytes:
    """Two segments whose runs unpack to far more than the frame."""
    segment = b"\x81\x00" * frame_bytes
    return struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment * 2


HOSTILE = {
    "deflate_bomb": (bomb(400 * limits.MIB), {"inflates_too_much"}),
    "nested_open": (nested(2000, defined=False), {"nested_too_deep"}),
    "nested_closed": (nested(2000, defined=True), {"nested_too_deep", "damaged_header", "truncated"}),
    "many_items": (many_items(limits.MAX_ITEMS + 1), {"too_many_elements"}),
    "huge_declared": (encoded(instance(truth(), 0, Rows=46341, Columns=46341)), {"image_too_large", "too_few_slices"}),
    "j2k_lies": (compressed(JPEG2000Lossless, j2k(46341, 46341)), {"pixels_conflict", "too_few_slices"}),
    "rle_swells": (compressed(RLELossless, rle(4 * limits.MIB)), {"too_few_slices"}),
    "truncated_header": (encoded(instance(truth(), 0))[:400], {"truncated", "damaged_header"}),
    "empty": (b"", {"not_an_image"}),
    "text": (b"hello\n" * 100, {"not_an_image"}),
}


def whole_study(folder: Path) -> Path:
    return save(series(truth(), series=7), folder, [f"good/{k}" for k in range(7)])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    data, codes = HOSTILE[name]
    (whole_study(tmp_path) / "bad.dcm").write_bytes(data)
    study = read_study(tmp_path)
    assert [s.number for s in study.series] == [7]
    assert len(study.refusals) == 1 and study.refusals[0].code in codes


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Rows": 46341, "Columns": 46341}, "image_too_large"),
        ({"Rows": 0}, "image_too_large"),
        ({"BitsAllocated": 12}, "pixel_format"),
        ({"PixelSpacing": [0, 0]}, "no_pixel_spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "bad_orientation"),
        ({"ImagePositionPatient": None}, "no_position"),
        ({"SamplesPerPixel": 3}, "colour_image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary_capture"),
        ({"Modality": "PT"}, "not_mr_or_ct"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic"),
        ({"NumberOfFrames": 5}, "multiframe_without_geometry"),
        ({"RescaleSlope": 0, "RescaleIntercept": 3}, "bad_rescale"),
        ({"RescaleSlope": "1e30"}, "bad_rescale"),
        ({"PixelSpacing": ["1e-9", "1e-9"]}, "implausible_geometry"),
        ({"PixelSpacing": [1000000, 1000000]}, "implausible_geometry"),
    ],
)
def test_a_series_that_cannot_be_a_volume_says_why(change: dict[str, object], code: str, tmp_path: Path) -> None:
    whole_study(tmp_path)
    bad = series(truth(), series=8, **change)
    for k, ds in enumerate(bad):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.8.{k + 1}"
    save(bad, tmp_path, [f"bad/{k}" for k in range(7)])
    study = read_study(tmp_path)
    assert [s.number for s in study.series] == [7]
    assert {r.code for r in study.refusals} == {code}
    assert sum(r.count for r in study.refusals) == 7


def test_truncated_pixels_are_refused(tmp_path: Path) -> None:
    for k, ds in enumerate(series(truth())):
        (tmp_path / str(k)).write_bytes(encoded(ds)[: -200 if k == 3 else None])
    assert [r.code for r in read_study(tmp_path).refusals] == ["pixels_truncated"]


def test_links_pipes_and_loops_are_not_followed(tmp_path: Path) -> None:
    root = whole_study(tmp_path / "study")
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(encoded(instance(truth(1), 0)))
    (root / "link").symlink_to(secret)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    study = read_study(root)
    assert len(study.series) == 1
    assert {r.code for r in study.refusals} == {"symbolic_link", "not_a_file"}


def test_a_zip_of_traps(tmp_path: Path) -> None:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k, ds in enumerate(series(truth())):
            archive.writestr(f"good/{k}", encoded(ds))
        archive.writestr("../../escaped", b"x")
        archive.writestr("/absolute", b"x")
        archive.writestr("bomb", b"\0" * (120 * limits.MIB))
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        inner = tmp_path / "inner.zip"
        with zipfile.ZipFile(inner, "w") as nested_archive:
            nested_archive.writestr("0", encoded(instance(truth(), 0)))
        archive.write(inner, "inner.zip")
    study = read_study(path)
    assert np.array_equal(study.series[0].volume.array, truth())
    codes = {r.code for r in study.refusals}
    assert codes == {"path_traversal", "inflates_too_much", "symbolic_link", "nested_archive"}
    assert not (tmp_path.parent / "escaped").exists()


def test_a_broken_zip_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + b"\0" * 50)
    with pytest.raises(StudyError, match="archive"):
        read_study(tmp_path / "x.zip")


def test_too_many_files_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    with pytest.raises(LimitExceededError, match="more than 3"):
        read_study(whole_study(tmp_path))


@pytest.mark.parametrize("declared", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_syntax_that_does_not_fit_its_data_set_is_seen_through(declared: str, tmp_path: Path) -> None:
    other = {"1.2.840.10008.1.2": "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1": "1.2.840.10008.1.2"}[declared]
    for k, ds in enumerate(series(truth())):
        ds.file_meta.TransferSyntaxUID = other
        data = encoded(ds)
        meta_end = 132 + 12 + struct.unpack_from("<I", data, 132 + 8)[0]
        ds.file_meta.TransferSyntaxUID = declared
        head = encoded(ds)
        head_end = 132 + 12 + struct.unpack_from("<I", head, 132 + 8)[0]
        (tmp_path / f"{k}").write_bytes(head[:head_end] + data[meta_end:])
    (one,) = read_study(tmp_path).series
    assert np.array_equal(one.volume.array, truth())


def test_sequences_that_an_archive_made_unknown_are_followed(tmp_path: Path) -> None:
    """UN of undefined length holds implicit little endian, whatever is around it (PS3.5 6.2.2)."""
    inner = struct.pack("<HHI", 0x0008, 0x0104, 6) + b"SEQUEN"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    unknown = (
        struct.pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF) + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    for k, ds in enumerate(series(truth())):
        data = encoded(ds)
        at = data.index(b"\x10\x00\x10\x00PN")
        (tmp_path / f"{k}").write_bytes(data[:at] + unknown + data[at:])
    (one,) = read_study(tmp_path).series
    assert np.array_equal(one.volume.array, truth())


def test_too_many_folders_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(5):
        (tmp_path / f"{k}").mkdir()
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    with pytest.raises(LimitExceededError, match="folders"):
        read_study(tmp_path)


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_uids_and_names_cannot_lead_out_or_run(tmp_path: Path) -> None:
    script = "<script>alert(1)</script>"
    extra = {"SeriesInstanceUID": "../../../etc/passwd", "SeriesDescription": script, "PatientName": script}
    study = read_study(save(series(truth(), **extra), tmp_path))
    assert len(study.series) == 1
    assert "script" not in str(describe(study)["refusals"])
    assert script not in study.series[0].description


DAMAGES = (
    "magic", "shape", "nan", "affine", "metres", "four_d", "cut", "sheared", "flat", "huge", "too_huge", "compressed"
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_nifti_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "stir.nii"
    array = np.ones((8, 8, 8, 2) if damage == "four_d" else (8, 8, 8), np.float32)
    if damage == "nan":
        array[0, 0, 0] = np.nan
    if damage == "flat":
        array = array[:, :, :2]
    if damage.endswith("huge"):
        array = array.astype(np.float64) * (1e300 if damage == "too_huge" else 1e30)
    affine = np.eye(4) * (0.001 if damage == "metres" else 1)
    affine[0, 1] = 0.4 * (damage == "sheared")
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    if damage == "compressed":
        path.write_bytes(gzip.compress(path.read_bytes()))
    raw = bytearray(path.read_bytes())
    if damage == "magic":
        raw[344:348] = b"xxxx"
    if damage == "shape":
        struct.pack_into("<8h", raw, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
    if damage == "affine":
        raw[280:328] = b"\0" * 48
    path.write_bytes(raw[:400] if damage == "cut" else raw)
    with pytest.raises(StudyError, match=r"--series fluid=stir\.nii"):
        read_study(tmp_path, series={"fluid": path})
    study = read_study(tmp_path)
    assert study.series == () and len(study.refusals) == 1


def test_one_sheared_image_does_not_refuse_its_study(tmp_path: Path) -> None:
    sheared = np.diag([0.5, 0.5, 3, 1.0])
    sheared[0, 1] = 0.2
    nibabel.save(nibabel.Nifti1Image(np.ones((20, 20, 8), np.int16), sheared), tmp_path / "t1.nii")
    nifti(tmp_path / "stir.nii", np.random.default_rng(0).integers(0, 500, (20, 20, 8)).astype(np.int16))
    study = read_study(tmp_path)
    assert [s.description for s in study.series] == ["stir.nii"]
    assert [r.code for r in study.refusals] == ["sheared"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"--series t1=gone\.nii\.gz: no file"):
        read_study(tmp_path, series={"t1": tmp_path / "gone.nii.gz"})


def nifti(path: Path, array: np.ndarray, *, qform: np.ndarray | None = None, coded: int = 1, slope: float = 0) -> Path:
    """A NIfTI image whose sform says 0.5 x 0.5 x 3 mm."""
    image = nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 3, 1]))
    image.set_sform(np.diag([0.5, 0.5, 3, 1]), coded)
    image.set_qform(qform, int(qform is not None))
    nibabel.save(image, path)
    if slope:
        raw = bytearray(path.read_bytes())
        struct.pack_into("<2f", raw, 112, slope, 5.0)
        path.write_bytes(raw)
    return path


def test_nifti_values_are_scaled_as_the_header_says(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 500, (20, 20, 8)).astype(np.int16)
    for name, slope, expected in (("plain", 0, array), ("scaled", 2.0, array * 2.0 + 5), ("nan", np.nan, array)):
        path = nifti(tmp_path / f"stir_{name}.nii", array, slope=slope)
        assert np.allclose(read_study(path).series[0].volume.array, expected), name


def test_where_a_nifti_header_contradicts_itself_is_said_or_refused(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 500, (20, 20, 8)).astype(np.int16)
    moved, mirrored = np.diag([0.5, 0.5, 3, 1.0]), np.diag([-0.5, 0.5, 3, 1.0])
    moved[0, 3], mirrored[0, 3] = 30, 9.5

    def read(**facts: object) -> tuple[list[str], list[str]]:
        study = read_study(nifti(tmp_path / "stir.nii", array, **facts))  # type: ignore[arg-type]
        return [r.code for s in study.series for r in s.reasons][1:], [r.code for r in study.refusals]

    assert read(qform=np.diag([0.5, 0.5, 3, 1.0])) == ([], [])
    assert read(qform=moved) == (["sform_taken"], [])
    assert read(qform=mirrored) == ([], ["sform_qform_conflict"])
    assert read(coded=0) == (["place_assumed"], [])


def test_a_folder_without_files_and_what_may_not_be_read_are_clear_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty" / "more").mkdir(parents=True)
    with pytest.raises(StudyError, match="without any file"):
        read_study(tmp_path / "empty")
    whole_study(tmp_path / "study")
    (tmp_path / "study" / "closed").mkdir()
    (tmp_path / "locked").write_bytes(b"PK")
    scan, opened = os.scandir, Path.open

    def closed_scan(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    def closed_open(self: Path, *args: object, **facts: object) -> object:
        if self.name in ("locked", "3"):
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **facts)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", closed_scan)
    monkeypatch.setattr(Path, "open", closed_open)
    codes = [(r.code, r.count) for r in read_study(tmp_path / "study").refusals]
    assert codes == [("unreadable", 1), ("unreadable", 1), ("missing_slices", 6)]
    with pytest.raises(StudyError, match="cannot be opened"):
        read_study(tmp_path / "locked")


def blank_j2k(rows: int, columns: int) -> list[bytes]:
    """Four slices of nothing that compress ten-thousandfold, with a rescale that asks for floats."""
    files = []
    for k in range(4):
        ds = instance(np.zeros((columns, rows, 4), np.uint16), k, series=5, RescaleSlope=2, RescaleIntercept=0)
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        files.append(encoded(ds))
    return files


def test_a_volume_far_larger_than_its_files_is_refused(tmp_path: Path) -> None:
    whole_study(tmp_path)
    for k, data in enumerate(blank_j2k(2048, 2048)):
        (tmp_path / f"blank{k}").write_bytes(data)
    study = read_study(tmp_path)
    assert [s.number for s in study.series] == [7]
    assert [r.code for r in study.refusals] == ["inflates_too_much"]


def test_a_nifti_bomb_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((512, 512, 200), np.uint8), np.eye(4)), tmp_path / "stir.nii.gz")
    assert [r.code for r in read_study(tmp_path).refusals] == ["inflates_too_much"]


def test_an_archive_of_too_many_or_overlapping_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(90):
            archive.writestr(f"{k}", b"\0" * limits.MIB)
    study = read_study(path)
    assert "archive_too_large" in {r.code for r in study.refusals}
    monkeypatch.setattr(limits, "MAX_ZIP_DIRECTORY_BYTES", 1000)
    with pytest.raises(LimitExceededError, match="table of contents"):
        read_study(path)


def test_headers_of_one_study_share_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STUDY_HEADER_BYTES", 2000)
    study = read_study(whole_study(tmp_path))
    assert {r.code for r in study.refusals} >= {"study_headers_too_large"}


MEASURE = """
import resource, sys
from pathlib import Path
import numpy, scipy.ndimage, pydicom, pydicom.pixels
from marrowscope.study import read_study
import marrowscope.study.read, marrowscope.study.qc
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
study = read_study(Path(sys.argv[1]))
from marrowscope.study.codec import CODECS
CODECS.stop()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print((peak - idle) * 1024, len(study.series))
"""


def test_memory_stays_bounded_over_all_of_them(tmp_path: Path) -> None:
    whole_study(tmp_path)
    for name, (data, _) in HOSTILE.items():
        (tmp_path / f"{name}.dcm").write_bytes(data)
    for k, data in enumerate(blank_j2k(2236, 2236)):
        (tmp_path / f"blank{k}").write_bytes(data)
    for k in range(3):
        (tmp_path / f"items{k}").write_bytes(many_items(limits.MAX_ITEMS - 1000))
    environment = {**os.environ, "PYTHONPATH": str(Path(marrowscope.__file__).parents[1])}
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    rise, found = (int(word) for word in done.stdout.split())  # the codecs' process counted whole
    assert found == 1
    assert rise < PEAK_BYTES


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_a_sequence_item_is_looked_up_without_trust() -> None:
    from marrowscope.study.header import Header

    ds = Dataset()
    ds.add_new(0x00280010, "US", b"abc")
    header = Header(ds)
    assert header.integer("Rows") is None
    ds[0x0020000E] = RawDataElement(Tag(0x0020000E), "UL", 30, b"1.2.826.0.1.3680043.10.9999.2\0", 0, False, True)
    assert header.text("SeriesInstanceUID") == ""
    assert header.numbers("ImagePositionPatient") == ()
    assert header.items("PerFrameFunctionalGroupsSequence") == ()
