"""The link to reasoning: what an assessment's findings mean, with the study's own facts filling the intake's gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marrowscope.findings import Finding, Origin
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.intake import Intake, Sex

if TYPE_CHECKING:
    from marrowscope.assessment.types import SubjectRecord

DICOM_SEX = {"F": Sex.FEMALE, "M": Sex.MALE}


def intake_of(given: Intake | None, site: str, side: str, subject: SubjectRecord) -> Intake:
    """The intake, with site, side, age and sex from the study where it does not say."""
    intake = given or Intake()
    age = None if subject.age_years is None else float(subject.age_years)
    return replace(
        intake,
        site=intake.site or site,
        side=intake.side or side,
        age=intake.age if intake.age is not None else age,
        sex=intake.sex if intake.sex is not Sex.UNKNOWN else DICOM_SEX.get(subject.sex, Sex.UNKNOWN),
    )


def reasoning_for(intake: Intake, findings: Sequence[Finding]) -> Mapping[str, Any]:
    """Differential, not-to-miss checks and plan, as plain data.

    Args:
        intake: complete with the study's own facts. findings: measured ones, and those read in edits.
    """
    read = tuple(f for f in findings if f.origin is not Origin.MEASURED and f not in intake.findings)
    measured = tuple(f for f in findings if f.origin is Origin.MEASURED)
    return reason_findings(replace(intake, findings=(*intake.findings, *read)), measured).to_dict()
