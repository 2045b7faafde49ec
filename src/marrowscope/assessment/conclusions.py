"""The third step: measure, score, turn into findings, reason and plan. Pure; under a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from marrowscope import __version__
from marrowscope.anatomy.types import Exam
from marrowscope.assessment import records
from marrowscope.assessment.findings import entered_findings, measured_findings
from marrowscope.assessment.impression import impression_of
from marrowscope.assessment.types import (
    Assessment,
    NotAssessed,
    Outcome,
    Prior,
    Provenance,
    ReleaseStatus,
    SubjectRecord,
)
from marrowscope.lesion.double_line import DOUBLE_LINE
from marrowscope.lesion.edits import Edit, apply_edits
from marrowscope.lesion.measure import blocked_share, counted, total_measurements
from marrowscope.lesion.types import Objects
from marrowscope.measurement import QcCheck, Severity
from marrowscope.scoring.choose import estimate_scores
from marrowscope.scoring.entered import with_entered_cells
from marrowscope.sites import load_site
from marrowscope.study.types import SourceFrames

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake

MOST_BLOCKED_SHARE = 0.5
"""With more than half of the marrow left out, "no lesion found" would speak of what was not looked at."""


def conclude_objects(
    objects: Objects, intake: Intake | None, prior: Prior | None, edits: tuple[Edit, ...]
) -> Assessment:
    """See :func:`marrowscope.assessment.pipeline.conclude`."""
    exam = objects.exam
    edited = apply_edits(objects, edits)
    qc = (*exam.qc, *edited.anatomy.qc, *edited.qc)
    scores = with_entered_cells(estimate_scores(edited, load_site(exam.site).scores), edits)
    lesions = records.lesion_records(edited)
    totals = total_measurements(edited)
    line = DOUBLE_LINE in edited.kept_out.codes and bool(edited.kept_out.mask(DOUBLE_LINE).any())
    draft = Assessment(
        site=exam.site,
        side=exam.side,
        outcome=outcome_of(edited),
        subject=records.subject_record(exam.study),
        series=records.series_records(exam),
        refusals=records.refusal_records(exam.study),
        qc=qc,
        reference=records.reference_record(edited),
        bones=records.bone_records(edited),
        lesions=lesions,
        totals=totals,
        scores=scores,
        findings=(*measured_findings(lesions, outcome_of(edited), exam.side, line), *entered_findings(intake, edits)),
        not_assessed=not_assessed(qc, edited),
        impression="",
        provenance=_provenance(exam, edited),
        edits=edits,
    )
    change = prior.change(draft, edited) if prior is not None else None
    return finish(replace(draft, change=change), intake)


def conclude_intake(intake: Intake) -> Assessment:
    """See :func:`marrowscope.assessment.pipeline.reason`."""
    draft = Assessment(
        site=intake.site or "other",
        side=intake.side,
        outcome=Outcome.NO_IMAGES,
        subject=SubjectRecord(intake.age, str(intake.sex)),
        series=(),
        refusals=(),
        qc=(),
        reference=None,
        bones=(),
        lesions=(),
        totals=(),
        scores=(),
        findings=intake.findings,
        not_assessed=(NotAssessed("images", "none were given", "MRI with a fluid-sensitive and a T1 series"),),
        impression="",
        provenance=Provenance(f"marrowscope {__version__}", {}, {}, {}, "none", "none"),
    )
    return finish(draft, intake)


def finish(draft: Assessment, given: Intake | None) -> Assessment:
    """The draft with its intake, reasoning and impression."""
    from marrowscope.assessment.reasoned import intake_of, reasoning_for

    intake = intake_of(given, draft.site, draft.side, draft.subject)
    reasoned = replace(draft, intake=intake.to_dict(), reasoning=reasoning_for(intake, draft.findings))
    return replace(reasoned, impression=impression_of(reasoned), status=ReleaseStatus.PRELIMINARY)


def outcome_of(objects: Objects) -> Outcome:
    """What the search came to; never "no lesion" where reference marrow cannot be trusted or most was left out."""
    if objects.reference is None:
        return Outcome.NOT_ASSESSABLE
    if counted(objects).any():
        return Outcome.LESIONS
    if blocked_share(objects, objects.anatomy.bones.mask()) > MOST_BLOCKED_SHARE:
        return Outcome.NOT_ASSESSABLE
    return Outcome.NO_LESION_FOUND if objects.reference.trusted else Outcome.DIFFUSE_NOT_EXCLUDED


def not_assessed(qc: tuple[QcCheck, ...], objects: Objects) -> tuple[NotAssessed, ...]:
    """Everything a check took away, and the parts of the image that were left out."""
    from_checks = [
        NotAssessed(c.code.replace("_", " "), c.message, c.consequence)
        for c in qc
        if c.severity in (Severity.WARNING, Severity.REFUSE)
    ]
    blocked = blocked_share(objects, objects.anatomy.bones.mask())
    if blocked > 0:
        share = f"{100 * blocked:.0f} % of the marrow in view"
        from_checks.append(NotAssessed("left out", share, "slices without failed suppression or metal"))
    return tuple(from_checks)


def _provenance(exam: Exam, objects: Objects) -> Provenance:
    source = exam.fluid.source
    frames = source if isinstance(source, SourceFrames) else None
    return Provenance(
        software=f"marrowscope {__version__}",
        input_sha256={"study": exam.study.input_hash},
        models={},
        settings={"cutoff": _finite(objects.cutoff)},
        anatomy=objects.anatomy.source,
        detector=objects.method,
        slice_axis=exam.image.slice_axis,
        study_uid=frames.study_instance_uid if frames else "",
        fluid_series_uid=exam.fluid.uid,
        study_date=exam.study.study_date or "",
    )


def _finite(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
