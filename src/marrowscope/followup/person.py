"""Are two visits of one patient? What their headers say, compared and never shown, logged or kept anew.

The patient's own attributes are read from the study, or from ``dicom/source.json`` of a results folder, which holds
them as every DICOM object does. A reason names the attribute that differs, never its value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from marrowscope.assessment.types import Assessment

AGE_TOLERANCE_YEARS = 2.0
"""Two ages in whole years may be off the time between the visits by almost one; the rest is for a date typed wrong."""

DAYS_A_YEAR = 365.25

_SEXES = {"F": "F", "FEMALE": "F", "M": "M", "MALE": "M"}


@dataclass(frozen=True, repr=False)
class Person:
    """The patient of one visit as its header says; "" where it does not.

    Attributes:
        patient_id, issuer: PatientID and who issued it. born: PatientBirthDate, YYYYMMDD.
        pseudonym: whether the study was de-identified: ID and dates may then change from visit to visit.
    """

    patient_id: str = ""
    issuer: str = ""
    born: str = ""
    pseudonym: bool = False

    @classmethod
    def of(cls, header: Dataset | None) -> Self:
        """The patient of a DICOM header; nothing is known without one."""
        if header is None:
            return cls()
        keywords = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientIdentityRemoved")
        number, issuer, born, removed = (str(header.get(k) or "").strip().upper() for k in keywords)
        return cls(number, issuer, born, removed == "YES")


def contradictions(
    prior: tuple[Person, Assessment], current: tuple[Person, Assessment]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the headers of two visits say of two patients.

    Args:
        prior, current: each visit's patient and what was concluded.

    Returns:
        Names of the attributes that one patient cannot have both of; and of those that one patient may, since a
        study was de-identified or two places issued the ID.
    """
    (a, before), (b, now) = prior, current
    renamed = a.pseudonym or b.pseudonym
    elsewhere = bool(a.issuer and b.issuer and a.issuer != b.issuer)
    found = [("patient ID", renamed or elsewhere)] if _differ(a.patient_id, b.patient_id) else []
    found += [("birth date", renamed)] if _differ(a.born, b.born) else []
    sexes = [_SEXES.get(visit.subject.sex.upper(), "") for visit in (before, now)]
    found += [("sex", False)] if _differ(*sexes) else []
    found += [("age", renamed)] if _ages_differ(before, now) else []
    return tuple(name for name, may in found if not may), tuple(name for name, may in found if may)


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _ages_differ(prior: Assessment, current: Assessment) -> bool:
    ages, days = [v.subject.age_years for v in (prior, current)], list(_days(prior, current))
    if ages[0] is None or ages[1] is None or len(days) < 2:
        return False
    return abs(ages[1] - ages[0] - (days[1] - days[0]) / DAYS_A_YEAR) > AGE_TOLERANCE_YEARS


def _days(*visits: Assessment) -> Iterator[int]:
    for visit in visits:
        try:
            yield date.fromisoformat(visit.provenance.study_date).toordinal()
        except ValueError:  # not stated, or not a date
            continue
