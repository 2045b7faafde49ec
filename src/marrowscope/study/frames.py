"""One image slice as its header describes it, whatever the object: classic single-frame or enhanced multi-frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marrowscope.study import limits
from marrowscope.study.dicom_file import DicomFile
from marrowscope.study.guard import RefusedInputError
from marrowscope.study.header import Header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DICOMDIR_CLASS: Final = "1.2.840.10008.1.3.10"
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_RAW_LIKE: Final = ("1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.4.2", "1.2.840.10008.5.1.4.1.1.9")
_VOLUME_MODALITIES: Final = frozenset(("MR", "CT"))
_RADIOGRAPH_MODALITIES: Final = frozenset(("CR", "DX", "DR", "RG"))
_B_VALUES: Final = (((0x0019, 0x100C), "SIEMENS"), ((0x2001, 0x1003), "PHILIPS"), ((0x0065, 0x1009), "IMAGE PRIVATE"))
"""Private b-values (United Imaging's last), and how the name of their block's creator begins."""

_GE_B_VALUE: Final = (0x0043, 0x1039)
_GE_COMPONENT: Final = (0x0043, 0x102F)  # all of these are named in header.PRIVATE_KEPT
_GE_COMPONENTS: Final = {1: "PHASE", 2: "REAL", 3: "IMAGINARY"}
"""GE says magnitude (0), phase, real or imaginary in a private number, not in the image type."""

_CREATOR: Final = 0x0010
"""Element that names the creator of a group's first private block."""

_GE_B_OFFSET: Final = 1_000_000_000
"""GE adds 10^9 to a b-value that varies within the series."""
_B_IN_SEQUENCE_NAME: Final = re.compile(r"(?:^|[*_])b(\d{1,5})(?:t|$|#|_)", re.IGNORECASE)
_B_IN_COMMENTS: Final = re.compile(r"^b=(\d{1,5})(?:\(|$)")
"""Canon writes ``b=1500(0.445,0.000,0.895)`` into the image comments."""

_COMPONENTS: Final = frozenset(("PHASE", "REAL", "IMAGINARY"))


@dataclass(frozen=True)
class Frame:
    """The facts that place one frame in a volume and tell it from its neighbours.

    Attributes:
        source: the file it lies in.
        index: 0-based frame inside the file.
        of: frames in the file; None for a single-frame instance.
        orientation: row cosines then column cosines, LPS.
        position: centre of the first pixel, LPS mm.
        spacing: (between rows, between columns) in mm.
        kind: words of the image type that tell images of one place apart (water, fat, phase ...).
        stack_id: the enhanced object's stack, "" where it names none.
        kvp: tube voltage in kV.
        slope, intercept: stored value to displayed value.
    """

    source: DicomFile
    index: int
    of: int | None
    modality: str
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, float]
    thickness_mm: float | None
    kind: tuple[str, ...]
    echo_time_ms: float | None
    inversion_time_ms: float | None
    b_value: float | None
    temporal_position: int | None
    acquisition_number: int | None
    stack_id: str
    kvp: float | None
    slope: float
    intercept: float


def frames_of(dicom: DicomFile) -> Iterator[Frame]:
    """The frames of a file.

    Raises:
        RefusedInputError: not an image, not MR or CT, a mosaic, a colour or secondary capture, or without geometry.
    """
    root = Header(dicom.dataset)
    _refuse_non_image(dicom, root)
    count = root.integer("NumberOfFrames")
    per_frame = root.items("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        if count is not None and count > 1:
            raise RefusedInputError(
                "multiframe_without_geometry", f"{count} frames without functional groups", "enhanced MR or CT"
            )
        yield frame_at(dicom, root, 0, None)
        return
    if count is not None and count != len(per_frame):
        raise RefusedInputError(
            "frame_count_conflict", f"{count} frames declared but {len(per_frame)} described", "one group a frame"
        )
    if len(per_frame) > limits.MAX_FRAMES:
        raise RefusedInputError("too_many_frames", f"{len(per_frame)} frames", f"{limits.MAX_FRAMES} at most")
    shared = [item for group in root.items("SharedFunctionalGroupsSequence") for item in macros(group)]
    for index, group in enumerate(per_frame):
        header = Header(*macros(group), *shared, dicom.dataset, *private_macros(group))
        yield frame_at(dicom, header, index, len(per_frame))


def frame_header(frame: Frame) -> Header:
    """The value lookup of a frame: its functional groups, the shared ones, then the instance."""
    root = Header(frame.source.dataset)
    if frame.of is None:
        return root
    shared = [item for group in root.items("SharedFunctionalGroupsSequence") for item in macros(group)]
    group = root.items("PerFrameFunctionalGroupsSequence")[frame.index]
    return Header(*macros(group), *shared, frame.source.dataset, *private_macros(group))


def macros(group: Dataset) -> list[Dataset]:
    """The items of every standard functional group macro of a frame (each macro is a sequence of one item)."""
    return _items(group, private=False)


def private_macros(group: Dataset) -> list[Dataset]:
    """The items of vendors' own groups, asked last: they repeat instance attributes, some with other meanings."""
    return _items(group, private=True)


def _items(group: Dataset, *, private: bool) -> list[Dataset]:
    header = Header(group)
    wanted = (element for element in group if element.VR == "SQ" and element.tag.is_private is private)
    return [item for element in wanted for item in header.items(element.tag)]


def _refuse_non_image(dicom: DicomFile, root: Header) -> None:
    sop_class = root.text("SOPClassUID")
    if sop_class == _DICOMDIR_CLASS or "DirectoryRecordSequence" in dicom.dataset:
        raise RefusedInputError("dicomdir", "a DICOMDIR, which is not needed", "image files")
    modality = root.text("Modality").upper()
    if dicom.pixels is None or "Rows" not in dicom.dataset:
        raise RefusedInputError("no_pixels", f"a {modality or 'DICOM'} object without pixels", "images")
    if sop_class.startswith(_SECONDARY_CAPTURE):
        raise RefusedInputError("secondary_capture", "a secondary capture (a screenshot or a scan)", "original images")
    if modality not in _VOLUME_MODALITIES or sop_class.startswith(_RAW_LIKE):
        raise RefusedInputError("not_mr_or_ct", f"an object of modality {modality or 'unknown'}", "MR or CT images")
    _refuse_colour(root)
    if "MOSAIC" in root.words("ImageType"):
        raise RefusedInputError(
            "mosaic", "a Siemens mosaic: many slices tiled in one frame", "one slice a frame",
            "export as enhanced MR or with mosaic off",
        )  # fmt: skip


def _refuse_colour(root: Header) -> None:
    photometric = root.text("PhotometricInterpretation").upper()
    if (root.integer("SamplesPerPixel") or 1) != 1 or photometric == "PALETTE COLOR":
        raise RefusedInputError("colour_image", "a colour image (a screenshot or a colour map)", "grey values")
    if photometric == "MONOCHROME1":
        raise RefusedInputError(
            "grey_inverted", "an image stored with white as its lowest value (MONOCHROME1)", "MONOCHROME2",
            "export it again as MONOCHROME2",
        )  # fmt: skip


def is_radiograph(dicom: DicomFile) -> bool:
    """Whether a file is a radiograph: listed beside the series, never a volume."""
    root = Header(dicom.dataset)
    return dicom.pixels is not None and root.text("Modality").upper() in _RADIOGRAPH_MODALITIES


def frame_at(dicom: DicomFile, header: Header, index: int, of: int | None) -> Frame:
    """Frame ``index`` of ``of``, its facts looked up in ``header`` (functional groups first, then the instance).

    Raises:
        RefusedInputError: no position, orientation or pixel spacing, or a rescale that leaves no image.
    """
    orientation, position, spacing = _placement(header)
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if slope == 0 or max(abs(slope or 0), abs(intercept or 0)) > limits.MAX_RESCALE:
        raise RefusedInputError(
            "bad_rescale",
            f"a rescale of {slope} times the value plus {intercept}",
            "a slope that is not 0, and bounded",
        )
    echo = header.number("EffectiveEchoTime")
    inversion = header.number("InversionTimes")
    temporal = header.integer("TemporalPositionIndex")
    acquisition = header.integer("FrameAcquisitionNumber")
    return Frame(
        source=dicom,
        index=index,
        of=of,
        modality=header.text("Modality").upper(),
        sop_class_uid=header.text("SOPClassUID"),
        sop_instance_uid=header.text("SOPInstanceUID"),
        study_uid=header.text("StudyInstanceUID"),
        series_uid=header.text("SeriesInstanceUID"),
        frame_of_reference_uid=header.text("FrameOfReferenceUID"),
        series_number=header.integer("SeriesNumber"),
        instance_number=index + 1 if of is not None else header.integer("InstanceNumber"),
        rows=header.integer("Rows") or 0,
        columns=header.integer("Columns") or 0,
        orientation=orientation,
        position=position,
        spacing=spacing,
        thickness_mm=header.number("SliceThickness"),
        kind=_kind(header),
        echo_time_ms=echo if echo is not None else header.number("EchoTime"),
        inversion_time_ms=inversion if inversion is not None else header.number("InversionTime"),
        b_value=_b_value(header),
        temporal_position=temporal if temporal is not None else header.integer("TemporalPositionIdentifier"),
        acquisition_number=acquisition if acquisition is not None else header.integer("AcquisitionNumber"),
        stack_id=header.text("StackID") if of is not None else "",
        kvp=header.number("KVP"),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
    )


def _kind(header: Header) -> tuple[str, ...]:
    """The image type, with the complex component that some vendors tell only elsewhere."""
    kind = header.words("FrameType") or header.words("ImageType")
    component = header.text("ComplexImageComponent").upper()
    if component not in _COMPONENTS and header.text("Manufacturer").upper().startswith("GE"):
        component = _GE_COMPONENTS.get(header.integer(_GE_COMPONENT) or 0, "")
    return (*kind, component) if component in _COMPONENTS and component not in kind else kind


def _placement(header: Header) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, float]]:
    orientation = header.numbers("ImageOrientationPatient")
    position = header.numbers("ImagePositionPatient")
    spacing = header.numbers("PixelSpacing")
    if len(orientation) != 6 or len(position) != 3:
        raise RefusedInputError(
            "no_position", "an image without position and orientation in the patient", "ImagePositionPatient"
        )
    if len(spacing) != 2 or min(spacing) <= 0:
        raise RefusedInputError("no_pixel_spacing", "an image without a positive pixel spacing", "PixelSpacing in mm")
    return orientation, position, (spacing[0], spacing[1])


def _b_value(header: Header) -> float | None:
    """Diffusion weighting: the standard attribute, then each vendor's own, then the sequence's name."""
    if (value := header.number("DiffusionBValue")) is not None:
        return value
    for key, creator in _B_VALUES:
        if (value := header.number(key)) is not None:
            named = header.text((key[0], _CREATOR)).upper()
            if not named or named.startswith(creator):  # some archives lose the creator's name
                return value
    if (value := header.number(_GE_B_VALUE)) is not None and header.text("Manufacturer").upper().startswith("GE"):
        return value % _GE_B_OFFSET
    match = _B_IN_COMMENTS.match(header.text("ImageComments")) or _B_IN_SEQUENCE_NAME.search(
        header.text("SequenceName")
    )
    return float(match[1]) if match else None
