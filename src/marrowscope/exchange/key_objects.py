"""Key object selection: the slice on which each lesion is largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marrowscope.exchange import codes
from marrowscope.exchange.instance import attributes, fixed_dates, standing

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
        **attributes("KO", assessment),
    )
    fixed_dates(document, source)
    return document
