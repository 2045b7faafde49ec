"""Lesion objects and everything detection hands on: voxels and plain facts on the fluid grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, Self

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import LabelMap
from marrowscope.measurement import QcCheck
from marrowscope.volume import Volume


class LesionKind(StrEnum):
    """What an object is; only edema counts towards edema volumes."""

    EDEMA = "edema"
    CYST = "cyst"


class Verdict(StrEnum):
    """Who stands behind an object."""

    AUTOMATIC = "automatic"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EDITED = "edited"


@dataclass(frozen=True)
class MarrowLevel:
    """How bright normal marrow is, and whether it can be trusted.

    Attributes:
        median, mad: fluid brightness of the reference (shading-corrected image units).
        muscle: fluid brightness of muscle, or None when none was found.
        trusted: False when the reference itself looks abnormal or could not be checked: then "diffuse
            marrow abnormality not excluded".
        reason: why it is or is not trusted.
    """

    median: float
    mad: float
    muscle: float | None
    trusted: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Reference(MarrowLevel):
    """Normal marrow that brightness is judged against.

    Attributes:
        mask: label map with the one code ``reference``.
    """

    mask: LabelMap


@dataclass(frozen=True)
class LesionObject:
    """One connected object of the lesion label map.

    Attributes:
        label: its value in ``Objects.lesions``.
        kind: edema or cyst.
        confidence: probability that a reader would call it a lesion, 0-1.
        reasons: what raised or lowered the confidence.
        verdict: automatic until a person acts.
    """

    label: int
    kind: LesionKind
    confidence: float
    reasons: tuple[str, ...] = ()
    verdict: Verdict = Verdict.AUTOMATIC

    def with_verdict(self, verdict: Verdict) -> Self:
        """The same object under another verdict."""
        return replace(self, verdict=verdict)


THRESHOLD = "threshold over reference marrow"
"""How the methods that end objects by brightness begin to name themselves."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The result of ``detect``: everything ``conclude`` needs, and all that an edit can change.

    Attributes:
        exam, anatomy: what was searched.
        reference: normal marrow, or None when none could be found.
        evidence: float32 on the grid; higher = more lesion-like (a probability, or brightness over reference).
        cutoff: evidence at which a voxel is lesion; cutoff_low < cutoff < cutoff_high bound the interval.
        lesions: label map with codes ``lesion_1``...; label n is ``objects`` entry with label n.
        objects: one entry a label.
        kept_out: vessel, joint_fluid, cyst_like, rim...: what was left out and where.
        method: :data:`THRESHOLD` and what narrows it, or the model's id.
        qc: checks made by detection.
    """

    exam: Exam
    anatomy: Anatomy
    reference: Reference | None
    evidence: Volume
    cutoff: float
    cutoff_low: float
    cutoff_high: float
    lesions: LabelMap
    objects: tuple[LesionObject, ...]
    kept_out: LabelMap
    method: str
    qc: tuple[QcCheck, ...] = field(default=())


class Detector(Protocol):
    """Finds lesions in searched marrow; plugged in per site."""

    def __call__(self, exam: Exam, anatomy: Anatomy) -> Objects:
        """Objects on the exam's grid."""
        ...
