"""Every encoding a hospital's archive sends, each of a simulated slice whose pixels are known."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from marrowscope.study import Study, read_study
from study_files import encoded, instance, save

ARCHIVE = np.load(Path(__file__).parent / "data" / "encoded_slices.npz")
SLICES = ARCHIVE["slices"]
HTJ2K = UID("1.2.840.10008.1.2.4.203")


def plain(array: np.ndarray = SLICES, bits: int = 12, **extra: object) -> list[FileDataset]:
    facts = {"BitsStored": bits, "HighBit": bits - 1, **extra}
    return [instance(array, k, **facts) for k in range(array.shape[2])]


def wrapped(syntax: str, frames: list[bytes], **extra: object) -> list[FileDataset]:
    """The slices with codestreams made elsewhere."""
    found = plain(**extra)
    for ds, frame in zip(found, frames, strict=True):
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].is_undefined_length = True
    return found


def alike(got: np.ndarray) -> bool:
    """Whether a lossy copy of the slices shows the same image on the same scale."""
    slope, offset = np.polyfit(SLICES.ravel().astype(float), got.ravel().astype(float), 1)
    correlated = np.corrcoef(got.ravel(), SLICES.ravel())[0, 1] > 0.97
    return bool(correlated and abs(slope - 1) < 0.06 and abs(offset) < 20)


def stored(name: str) -> list[bytes]:
    return [ARCHIVE[f"{name}_{k}"].tobytes() for k in range(SLICES.shape[2])]


def volume_of(study: Study) -> np.ndarray:
    assert [(r.code, r.reason) for r in study.refusals] == []
    (one,) = study.series
    return one.volume.array


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (HTJ2KLossless, "htj2k_lossless"),
        (HTJ2KLosslessRPCL, "htj2k_lossless"),
        (HTJ2K, "htj2k_lossless"),
        (JPEGLossless, "jpeg_lossless_sv6"),
    ],
)
def test_lossless_codestreams_made_elsewhere_are_exact(syntax: str, name: str, tmp_path: Path) -> None:
    study = read_study(save(wrapped(syntax, stored(name)), tmp_path))
    assert np.array_equal(volume_of(study), SLICES)


def test_signed_codestreams_keep_their_sign(tmp_path: Path) -> None:
    files = wrapped(HTJ2KLossless, stored("htj2k_signed"), PixelRepresentation=1, BitsStored=16, HighBit=15)
    assert np.array_equal(volume_of(read_study(save(files, tmp_path))), SLICES.astype(np.int32) - 1000)


@pytest.mark.parametrize(("syntax", "name"), [(HTJ2K, "htj2k_lossy"), (JPEGExtended12Bit, "jpeg_extended")])
def test_lossy_codestreams_are_near_and_said_to_be_lossy(syntax: str, name: str, tmp_path: Path) -> None:
    study = read_study(save(wrapped(syntax, stored(name), LossyImageCompression="01"), tmp_path))
    assert alike(volume_of(study))
    assert "lossy_compression" in [reason.code for reason in study.series[0].reasons]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEG2000, JPEGLSLossless, JPEGLSNearLossless, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
def test_what_pydicom_can_encode_is_read_back(syntax: str, signed: bool, tmp_path: Path) -> None:
    lossy = {JPEG2000: {"j2k_cr": [4]}, JPEGLSNearLossless: {"jls_error": 2}}.get(UID(syntax), {})
    array = SLICES.astype(np.int16) - 500 if signed else SLICES
    files = plain(array, 16 if signed else 12, PixelRepresentation=int(signed))
    for ds in files:
        ds.compress(syntax, generate_instance_uid=False, **lossy)
    got = volume_of(read_study(save(files, tmp_path))).astype(np.int64)
    assert alike(got + 500 * signed) if lossy else np.array_equal(got, array)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_plain_encodings_are_exact(syntax: str, tmp_path: Path) -> None:
    files = plain()
    for ds in files:
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
            ds.set_original_encoding(False, False)
        ds.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(volume_of(read_study(save(files, tmp_path))), SLICES)


@pytest.mark.parametrize("syntax", ["lossless_sv1", "lossless", "baseline"])
def test_gdcm_writes_and_we_read(syntax: str, tmp_path: Path) -> None:
    import gdcm

    uids = {"lossless_sv1": JPEGLosslessSV1, "lossless": JPEGLossless, "baseline": JPEGBaseline8Bit}
    kinds = {
        "lossless_sv1": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
        "baseline": gdcm.TransferSyntax.JPEGBaselineProcess1,
    }
    array = (SLICES // 4).astype(np.uint8) if syntax == "baseline" else SLICES
    extra = {"BitsAllocated": 8} if syntax == "baseline" else {}
    source = save(plain(array, 8 if syntax == "baseline" else 12, **extra), tmp_path / "in")
    (tmp_path / "out").mkdir()
    for path in sorted(source.iterdir()):
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(tmp_path / "out" / path.name))
        assert writer.Write()
    study = read_study(tmp_path / "out")
    got = volume_of(study).astype(np.float64)
    assert np.abs(got - array).mean() <= (2.0 if syntax == "baseline" else 0.0)
    assert uids[syntax]


def jpeg(colour: bool) -> bytes:
    stream = BytesIO()
    plane = (SLICES[:, :, 0].T // 4).astype(np.uint8)
    picture = np.stack([plane, plane // 2, 255 - plane], axis=-1) if colour else plane
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_jpeg_baseline_by_another_encoder_is_near(tmp_path: Path) -> None:
    array = (SLICES // 4).astype(np.uint8)
    frames = []
    for k in range(array.shape[2]):
        stream = BytesIO()
        Image.fromarray(np.ascontiguousarray(array[:, :, k].T)).save(stream, "JPEG", quality=98)
        frames.append(stream.getvalue())
    files = wrapped(JPEGBaseline8Bit, frames, BitsAllocated=8, BitsStored=8, HighBit=7)
    assert np.abs(volume_of(read_study(save(files, tmp_path))).astype(int) - array).mean() < 2


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize(
    ("sop_class", "code"),
    [("1.2.840.10008.5.1.4.1.1.7", "secondary_capture"), ("1.2.840.10008.5.1.4.1.1.4", "colour_image")],
)
def test_colour_captures_are_refused_by_kind_and_the_rest_is_read(
    photometric: str, sop_class: str, code: str, tmp_path: Path
) -> None:
    capture = instance(SLICES, 0, series=9, SOPClassUID=sop_class, SamplesPerPixel=3, PlanarConfiguration=0)
    capture.PhotometricInterpretation = photometric
    capture.BitsAllocated, capture.BitsStored, capture.HighBit = 8, 8, 7
    capture.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    capture.PixelData = encapsulate([jpeg(True)])
    capture["PixelData"].is_undefined_length = True
    save(plain(), tmp_path)
    (tmp_path / "capture").write_bytes(encoded(capture))
    study = read_study(tmp_path)
    assert len(study.series) == 1
    assert [r.code for r in study.refusals] == [code]


def test_palette_colours_are_no_grey_values(tmp_path: Path) -> None:
    study = read_study(save(plain(PhotometricInterpretation="PALETTE COLOR"), tmp_path))
    assert [r.code for r in study.refusals] == ["colour_image"]


def test_inverted_grey_is_refused_not_read_upside_down(tmp_path: Path) -> None:
    study = read_study(save(plain(PhotometricInterpretation="MONOCHROME1"), tmp_path))
    assert [r.code for r in study.refusals] == ["grey_inverted"]


def test_a_stream_that_crashes_its_codec_costs_one_series(tmp_path: Path) -> None:
    without_table = [frame.replace(b"\xff\xc4", b"\xff\x00", 1) for frame in stored("jpeg_lossless_sv6")]
    save(plain(), tmp_path / "good")
    bad = wrapped(JPEGLossless, without_table, SeriesInstanceUID="1.2.3", SeriesNumber=2)
    for k, ds in enumerate(bad):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k + 1}"
    study = read_study(save(bad, tmp_path / "bad").parent)
    assert np.array_equal(volume_of_one(study), SLICES)
    assert {r.code for r in study.refusals} <= {"codec_stopped", "pixels_damaged"} and study.refusals


def volume_of_one(study: Study) -> np.ndarray:
    (one,) = study.series
    return one.volume.array


def test_a_jpeg_ls_frame_without_its_end_is_refused_at_once(tmp_path: Path) -> None:
    files = plain()
    for ds in files:
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
    frames = [next(generate_frames(ds.PixelData, number_of_frames=1)) for ds in files]
    cut = wrapped(JPEGLSLossless, [frame[: len(frame) // 2] for frame in frames])
    assert [r.code for r in read_study(save(cut, tmp_path)).refusals] == ["pixels_truncated"]
