"""DICOM Segmentation (BINARY): a segment per lesion, bone and region, on the source's own frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowscope import __version__
from marrowscope.exchange import codes
from marrowscope.exchange.instance import attributes, fixed_dates, identity, standing
from marrowscope.exchange.source import Source, frame_numbers
from marrowscope.exchange.uids import derived_uid
from marrowscope.labelmap import LabelMap

if TYPE_CHECKING:
    import highdicom as hd
    from highdicom.seg import Segmentation, SegmentDescription

    from marrowscope.assessment import Assessment

COLOURS = {"edema": (255, 109, 0), "cyst": (0, 158, 255), "anatomy": (120, 120, 120)}
"""RGB hints a viewer may show segments in; orange and blue stay apart in colour-blind vision (Okabe and Ito 2008)."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment to write.

    Attributes:
        code: stable name (``lesion_1``, ``femur``...). kind: ``lesion``, ``bone`` or ``region``.
        type_name: entry of the concept table for lesions. mask: bool on the source grid. side: laterality.
    """

    code: str
    kind: str
    type_name: str
    mask: npt.NDArray[np.bool_]
    side: str


def segments(assessment: Assessment, masks: Mapping[str, LabelMap]) -> list[Segment]:
    """Lesions first (the tracking order of the report), then bones, then regions; empty masks are left out."""
    found = []
    for lesion in standing(assessment):
        mask = masks["lesions"].volume.array == lesion.label
        found.append(Segment(lesion.code, "lesion", lesion.kind.value, mask, lesion.side))
    for kind, name in (("bone", "bones"), ("region", "regions")):
        for code in masks[name].codes:
            side = codes.side_of(code, assessment.side)
            found.append(Segment(code, kind, "", masks[name].mask(code), side))
    return [s for s in found if s.mask.any()]


def write_seg(assessment: Assessment, masks: Mapping[str, LabelMap], source: Source) -> Segmentation | None:
    """The Segmentation object, or None when there is nothing to segment.

    Args:
        assessment: whose lesions and sides are described. masks: label maps on the source's own grid.
        source: what the segments refer to.
    """
    import highdicom as hd

    found = segments(assessment, masks)
    if not found:
        return None
    seg = hd.seg.Segmentation(
        source_images=source.datasets(),
        pixel_array=_pixels(found),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(n, s, assessment) for n, s in enumerate(found, start=1)],
        **attributes("SEG", assessment),
        content_label="MARROWSCOPE",
        content_description=f"Draft, for research use ({assessment.status.value})",
        series_description="marrowscope segmentation (draft)",
    )
    _true_frame_numbers(seg, source)
    _fixed_dimensions(seg, derived_uid("dimensions", *identity(assessment)))
    fixed_dates(seg, source)
    return seg


def _pixels(found: list[Segment]) -> npt.NDArray[np.uint8]:
    """(k, row, column, segment) from masks indexed (column, row, k)."""
    column, row, k = found[0].mask.shape
    pixels = np.empty((len(found), k, row, column), dtype=np.uint8)  # a segment's voxels lie together: read one by one
    for place, segment in zip(pixels, found, strict=True):
        place[...] = np.transpose(segment.mask, (2, 1, 0))
    return np.moveaxis(pixels, 0, -1)


def _description(number: int, segment: Segment, assessment: Assessment) -> SegmentDescription:
    import highdicom as hd

    lesion = segment.kind == "lesion"
    type_code = codes.coded("types", segment.type_name) if lesion else codes.anatomy(assessment.site, segment.code)
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.code[:64],
        segmented_property_category=codes.coded("categories", "lesion" if lesion else "anatomy"),
        segmented_property_type=type_code,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        if not assessment.edits
        else hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=algorithm(assessment, "detector" if lesion else "anatomy"),
        tracking_uid=derived_uid("tracking", segment.code, *identity(assessment)),
        tracking_id=segment.code,
    )
    _laterality(description, segment)
    return description


def _laterality(description: SegmentDescription, segment: Segment) -> None:
    """Segmented Property Type Modifier: left or right (PS3.3 C.8.20.4)."""
    if segment.side:
        type_item = description.SegmentedPropertyTypeCodeSequence[0]
        type_item.SegmentedPropertyTypeModifierCodeSequence = [codes.coded("laterality", segment.side)]


def algorithm(assessment: Assessment, what: str) -> hd.AlgorithmIdentificationSequence:
    """Which method made a segment."""
    import highdicom as hd

    from marrowscope.anatomy.given import GIVEN_MASK

    method = assessment.provenance.detector if what == "detector" else assessment.provenance.anatomy
    return hd.AlgorithmIdentificationSequence(
        name=f"marrowscope: {method}"[:64],
        version=__version__,
        family=codes.make("DCM", "123109", "Manual Processing")
        if method == GIVEN_MASK
        else codes.make("DCM", "123110", "Artificial Intelligence"),
    )


def _true_frame_numbers(seg: Segmentation, source: Source) -> None:
    """highdicom numbers the frames it was given from 1; an enhanced source's own numbers may differ."""
    if not source.multi_frame:
        return
    true = frame_numbers(source.frames.frames)
    for group in seg.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                image.ReferencedFrameNumber = true[int(image.ReferencedFrameNumber) - 1]


def _fixed_dimensions(seg: Segmentation, uid: str) -> None:
    """highdicom draws the Dimension Organization UID at random; the same result is the same bytes."""
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
