"""A DICOM Segmentation as masks, whoever drew it: binary, fractional or label map, frames in any order, empty ones left
out. Bounded as every other input; what it lies on is decided by :mod:`marrowscope.study.seg_grid`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from marrowscope.errors import StudyError
from marrowscope.study import limits
from marrowscope.study.dicom_file import DicomFile, file_bytes, is_dicom, quiet_pydicom, read_header, unwrap
from marrowscope.study.frames import Frame, frame_at, macros
from marrowscope.study.guard import InputFile, RefusedInputError
from marrowscope.study.header import Header
from marrowscope.study.pixels import PixelReader, check_size
from marrowscope.volume import AnyArray

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
"""Storage SOP classes that hold segments (PS3.4 B.5)."""

INSIDE: Final = 0.5
"""A fractional voxel belongs to its segment from this share (or probability) of the maximum on: rather in than out."""

ABNORMAL: Final = "49755003"
"""SNOMED CT: Morphologically Abnormal Structure, the category of lesions (PS3.16 CID 7150)."""

LATERALITY: Final = {"7771000": "left", "24028007": "right"}
"""SNOMED CT modifiers of a segment's type (PS3.16 CID 244)."""


@dataclass(frozen=True)
class SegmentPlane:
    """One segment in one frame.

    Attributes:
        frame: its geometry. step_mm: stated distance to the next frame, or None. pixels: bool (rows, columns).
    """

    frame: Frame
    step_mm: float | None
    pixels: AnyArray


@dataclass(frozen=True)
class Segment:
    """One segment as drawn.

    Attributes:
        number: its number in the file. label: its own words; escape them before showing.
        tracking_id: stable name, empty when not given. category, type_code: code values. side: left, right or empty.
        planes: frames in which it has any pixel.
    """

    number: int
    label: str
    tracking_id: str
    category: str
    type_code: str
    side: str
    planes: tuple[SegmentPlane, ...]

    @property
    def name(self) -> str:
        """Its stable name, else its own words, as a code: lower case, digits and underscores."""
        words = "".join(c.lower() if c.isascii() and c.isalnum() else " " for c in self.tracking_id or self.label)
        return "_".join(words.split()) or f"segment_{self.number}"


@dataclass(frozen=True)
class Segmentation:
    """A file of segments.

    Attributes:
        uid: its SOP instance UID. frame_of_reference_uid: the space its positions are in.
        series_uids: series it says it was drawn on.
        segments: those with any pixel. empty: labels of those without.
    """

    uid: str
    frame_of_reference_uid: str
    series_uids: tuple[str, ...]
    segments: tuple[Segment, ...]
    empty: tuple[str, ...]


def looks_like_dicom_file(path: Path) -> bool:
    """Whether the file's first bytes are DICOM's.

    Raises:
        StudyError: it cannot be read.
    """
    return is_dicom(InputFile(path, path.name, path.stat().st_size)) if path.is_file() else False


def read_segmentation(path: Path) -> Segmentation:
    """The segments of a DICOM SEG.

    Raises:
        StudyError: not a SEG, damaged, over a bound, or in an encoding that is not read here.
    """
    if not path.is_file():
        raise StudyError(f"no file named {path.name!r}", "a DICOM SEG")
    with quiet_pydicom():
        dicom = read_header(InputFile(path, path.name, path.stat().st_size))
        header = Header(dicom.dataset)
        sop_class = header.text("SOPClassUID")
        if sop_class not in (SEGMENTATION, LABEL_MAP):
            kind = header.text("Modality") or "unknown"
            raise StudyError(f"a DICOM object of modality {kind}", "a DICOM SEG (segmentation)", "export it as SEG")
        return _segmentation(dicom, header)


def _segmentation(dicom: DicomFile, header: Header) -> Segmentation:
    described = {h.integer("SegmentNumber") or 0: h for h in map(Header, header.items("SegmentSequence"))}
    planes: dict[int, list[SegmentPlane]] = {number: [] for number in described}
    for number, plane in _planes(dicom, header):
        if number not in planes:
            raise StudyError(f"pixels of segment {number}, which is not described", "every segment described")
        planes[number].append(plane)
    made = [_segment(n, h, tuple(planes[n])) for n, h in sorted(described.items())]
    series = [Header(item).text("SeriesInstanceUID") for item in header.items("ReferencedSeriesSequence")]
    return Segmentation(
        header.text("SOPInstanceUID"),
        header.text("FrameOfReferenceUID"),
        tuple(series),
        tuple(s for s in made if s.planes),
        tuple(s.label for s in made if not s.planes),
    )


def _segment(number: int, header: Header, planes: tuple[SegmentPlane, ...]) -> Segment:
    def code(keyword: str) -> str:
        return next((Header(item).text("CodeValue") for item in header.items(keyword)), "")

    types = header.items("SegmentedPropertyTypeCodeSequence")
    modifiers = [m for t in types for m in Header(t).items("SegmentedPropertyTypeModifierCodeSequence")]
    sides = [LATERALITY.get(Header(m).text("CodeValue"), "") for m in modifiers]
    return Segment(
        number,
        header.text("SegmentLabel"),
        header.text("TrackingID"),
        code("SegmentedPropertyCategoryCodeSequence"),
        code("SegmentedPropertyTypeCodeSequence"),
        next(filter(None, sides), ""),
        planes,
    )


def _planes(dicom: DicomFile, header: Header) -> Iterator[tuple[int, SegmentPlane]]:
    """(segment number, plane) of every frame that holds a pixel of a segment."""
    frames = _frames(dicom, header)
    values = _one_bit(dicom, frames) if header.integer("BitsAllocated") == 1 else _whole_numbers(dicom, frames)
    label_map = header.text("SOPClassUID") == LABEL_MAP
    full = header.integer("MaximumFractionalValue") or 255
    fractional = header.text("SegmentationType").upper() == "FRACTIONAL"
    for (frame, number, step), pixels in zip(frames, values, strict=True):
        if label_map:
            for found in np.unique(pixels[pixels > 0]).tolist():
                yield int(found), SegmentPlane(frame, step, pixels == found)
            continue
        inside = pixels >= INSIDE * full if fractional else pixels > 0
        if inside.any():
            yield number, SegmentPlane(frame, step, inside)


Numbered = tuple[Frame, int, float | None]
"""A frame, the number of its segment (0 in a label map), and the stated step in mm."""


def _frames(dicom: DicomFile, header: Header) -> list[Numbered]:
    """Every frame of the file."""
    groups = header.items("PerFrameFunctionalGroupsSequence")
    if not groups or len(groups) > limits.MAX_FRAMES or len(groups) != header.integer("NumberOfFrames"):
        found = f"{len(groups)} described frames of {header.integer('NumberOfFrames')}"
        raise StudyError(found, f"one functional group a frame, {limits.MAX_FRAMES} at most")
    shared = [item for group in header.items("SharedFunctionalGroupsSequence") for item in macros(group)]
    made = []
    for index, group in enumerate(groups):
        lookup = Header(*macros(group), *shared, dicom.dataset)
        number, step = lookup.integer("ReferencedSegmentNumber") or 0, lookup.number("SpacingBetweenSlices")
        made.append((frame_at(dicom, lookup, index, len(groups)), number, step))
    check_size((made[0][0],))
    if made[0][0].rows * made[0][0].columns * len(made) > limits.MAX_STUDY_BYTES:
        raise StudyError(f"a SEG of {len(made)} frames", f"{limits.MAX_STUDY_BYTES} pixels in all frames at most")
    return made


def _one_bit(dicom: DicomFile, frames: list[Numbered]) -> Iterator[AnyArray]:
    """Bit-packed frames: they follow one another without padding, the first pixel in the lowest bit (PS3.5 8.1.1)."""
    if dicom.pixels is None or dicom.pixels.length is None:
        raise RefusedInputError("pixel_format", "compressed one-bit pixels", "uncompressed ones", "dcmdrle IN OUT")
    encoded = unwrap(file_bytes(dicom.file))
    size = frames[0][0].rows * frames[0][0].columns
    start = dicom.pixels.value_start
    if len(frames) * size > 8 * min(dicom.pixels.length, len(encoded.data) - start):
        raise RefusedInputError("pixels_truncated", f"pixel data shorter than {len(frames)} frames", "every pixel")
    for index, (frame, _, _) in enumerate(frames):
        first, last = index * size, (index + 1) * size
        packed = np.frombuffer(encoded.data[start + first // 8 : start + (last + 7) // 8], np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + size]
        yield bits.reshape(frame.rows, frame.columns)


def _whole_numbers(dicom: DicomFile, frames: list[Numbered]) -> Iterator[AnyArray]:
    reader = PixelReader()
    return (reader.read(frame) for frame, _, _ in frames)
