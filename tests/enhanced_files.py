"""Enhanced multi-frame MR as vendors write it: functional groups, stacks, shuffled frames, private decoys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset

from study_files import PIXEL_MM, ROOT, SAGITTAL, SPACING_MM, instance

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
DIMENSIONS = (0x00209056, 0x00209057, 0x00209128)
"""Stack ID, in-stack position, temporal position: Siemens XA's order."""

PlaceOf = tuple[int, int]
"""Slice and moment of a frame."""


def item(**values: Any) -> list[Dataset]:
    """A sequence of one item."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return [ds]


def enhanced(
    arrays: Sequence[np.ndarray],
    order: Sequence[PlaceOf],
    *,
    shared: dict[str, Any] | None = None,
    per_frame: Callable[[Dataset, int, int], None] | None = None,
    **extra: Any,
) -> FileDataset:
    """One object of every slice of every array (a moment each), frames in a given order.

    Args:
        arrays: (columns, rows, slices) each.
        order: (slice, moment) of each frame.
        shared: functional groups common to all frames, by keyword.
        per_frame: called with a frame's groups, its slice and its moment.
    """
    ds = instance(arrays[0], 0, SOPClassUID=ENHANCED_MR, **extra)
    ds.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "EchoTime",
                    "RepetitionTime", "ScanningSequence", "SequenceVariant", "ScanOptions"):  # fmt: skip
        del ds[keyword]
    ds.NumberOfFrames, ds.ImageType = len(order), ["ORIGINAL", "PRIMARY", "M", "NONE"]
    ds.DimensionOrganizationSequence = item(DimensionOrganizationUID=f"{ROOT}.7")
    ds.DimensionIndexSequence = [one for pointer in DIMENSIONS for one in item(
        DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=f"{ROOT}.7",
    )]  # fmt: skip
    groups = Dataset()
    groups.PixelMeasuresSequence = item(PixelSpacing=list(PIXEL_MM), SliceThickness=SPACING_MM)
    groups.PlaneOrientationSequence = item(ImageOrientationPatient=list(SAGITTAL))
    groups.MRTimingAndRelatedParametersSequence = item(RepetitionTime=3500.0, FlipAngle=150.0, EchoTrainLength=9)
    groups.MREchoSequence = item(EffectiveEchoTime=70.0)
    for keyword, value in (shared or {}).items():
        setattr(groups, keyword, value)
    ds.SharedFunctionalGroupsSequence = [groups]
    ds.PerFrameFunctionalGroupsSequence = [_group(k, t, n, per_frame) for n, (k, t) in enumerate(order, start=1)]
    ds.PixelData = b"".join(np.ascontiguousarray(arrays[t][:, :, k].T).tobytes() for k, t in order)
    return ds


def _group(k: int, t: int, number: int, per_frame: Callable[[Dataset, int, int], None] | None) -> Dataset:
    group = Dataset()
    normal = np.cross(SAGITTAL[:3], SAGITTAL[3:])
    position = [round(float(v), 5) for v in np.array([-20.0, 5.0, 30.0]) + normal * SPACING_MM * k]
    group.PlanePositionSequence = item(ImagePositionPatient=position)
    group.FrameContentSequence = item(
        StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=t + 1, DimensionIndexValues=[1, k + 1, t + 1],
        FrameAcquisitionNumber=1,
    )  # fmt: skip
    group.MRImageFrameTypeSequence = item(
        FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"], ComplexImageComponent="MAGNITUDE"
    )
    group.PixelValueTransformationSequence = item(RescaleSlope=1.0, RescaleIntercept=0.0, RescaleType="US")
    if per_frame is not None:
        per_frame(group, k, t)
    return group
