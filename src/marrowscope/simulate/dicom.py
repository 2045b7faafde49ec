"""A simulated examination as classic single-frame MR DICOM, as a scanner would send it."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marrowscope.simulate.scanner import Image
from marrowscope.simulate.signal import Suppression
from marrowscope.simulate.study import SimulatedSeries, SimulatedStudy
from marrowscope.simulate.tissues import PROTON_MHZ_PER_T

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FIRST_DAY = date(2025, 1, 1)
"""Every first visit carries this date; time of day follows from the seed. A clock would change the bytes."""

DAYS_BETWEEN_VISITS = 182

DECIMALS = 6
"""Digits after the point in positions (mm) and cosines; a DICOM decimal string holds 16 characters."""

IMAGE_TYPES = {
    Image.SUM: ("ORIGINAL", "PRIMARY", "OTHER", "M", "SE"),
    Image.WATER: ("DERIVED", "PRIMARY", "DIXON", "WATER"),
    Image.FAT: ("DERIVED", "PRIMARY", "DIXON", "FAT"),
    Image.OPPOSED: ("DERIVED", "PRIMARY", "DIXON", "OPP_PHASE"),
}
"""Image type of each kind of image (PS3.3 C.8.3.1.1.1; the values after the second are the vendor's)."""


def uid(*parts: object) -> str:
    """A 2.25 UID made from its parts: the same parts give the same UID (PS3.5 B.2)."""
    digest = hashlib.sha256("|".join(str(p) for p in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def fingerprint(study: SimulatedStudy) -> str:
    """Hash of every voxel and position: two different examinations never share a UID, whatever their seed."""
    digest = hashlib.sha256(f"{study.seed}|{study.field_t}|{study.person}".encode())
    for series in study.series:
        digest.update(series.protocol.name.encode())
        digest.update(np.ascontiguousarray(series.volume.affine).tobytes())
        digest.update(np.ascontiguousarray(series.volume.array).tobytes())
    return digest.hexdigest()


def write_dicom(study: SimulatedStudy, folder: Path) -> tuple[Path, ...]:
    """Write every series as single frames below ``folder``, one folder a series.

    Args:
        study: the examination.
        folder: made if absent.

    Returns:
        The files, in the order of acquisition.
    """
    files = []
    identity = fingerprint(study)
    for series in study.series:
        place = folder / f"SER{series.number:04d}"
        place.mkdir(parents=True, exist_ok=True)
        for k in range(series.volume.shape[2]):
            path = place / f"IM{k + 1:05d}"
            _frame(study, series, identity, k).save_as(path, enforce_file_format=True)
            files.append(path)
    return tuple(files)


def _frame(study: SimulatedStudy, series: SimulatedSeries, identity: str, k: int) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

    frame = Dataset()
    for part in (_patient(study), _series(study, series, identity), _physics(series), _plane(series, k)):
        for keyword, value in part.items():
            setattr(frame, keyword, value)
    frame.SOPClassUID = MRImageStorage
    frame.SOPInstanceUID = uid(identity, series.number, k)
    frame.InstanceNumber = k + 1
    pixels = np.ascontiguousarray(series.volume.array[:, :, k].T).astype("<u2")
    frame.SmallestImagePixelValue, frame.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    frame.PixelData = pixels.tobytes()
    frame["PixelData"].VR = "OW"
    frame.file_meta = FileMetaDataset()
    frame.file_meta.MediaStorageSOPClassUID = MRImageStorage
    frame.file_meta.MediaStorageSOPInstanceUID = frame.SOPInstanceUID
    frame.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    frame.file_meta.ImplementationClassUID = UID(uid("marrowscope simulate"))
    return frame


def _patient(study: SimulatedStudy) -> dict[str, Any]:
    minute = f"{8 + study.seed % 9:02d}{study.seed % 60:02d}"
    born = FIRST_DAY.year - study.person.age_years
    day = (FIRST_DAY + timedelta(days=DAYS_BETWEEN_VISITS * (study.visit - 1))).strftime("%Y%m%d")
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": f"Phantom^Knee {study.seed}",
        "PatientID": f"PHANTOM-{study.seed}",
        "PatientBirthDate": f"{born}0101",
        "PatientSex": "O",
        "PatientAge": f"{study.person.age_years:03d}Y",
        "PatientWeight": "75",
        "StudyDate": day, "SeriesDate": day, "AcquisitionDate": day, "ContentDate": day,
        "StudyTime": f"{minute}00", "SeriesTime": f"{minute}00", "AcquisitionTime": f"{minute}00",
        "ContentTime": f"{minute}00",
        "AccessionNumber": f"{study.seed % 10**8:08d}",
        "ReferringPhysicianName": "",
        "StudyID": f"{study.visit}",
        "StudyDescription": "MRI KNEE " + study.person.side.upper(),
    }  # fmt: skip


def _series(study: SimulatedStudy, series: SimulatedSeries, identity: str) -> dict[str, Any]:
    described = series.protocol.description
    suffix = {Image.WATER: "_W", Image.FAT: "_F", Image.OPPOSED: "_OPP"}.get(series.image, "")
    return {
        "Modality": "MR",
        "Manufacturer": "marrowscope simulate",
        "ManufacturerModelName": "Built-in knee",
        "SoftwareVersions": "1",
        "DeviceSerialNumber": "0",
        "StudyInstanceUID": uid(identity, "study"),
        "SeriesInstanceUID": uid(identity, "series", series.number),
        "FrameOfReferenceUID": uid(identity, "frame"),
        "PositionReferenceIndicator": "",
        "SeriesNumber": series.number,
        "AcquisitionNumber": 1,
        "SeriesDescription": described + suffix,
        "ProtocolName": described,
        "BodyPartExamined": "KNEE",
        "Laterality": study.person.side[0].upper(),
        "PatientPosition": "FFS",
        "ImageType": list(IMAGE_TYPES[series.image]),
    }


def _physics(series: SimulatedSeries) -> dict[str, Any]:
    protocol, sequence = series.protocol, series.protocol.sequence
    inversion = sequence.suppression is Suppression.INVERSION
    options = {Suppression.SPECTRAL: ["FS"]}.get(sequence.suppression, [])
    columns, rows = protocol.matrix
    frequency, phase = (columns, rows) if protocol.frequency_axis == 0 else (rows, columns)
    values: dict[str, Any] = {
        "ScanningSequence": ["SE", "IR"] if inversion else "SE",
        "SequenceVariant": ["SK", "SP"] if sequence.echo_train > 1 else "SP",
        "ScanOptions": options,
        "MRAcquisitionType": "2D",
        "SequenceName": ("tir" if inversion else "tse") + f"2d1_{sequence.echo_train}",
        "AngioFlag": "N",
        "SliceThickness": f"{protocol.thickness_mm:g}",
        "SpacingBetweenSlices": f"{protocol.thickness_mm + protocol.gap_mm:g}",
        "RepetitionTime": f"{sequence.tr_ms:g}",
        "EchoTime": f"{sequence.te_ms:g}",
        "EchoTrainLength": sequence.echo_train,
        "NumberOfAverages": "1",
        "EchoNumbers": 1,
        "MagneticFieldStrength": f"{protocol.field_t:g}",
        "ImagingFrequency": f"{protocol.field_t * PROTON_MHZ_PER_T:.4f}",
        "ImagedNucleus": "1H",
        "PixelBandwidth": f"{protocol.bandwidth_hz:g}",
        "InPlanePhaseEncodingDirection": "COL" if protocol.phase_axis == 1 else "ROW",
        "AcquisitionMatrix": [frequency, 0, 0, phase] if protocol.phase_axis == 1 else [0, frequency, phase, 0],
        "FlipAngle": "90",
        "PercentSampling": "100",
        "PercentPhaseFieldOfView": "100",
    }
    if sequence.ti_ms is not None:
        values["InversionTime"] = f"{sequence.ti_ms:g}"
    return values


def _plane(series: SimulatedSeries, k: int) -> dict[str, Any]:
    volume = series.volume
    along, down = volume.directions[:, 0], volume.directions[:, 1]
    position = volume.to_world((0, 0, k))
    normal = np.cross(along, down)
    return {
        "ImagePositionPatient": [_decimal(p) for p in position],
        "ImageOrientationPatient": [_decimal(c) for c in (*along, *down)],
        "SliceLocation": _decimal(float(position @ normal)),
        "PixelSpacing": [_decimal(volume.spacing[1]), _decimal(volume.spacing[0])],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": volume.shape[1],
        "Columns": volume.shape[0],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": "600",
        "WindowWidth": "1200",
    }


def _decimal(value: float) -> str:
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
