"""A visit, and what changed between two of them: plain data beside voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from marrowscope.assessment.types import Assessment
from marrowscope.labelmap import LabelMap
from marrowscope.measurement import Measurement

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects


@dataclass(frozen=True, eq=False)
class Visit:
    """One assessed visit: its assessment, and its masks on its own fluid grid."""

    assessment: Assessment
    bones: LabelMap
    lesions: LabelMap

    def change(self, assessment: Assessment, objects: Objects) -> Mapping[str, Any]:
        """What changed from this visit to ``assessment`` (see ``marrowscope.assessment.types.Prior``)."""
        from marrowscope.followup.compare import compare

        return compare(self, Visit(assessment, objects.anatomy.bones, objects.lesions)).to_dict()


class Fate(StrEnum):
    """What became of a lesion."""

    PERSISTING = "persisting"
    GROWN = "grown"
    SHRUNK = "shrunk"
    NEW = "new"
    RESOLVED = "resolved"
    SPLIT = "split"
    MERGED = "merged"


@dataclass(frozen=True)
class LesionChange:
    """One group of lesions that belong together across visits.

    Attributes:
        fate: what became of it. prior, current: lesion codes at each visit.
        place: where, in words. before, after: volumes. ratio: after over before.
        measurable: whether the change passes the smallest detectable change; None where that is not known.
    """

    fate: Fate
    prior: tuple[str, ...]
    current: tuple[str, ...]
    place: str
    before: Measurement
    after: Measurement
    ratio: Measurement
    measurable: bool | None


@dataclass(frozen=True)
class Delta:
    """One number of the whole exam at both visits.

    Attributes:
        code: measurement or score id. before, after, difference: each with its status.
        verdict: ``increase``, ``decrease``, ``no measurable change``, ``not assessable``, or ``change of unknown
            significance`` where no smallest detectable change is known.
        limit: the smallest detectable change used, in words, with its basis.
    """

    code: str
    before: Measurement
    after: Measurement
    difference: Measurement
    verdict: str
    limit: str


@dataclass(frozen=True)
class BoneFit:
    """How well one bone of the prior lies on the same bone now (Dice of the two masks)."""

    bone: str
    dice_before: float
    dice_after: float
    covered: float


@dataclass(frozen=True)
class Change:
    """What changed since the prior visit.

    Attributes:
        comparable: whether sizes may be compared at all. reasons: why not, or what limits it.
        prior_date, current_date: study dates as stated. fits: registration per bone.
        lesions: per lesion group. deltas: exam-wide.
        summary: one or two sentences.
    """

    comparable: bool
    reasons: tuple[str, ...]
    prior_date: str
    current_date: str
    fits: tuple[BoneFit, ...]
    lesions: tuple[LesionChange, ...]
    deltas: tuple[Delta, ...]
    summary: str

    def to_dict(self) -> Mapping[str, Any]:
        """Plain data."""
        data = asdict(self)
        for lesion, own in zip(data["lesions"], self.lesions, strict=True):
            lesion.update(fate=own.fate.value, **{k: getattr(own, k).to_dict() for k in ("before", "after", "ratio")})
        for delta, mine in zip(data["deltas"], self.deltas, strict=True):
            delta.update({k: getattr(mine, k).to_dict() for k in ("before", "after", "difference")})
        return data
