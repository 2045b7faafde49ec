"""The intake: what a doctor knows about the patient and what a person read on the images, as coded data.

Present, absent and unknown differ: what an intake does not mention is unknown. Free notes are kept and shown, never
interpreted; what could not be coded stays in ``uncoded``. No name of a patient belongs here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from marrowscope.errors import IntakeError
from marrowscope.findings import Finding, State

if TYPE_CHECKING:
    from marrowscope.reasoning.intake_text import Lined

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


OLDEST_GROUPED = 95.0
"""Years; upper end of the oldest groups, for frequencies by age."""

AGE_RANGE = {
    AgeGroup.INFANT: (0.0, 2.0),
    AgeGroup.CHILD: (2.0, 12.0),
    AgeGroup.ADOLESCENT: (12.0, 18.0),
    AgeGroup.YOUNG_ADULT: (18.0, 40.0),
    AgeGroup.MIDDLE_AGED: (40.0, 60.0),
    AgeGroup.OLDER: (60.0, OLDEST_GROUPED),
    AgeGroup.ADULT: (18.0, OLDEST_GROUPED),
    AgeGroup.UNKNOWN: (0.0, OLDEST_GROUPED),
}
"""Years each age group spans, for frequencies by age."""


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


DRAFTED = "Drafted by software from a written report. A person must check every line before use."
"""How the note of a drafted intake begins, until somebody has checked it and takes the note out."""


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
        """Present, absent or unknown, what is implied included; unknown when the intake says nothing of it."""
        return states(self.findings).get(code, State.UNKNOWN)

    def has(self, code: str) -> bool:
        """Whether the finding is present."""
        return self.state(code) is State.PRESENT

    @property
    def drafted(self) -> bool:
        """Whether software drafted it from a report and nobody has taken that note out."""
        return self.note.startswith(DRAFTED)

    @property
    def age_range(self) -> tuple[float, float]:
        """Lowest and highest age in years that the intake allows."""
        return (self.age, self.age) if self.age is not None else AGE_RANGE[self.age_group]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML or JSON intake file.

        Raises:
            IntakeError: unreadable, or it breaks the schema; each mistake with its line and the nearest valid word.
        """
        from marrowscope.reasoning.intake_text import parse_text

        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise IntakeError(f"{path.name} cannot be read", "a text file (YAML or JSON)", "check the path") from error
        return cls.from_dict(parse_text(text, path.name))

    @classmethod
    def from_dict(cls, data: dict[str, Any] | Lined) -> Self:
        """Build from the published schema's plain data.

        Raises:
            IntakeError: it breaks the schema; all mistakes in one message.
        """
        from marrowscope.reasoning.intake_file import read_intake

        return cls(**read_intake(data))

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the published schema; inverse of :meth:`from_dict`."""
        from marrowscope.reasoning.intake_file import write_intake

        return write_intake(self)


def states(findings: Iterable[Finding]) -> dict[str, State]:
    """State of every code that is said or implied; a presence anywhere outweighs an absence.

    A specific finding that is present makes its general one present; an absent general one makes the specific absent.
    """
    from marrowscope.knowledge.findings import implied, vocabulary

    said = [finding for finding in findings if finding.state is not State.UNKNOWN and finding.code in vocabulary()]
    absent = {finding.code for finding in said if finding.state is State.ABSENT}
    known = dict.fromkeys(absent, State.ABSENT)
    known |= {code: State.ABSENT for code in vocabulary() if absent.intersection(implied(code))} if absent else {}
    present = {code for f in said if f.state is State.PRESENT for code in (f.code, *implied(f.code))}
    return known | dict.fromkeys(present, State.PRESENT)
