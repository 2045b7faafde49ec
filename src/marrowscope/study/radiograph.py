"""Radiographs of a study: listed with what their headers say, and a small picture to look at. Nothing is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from marrowscope.study.dicom_file import DicomFile
from marrowscope.study.frames import frame_at
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.pixels import PixelReader, check_ratio, check_size
from marrowscope.study.redact import names_in, redact
from marrowscope.study.types import Radiograph, SourceFrame
from marrowscope.volume import AnyArray

MOST_PICTURES: Final = 12
"""Radiographs shown of one study; further ones are listed."""

PICTURE_SIDE: Final = 512
"""Longest side of a picture in pixels."""

_BLACK_WHITE: Final = (0.5, 99.5)
"""Percentiles shown black and white."""


def radiograph_of(dicom: DicomFile) -> Radiograph:
    """The facts of one radiograph."""
    header = Header(dicom.dataset)
    source = SourceFrame(header.text("SOPClassUID"), header.text("SOPInstanceUID"), None, dicom.file.name)
    return Radiograph(
        number=header.integer("SeriesNumber"),
        description=redact(header.text("SeriesDescription"), names_in([header])),
        body_part=header.text("BodyPartExamined").upper(),
        view=header.text("ViewPosition").upper(),
        laterality=(header.text("ImageLaterality") or header.text("Laterality")).upper(),
        rows=header.integer("Rows") or 0,
        columns=header.integer("Columns") or 0,
        source=source,
    )


def with_picture(radiograph: Radiograph, dicom: DicomFile, shown: int) -> Radiograph:
    """The radiograph with its picture, or with the reason why there is none.

    Args:
        radiograph: of the same file. dicom: the file. shown: pictures made of this study so far.
    """
    if shown >= MOST_PICTURES:
        return replace(radiograph, no_picture=f"only the first {MOST_PICTURES} are shown")
    header = Header(dicom.dataset)
    if header.text("BurnedInAnnotation").upper() == "YES":
        return replace(radiograph, no_picture="text is burned into it, which may name the patient")
    try:
        return replace(radiograph, picture=_picture(dicom, header))
    except RefusedInputError as error:
        return replace(radiograph, no_picture=error.refusal(dicom.file.name).reason)


def _picture(dicom: DicomFile, header: Header) -> AnyArray:
    """The pixels as 8-bit grey, shape (rows, columns), at most :data:`PICTURE_SIDE` a side; overlays are not drawn."""
    from pydicom.dataset import Dataset

    if (header.integer("SamplesPerPixel") or 1) != 1 or (header.integer("NumberOfFrames") or 1) != 1:
        raise RefusedInputError("not_one_grey_image", "colour or several frames", "one grey image")
    flat = Dataset()  # a projection has no place in the patient; a frame needs one
    flat.ImageOrientationPatient, flat.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    flat.PixelSpacing = [1, 1]
    frame = frame_at(dicom, Header(flat, dicom.dataset), 0, None)
    check_size((frame,))
    check_ratio((frame,))
    values = _shrunk(PixelReader().read(frame))
    low, high = np.percentile(values, _BLACK_WHITE)
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    if header.text("PhotometricInterpretation").upper() == "MONOCHROME1":
        grey = 1 - grey
    return np.asarray(np.round(255 * grey), dtype=np.uint8)


def _shrunk(values: AnyArray) -> AnyArray:
    """Means of square blocks, so that the longer side is at most :data:`PICTURE_SIDE`."""
    block = -(-max(values.shape) // PICTURE_SIDE)
    rows, columns = (max(1, side // block) for side in values.shape)
    even = values[: rows * block, : columns * block].astype(np.float32)
    return np.asarray(even.reshape(rows, min(block, even.shape[0]), columns, -1).mean(axis=(1, 3)))
