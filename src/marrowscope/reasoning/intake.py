"""The intake: what a doctor knows about the patient and what a person read on the images, as coded data.

Present, absent and unknown differ: what an intake does not mention is unknown. Free notes are kept and shown, never
interpreted; what could not be coded stays in ``uncoded``. No name of a patient belongs here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from marrowscope.findings import Finding, State

SCHEMA = "marrowscope-intake/1"


class Sex(StrEnum):
    """Sex as it matters for frequency and pregnancy."""

    FEMALE = "female"
    MALE = "male"
    UNKNOWN = "unknown"


class AgeGroup(StrEnum):
    """Used where the age in years is not known."""

    INFANT = "infant"
    CHILD = "child"
    ADOLESCENT = "adolescent"
    YOUNG_ADULT = "young_adult"
    MIDDLE_AGED = "middle_aged"
    OLDER = "older"
    ADULT = "adult"
    UNKNOWN = "unknown"


class Maturity(StrEnum):
    """Skeletal maturity."""

    MATURE = "mature"
    IMMATURE = "immature"
    UNKNOWN = "unknown"


class Setting(StrEnum):
    """Where the patient is seen; it moves the priors."""

    GENERAL_PRACTICE = "general_practice"
    EMERGENCY = "emergency"
    SPORTS = "sports"
    RHEUMATOLOGY = "rheumatology"
    ONCOLOGY = "oncology"
    ORTHOPAEDICS = "orthopaedics"
    UNKNOWN = "unknown"


class Onset(StrEnum):
    """How it began."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"
    INCIDENTAL = "incidental"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Intake:
    """One patient and one problem.

    Attributes:
        site, side: where the edema is; parts of the site (``femoral_head``) are findings of kind region. ``side`` is
            ``left``, ``right``, ``both`` or empty.
        age: years; ``None`` when unknown, then ``age_group`` may say roughly.
        sex, maturity, setting, onset: see their types.
        weeks: how long it has lasted; ``None`` when unknown.
        findings: every coded observation: history, drugs, conditions, symptoms, laboratory and imaging as read.
        note: free text, kept and never interpreted.
        uncoded: statements the vocabulary cannot hold, kept as a list.
        case: a label for the case, never a name.
    """

    site: str = ""
    side: str = ""
    age: float | None = None
    age_group: AgeGroup = AgeGroup.UNKNOWN
    sex: Sex = Sex.UNKNOWN
    maturity: Maturity = Maturity.UNKNOWN
    setting: Setting = Setting.UNKNOWN
    onset: Onset = Onset.UNKNOWN
    weeks: float | None = None
    findings: tuple[Finding, ...] = ()
    note: str = ""
    uncoded: tuple[str, ...] = ()
    case: str = ""

    def state(self, code: str) -> State:
        """Present, absent or unknown; unknown when the intake does not mention the code."""
        states = {finding.state for finding in self.findings if finding.code == code}
        if State.PRESENT in states:
            return State.PRESENT
        return State.ABSENT if State.ABSENT in states else State.UNKNOWN

    def has(self, code: str) -> bool:
        """Whether the finding is present."""
        return self.state(code) is State.PRESENT
