"""Key object selection: the slice on which each lesion is largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marrowscope import __version__
from marrowscope.exchange import codes
from marrowscope.exchange.dicom_seg import DEVICE_SERIAL, MANUFACTURER, SERIES_NUMBERS, fixed_dates, identity, standing
from marrowscope.exchange.uids import derived_uid

if TYPE_CHECKING:
    from highdicom.ko import KeyObjectSelectionDocument

    from marrowscope.assessment import Assessment
    from marrowscope.exchange.source import Source

OF_INTEREST = ("DCM", "113000", "Of Interest")
"""Document title (CID 7010)."""


def write_key_objects(assessment: Assessment, source: Source) -> KeyObjectSelectionDocument | None:
    """The selection, or None when there is no lesion."""
    import highdicom as hd

    images = source.datasets()
    slices = sorted({x.key_slice for x in standing(assessment)})
    if not slices:
        return None
    chosen = images if source.multi_frame else [images[k] for k in slices]
    words = "; ".join(f"{x.code}: {x.place}" for x in standing(assessment))
    content = hd.ko.KeyObjectSelection(
        document_title=codes.make(*OF_INTEREST),
        referenced_objects=chosen,
        description=f"Slice of the largest cross-section. {words}"[:1024],
    )
    document = hd.ko.KeyObjectSelectionDocument(
        evidence=chosen,
        content=content,
        series_instance_uid=derived_uid("KO series", *identity(assessment)),
        series_number=SERIES_NUMBERS["KO"],
        sop_instance_uid=derived_uid("KO", *identity(assessment)),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="marrowscope",
        software_versions=__version__,
        device_serial_number=DEVICE_SERIAL,
    )
    fixed_dates(document, source)
    return document
