"""The report as DICOM Encapsulated PDF (PS3.3 A.45.1), in the study it reports on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from marrowscope import __version__
from marrowscope.exchange import codes
from marrowscope.exchange.instance import MANUFACTURER, MODEL_NAME, SERIES_NUMBERS, UNKNOWN_DATE, UNKNOWN_TIME, identity
from marrowscope.exchange.uids import derived_uid

if TYPE_CHECKING:
    from marrowscope.assessment import Assessment
    from marrowscope.exchange.source import Source

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def write_pdf(assessment: Assessment, source: Source, pdf: bytes) -> Dataset:
    """The PDF as a DICOM object.

    Args:
        assessment: what it reports. source: the study it belongs to. pdf: the file's bytes.
    """
    ds = source.patient_and_study()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ENCAPSULATED_PDF
    ds.SOPInstanceUID = derived_uid("PDF", *identity(assessment, assessment.status.value, assessment.released_by))
    ds.SeriesInstanceUID = derived_uid("PDF series", *identity(assessment))
    ds.Modality, ds.ConversionType = "DOC", "WSD"
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBERS["PDF"], 1
    ds.SeriesDescription = f"marrowscope report ({assessment.status.value})"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = MANUFACTURER, MODEL_NAME, __version__
    ds.BurnedInAnnotation = "NO"
    ds.ContentDate = str(source.header.get("StudyDate", "") or "") or UNKNOWN_DATE
    ds.ContentTime = str(source.header.get("StudyTime", "") or "") or UNKNOWN_TIME
    ds.AcquisitionDateTime = ""
    ds.DocumentTitle = "Bone marrow report"
    ds.ConceptNameCodeSequence = [codes.make("LN", "18748-4", "Diagnostic imaging study")]
    ds.VerificationFlag = "VERIFIED" if assessment.signed else "UNVERIFIED"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(pdf)
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return ds
