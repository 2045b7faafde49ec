"""Small DICOM studies with known truth, and every way to spoil them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

ROOT = "1.2.826.0.1.3680043.10.9999"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SHAPE = (40, 36, 7)  # columns, rows, slices
SPACING_MM = 3.5
PIXEL_MM = (0.5, 0.7)  # between rows, between columns


def truth(seed: int = 0) -> np.ndarray:
    """(columns, rows, slices), uint16, every voxel different from its neighbours."""
    return np.random.default_rng(seed).integers(0, 4000, SHAPE, dtype=np.uint16)


def instance(
    array: np.ndarray, k: int, *, series: int = 1, orientation: tuple[float, ...] = SAGITTAL, **extra: Any
) -> FileDataset:
    """Slice k of an array (columns, rows, slices) as an MR instance of a fat-suppressed T2 series."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{series}.{k + 1}"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{ROOT}.9", f"{ROOT}.{series}", f"{ROOT}.8"
    ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientAge = "MUSTER^ERIKA", "ID778899", "F", "044Y"
    ds.StudyDate, ds.Modality, ds.Manufacturer = "20260102", "MR", "SIEMENS"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = series, k + 1, "t2_tse_fs_sag knee left"
    ds.BodyPartExamined, ds.ImageType = "KNEE", ["ORIGINAL", "PRIMARY", "M"]
    ds.ScanningSequence, ds.ScanOptions, ds.SequenceVariant = "SE", "FS", "SK"
    ds.RepetitionTime, ds.EchoTime, ds.MagneticFieldStrength = 3500, 70, 3
    ds.ImageOrientationPatient = list(orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    ds.ImagePositionPatient = [round(float(v), 5) for v in np.array([-20.0, 5.0, 30.0]) + normal * SPACING_MM * k]
    ds.PixelSpacing, ds.SliceThickness = list(PIXEL_MM), SPACING_MM
    ds.Rows, ds.Columns, ds.SamplesPerPixel = array.shape[1], array.shape[0], 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.ascontiguousarray(array[:, :, k].T).tobytes()
    for keyword, value in extra.items():
        setattr(ds, keyword, value)
    return ds


def affine(orientation: tuple[float, ...] = SAGITTAL) -> np.ndarray:
    """Index to LPS mm of :func:`truth` written by :func:`instance`."""
    out = np.eye(4)
    out[:3, 0], out[:3, 1] = np.array(orientation[:3]) * PIXEL_MM[1], np.array(orientation[3:]) * PIXEL_MM[0]
    out[:3, 2] = np.cross(orientation[:3], orientation[3:]) * SPACING_MM
    out[:3, 3] = (-20.0, 5.0, 30.0)
    return out


def series(array: np.ndarray, **extra: Any) -> list[FileDataset]:
    """Every slice of an array."""
    return [instance(array, k, **extra) for k in range(array.shape[2])]


def save(datasets: list[FileDataset], folder: Path, names: list[str] | None = None) -> Path:
    """Write instances under given or numbered names."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, ds in enumerate(datasets):
        path = folder / (names[i] if names else f"{i:04d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
    return folder


def encoded(ds: Dataset) -> bytes:
    """An instance as the bytes of its file."""
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
