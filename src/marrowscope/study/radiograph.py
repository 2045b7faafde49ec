"""Radiographs of a study: listed with what their headers say, their pixels left alone."""

from __future__ import annotations

from marrowscope.study.header import DicomFile, Header
from marrowscope.study.redact import names_in, redact
from marrowscope.study.types import Radiograph, SourceFrame


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
