"""A visit, and what changed between two of them: plain data beside voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from marrowscope.assessment.types import Assessment
from marrowscope.followup.person import Person
from marrowscope.labelmap import LabelMap
from marrowscope.measurement import Measurement
from marrowscope.volume import Volume

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects


@dataclass(frozen=True, eq=False)
class Visit:
    """One assessed visit: its assessment, and its masks on its own fluid grid.

    Attributes:
        image: the fluid series itself, where it is at hand; only pictures need it.
        person: the patient as the header says; compared with the other visit's, never shown.
        vouched: whether somebody says that this visit and the one it is compared with are of one patient, whatever the
            headers say.
    """

    assessment: Assessment
    bones: LabelMap
    lesions: LabelMap
    image: Volume | None = field(default=None, repr=False)
    person: Person = field(default=Person(), repr=False)
    vouched: bool = False

    def change(self, assessment: Assessment, objects: Objects) -> Mapping[str, Any]:
        """What changed from this visit to ``assessment`` (see ``marrowscope.assessment.types.Prior``)."""
        from marrowscope.followup.compare import compare

        person = Person.of(objects.exam.study.dicom_header)
        return compare(self, Visit(assessment, objects.anatomy.bones, objects.lesions, person=person)).to_dict()


class Fate(StrEnum):
    """What became of a lesion."""

    PERSISTING = "persisting"
    GROWN = "grown"
    SHRUNK = "shrunk"
    NEW = "new"
    RESOLVED = "resolved"
    SPLIT = "split"
    MERGED = "merged"
    NOT_COMPARABLE = "not comparable"
    """Its place was outside the other visit's view, or its bone could not be laid on the other visit's."""


def fate_words(fate: str, measurable: bool | None) -> str:
    """A fate as readers are told it: what came or went, but is too small to be told from nothing, says so."""
    small = fate in (Fate.NEW, Fate.RESOLVED) and measurable is False
    return f"{Fate(fate).value}, too small to be sure" if small else Fate(fate).value


@dataclass(frozen=True)
class LesionChange:
    """One group of lesions that belong together across visits.

    Attributes:
        fate: what became of it. prior, current: lesion codes at each visit.
        bone, place: where, as code and in words.
        before, after: volumes. ratio: after over before.
        brightness_before, brightness_after: over reference marrow, weighted by volume.
        measurable: whether the change of volume passes the smallest detectable change; None where that is not known.
    """

    fate: Fate
    prior: tuple[str, ...]
    current: tuple[str, ...]
    bone: str
    place: str
    before: Measurement
    after: Measurement
    ratio: Measurement
    brightness_before: Measurement
    brightness_after: Measurement
    measurable: bool | None


@dataclass(frozen=True)
class Delta:
    """One number of the whole exam at both visits.

    Attributes:
        code: measurement or score id. before, after, difference: each with its status.
        ratio: after over before, with the interval that the smallest detectable change gives it.
        verdict: ``increase``, ``decrease``, ``no measurable change``, ``not assessable``, or ``change of unknown
            significance`` where no smallest detectable change is known.
        limit: every smallest detectable change used, in words, each with its origin and basis.
    """

    code: str
    before: Measurement
    after: Measurement
    difference: Measurement
    ratio: Measurement
    verdict: str
    limit: str


@dataclass(frozen=True)
class BoneFit:
    """How well one bone of the prior lies on the same bone now.

    Attributes:
        dice_before, dice_after: overlap of the two masks before and after registration, where both are in view.
        residual_mm: median distance between the two surfaces after it.
        turn_deg, shift_mm: how far the bone had moved.
        covered: share of the bone now that the prior's field of view holds.
        matrix: 4x4 rows, LPS mm of the prior to LPS mm now.
    """

    bone: str
    dice_before: float
    dice_after: float
    residual_mm: float
    turn_deg: float
    shift_mm: float
    covered: float
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class VisitPoint:
    """One visit on the line over all visits: date as stated, edema volume, comparable with the visit before or not."""

    date: str
    volume: Measurement
    comparable: bool = True


@dataclass(frozen=True)
class Change:
    """What changed since the prior visit.

    Attributes:
        comparable: whether sizes may be compared at all. reasons: why not, or what limits it.
        prior_date, current_date: study dates as stated. fits: registration per bone.
        lesions: per lesion group. deltas: exam-wide.
        visits: every visit so far, this one last; more than two where the prior was itself compared.
        summary: one or two sentences.
    """

    comparable: bool
    reasons: tuple[str, ...]
    prior_date: str
    current_date: str
    fits: tuple[BoneFit, ...]
    lesions: tuple[LesionChange, ...]
    deltas: tuple[Delta, ...]
    visits: tuple[VisitPoint, ...]
    summary: str

    def to_dict(self) -> Mapping[str, Any]:
        """Plain data."""
        data: dict[str, Any] = _plain(self)
        return data


def _plain(value: Any) -> Any:
    if isinstance(value, Measurement):
        return value.to_dict()
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value
