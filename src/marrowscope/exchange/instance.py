"""What every DICOM object made of a result shares: its identity, the equipment that made it, its dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marrowscope import __version__
from marrowscope.exchange.uids import derived_uid
from marrowscope.lesion.types import Verdict

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from marrowscope.assessment import Assessment
    from marrowscope.assessment.types import LesionRecord
    from marrowscope.exchange.source import Source

SERIES_NUMBERS = {"SEG": 9101, "SR": 9102, "PDF": 9103, "KO": 9104, "PR": 9105}
"""Series numbers far above a scanner's own, one a kind."""

MANUFACTURER = MODEL_NAME = "marrowscope"
DEVICE_SERIAL = "none"
UNKNOWN_DATE, UNKNOWN_TIME = "19000101", "000000"
"""Written where the source states no study date: a content date is mandatory (PS3.3 C.7.6.16)."""


def identity(assessment: Assessment, *more: str) -> tuple[str, ...]:
    """What makes a result this result: inputs, settings, edits, software."""
    p = assessment.provenance
    edits = tuple(repr(e.to_dict()) for e in assessment.edits)
    inputs = tuple(f"{k}={v}" for k, v in sorted(p.input_sha256.items()))
    settings = tuple(f"{k}={v}" for k, v in sorted(p.settings.items()))
    return (p.software, p.fluid_series_uid, p.anatomy, p.detector, *inputs, *settings, *edits, *more)


def standing(assessment: Assessment) -> tuple[LesionRecord, ...]:
    """The lesions that no reader rejected: what a rejected one held never leaves as a lesion."""
    return tuple(x for x in assessment.lesions if x.verdict is not Verdict.REJECTED)


def attributes(kind: str, assessment: Assessment) -> dict[str, Any]:
    """Series, instance and equipment of an object, under highdicom's names.

    Args:
        kind: a key of :data:`SERIES_NUMBERS`. assessment: what the object is made of.
    """
    return {
        "series_instance_uid": derived_uid(f"{kind} series", *identity(assessment)),
        "series_number": SERIES_NUMBERS[kind],
        "sop_instance_uid": derived_uid(kind, *identity(assessment)),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": __version__,
        "device_serial_number": DEVICE_SERIAL,
    }


def fixed_dates(made: Dataset, source: Source) -> None:
    """Content times become the study's own, so that the same result is the same bytes."""
    date = str(source.header.get("StudyDate", "") or "") or UNKNOWN_DATE
    time = str(source.header.get("StudyTime", "") or "") or UNKNOWN_TIME
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate", "PresentationCreationDate"):
        if keyword in made:
            setattr(made, keyword, date)
    for keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime", "PresentationCreationTime"):
        if keyword in made:
            setattr(made, keyword, time)
    for equipment in made.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = date + time
