"""The Assessment: results as plain data. No voxels, no rendering, no patient's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from marrowscope.findings import Finding
from marrowscope.lesion.edits import Edit
from marrowscope.lesion.types import LesionKind, Verdict
from marrowscope.measurement import Measurement, QcCheck
from marrowscope.scoring.types import Score

if TYPE_CHECKING:
    from marrowscope.lesion.types import Objects

SCHEMA_VERSION = "1.0"
"""Version of ``assessment.json``; the major part changes when a reader of an older one would misread it."""

DISCLAIMER = "For research use and decision support. A named clinician decides and releases."


class ReleaseStatus(StrEnum):
    """Preliminary until a named person signs; amended after a later edit."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    AMENDED = "amended"


class Outcome(StrEnum):
    """What the search for edema came to. "No lesion found" never reads as "no disease"."""

    LESIONS = "lesions"
    NO_LESION_FOUND = "no_lesion_found"
    DIFFUSE_NOT_EXCLUDED = "diffuse_marrow_abnormality_not_excluded"
    NOT_ASSESSABLE = "not_assessable"
    NO_IMAGES = "no_images"


@dataclass(frozen=True)
class SeriesRecord:
    """One series that was read, and what became of it."""

    uid: str
    number: int | None = field(default=None, kw_only=True)
    description: str
    role: str
    sequence_class: str
    plane: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    reasons: tuple[str, ...]
    used_as: str = ""
    field_t: float | None = None


@dataclass(frozen=True)
class RefusalRecord:
    """Something in the study that was not used, and why."""

    what: str
    code: str
    reason: str


@dataclass(frozen=True)
class SubjectRecord:
    """The facts about the person that reasoning needs; nothing that identifies."""

    age_years: float | None = None
    sex: str = ""


@dataclass(frozen=True)
class ReferenceRecord:
    """Normal marrow that brightness was judged against, and whether it could be trusted."""

    trusted: bool
    reason: str
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class BoneRecord:
    """One bone that was searched."""

    code: str
    label: str
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class LesionRecord:
    """One lesion.

    Attributes:
        label: its value in ``masks/lesions.nii.gz``; ``code`` is ``lesion_<label>``.
        bone, side, regions: where it lies (codes of the site file).
        place: the same in words, e.g. "medial femur, central".
        centroid_lps_mm: centre in LPS mm.
        key_slice: index along the fluid series' slice axis of its largest cross-section.
        key_image_uid: SOP Instance UID of that slice, empty for NIfTI input.
        key_frame: frame number in it (1 for single-frame).
    """

    label: int
    code: str
    kind: LesionKind
    bone: str
    side: str
    regions: tuple[str, ...]
    place: str
    confidence: float
    reasons: tuple[str, ...]
    verdict: Verdict
    measurements: tuple[Measurement, ...]
    centroid_lps_mm: tuple[float, float, float]
    key_slice: int
    key_image_uid: str = ""
    key_frame: int = 1

    def measurement(self, code: str) -> Measurement | None:
        """The measurement of that code, if it was attempted."""
        return next((m for m in self.measurements if m.code == code), None)


@dataclass(frozen=True)
class NotAssessed:
    """One thing that was not assessed, why, and what would allow it."""

    what: str
    why: str
    needed: str = ""


@dataclass(frozen=True)
class Provenance:
    """What went in and what worked on it: enough to run it again."""

    software: str
    input_sha256: Mapping[str, str]
    models: Mapping[str, str]
    settings: Mapping[str, Any]
    anatomy: str
    detector: str
    slice_axis: int = 2
    study_uid: str = ""
    fluid_series_uid: str = ""
    study_date: str = ""


class Prior(Protocol):
    """An earlier visit that a later one can be compared with (see ``marrowscope.followup.Visit``)."""

    def change(self, assessment: Assessment, objects: Objects) -> Mapping[str, Any]:
        """What changed up to ``assessment``, whose masks are in ``objects``, as plain data."""
        ...


@dataclass(frozen=True)
class Assessment:
    """Everything marrowscope says about one study (or one intake), as plain data.

    Attributes:
        site, side: where; side is empty when it could not be told.
        outcome: what the search for edema came to.
        impression: at most 80 words: site, extent, explanation seen or not, limits, next step.
        totals: exam-wide measurements, e.g. edema volume of all lesions not rejected.
        findings: measured and entered findings, all of them; a person's reading overrides but erases none.
        intake: what was told about the patient, with the study's own facts; reasoning starts from it.
        reasoning: differential, not-to-miss checks, plan (see ``marrowscope.reasoning``), or None.
        change: comparison with a prior (see ``marrowscope.followup``), or None.
        edits: every edit, in order. status, released_by, released_at: the release.
        created: the only time field; everything else is reproducible byte for byte.
    """

    site: str
    side: str
    outcome: Outcome
    subject: SubjectRecord
    series: tuple[SeriesRecord, ...]
    refusals: tuple[RefusalRecord, ...]
    qc: tuple[QcCheck, ...]
    reference: ReferenceRecord | None = field(default=None, kw_only=True)
    bones: tuple[BoneRecord, ...]
    lesions: tuple[LesionRecord, ...]
    totals: tuple[Measurement, ...]
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    impression: str
    provenance: Provenance
    intake: Mapping[str, Any] | None = None
    reasoning: Mapping[str, Any] | None = None
    change: Mapping[str, Any] | None = None
    edits: tuple[Edit, ...] = ()
    status: ReleaseStatus = ReleaseStatus.PRELIMINARY
    released_by: str = ""
    released_at: str = ""
    created: str = ""
    schema_version: str = SCHEMA_VERSION
    disclaimer: str = DISCLAIMER
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def edema(self) -> tuple[LesionRecord, ...]:
        """The edema lesions that nobody rejected."""
        return tuple(x for x in self.lesions if x.kind is LesionKind.EDEMA and x.verdict is not Verdict.REJECTED)

    @property
    def signed(self) -> bool:
        """Whether a named person stands behind it as it is; an amendment waits for a signature of its own."""
        return bool(self.released_by.strip()) and self.status is not ReleaseStatus.PRELIMINARY

    def total(self, code: str) -> Measurement | None:
        """The exam-wide measurement of that code."""
        return next((m for m in self.totals if m.code == code), None)
