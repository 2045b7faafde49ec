"""The ``conclude`` job: an edit, an undo, an intake, a prior or a signature becomes the next revision, all or nothing.

The record of the change and the revision it led to are one transaction: an edit that cannot be applied is never
kept, and a job that runs twice finds its first answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from marrowscope.errors import UsageError
from marrowscope.jobs import JobContext, Payload
from marrowscope.web import records
from marrowscope.web.db import EditRow, Study
from marrowscope.web.work.common import database, objects_of

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment
    from marrowscope.followup import Visit
    from marrowscope.lesion.edits import Edit
    from marrowscope.reasoning.intake import Intake

CORRECTED_SEG = "corrected SEG"
"""How the reason of an edit begins that a SEG led to (see :mod:`marrowscope.lesion.from_seg`)."""


@dataclass(frozen=True)
class Change:
    """One thing to do, as it waits in the queue."""

    study: str
    request: str
    cause: str
    by: str
    data: Mapping[str, Any]

    @classmethod
    def of(cls, payload: Payload, request: str) -> Change:
        """From a job's payload."""
        return cls(payload["study"], request, payload["cause"], payload["by"], payload.get("data", {}))


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Apply ``payload["cause"]`` to ``payload["study"]``; the job's key is the request's own name."""
    change = Change.of(payload, context.job.key)
    with database().begin() as db:
        done = records.revision_of(db, change.study, change.request)
        if done is None:
            study = records.get_study(db, change.study)
            assessment, summary = APPLY[change.cause](db, study, change)
            done = _kept(db, change, assessment, summary)
        return {"study": change.study, "revision": done.number}


def _kept(db: Session, change: Change, assessment: Assessment, summary: str) -> Any:
    from marrowscope.assessment import to_json

    text = to_json(assessment)
    overlay = _overlay(db, change, assessment)
    status = assessment.status.value
    return records.add_revision(
        db, change.study, change.request, change.cause, text, status, change.by, summary, overlay
    )


def _overlay(db: Session, change: Change, assessment: Assessment) -> str:
    from marrowscope.lesion.edits import apply_edits
    from marrowscope.web.work.lesions import overlay_text

    if change.cause not in ("edit", "drawn", "undo"):
        current = records.latest(db, change.study)
        return current.overlay if current else "[]"
    return overlay_text(apply_edits(objects_of(change.study), assessment.edits))


def _edit(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    from marrowscope.web.work.edit_request import edit_of, words_of

    edit = edit_of(study.id, change.data, change.by, records.iso(records.now()))
    records.add_edit(db, study.id, change.by, edit.to_dict())
    return concluded(db, study), words_of(edit)


def _drawn(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    """A SEG drawn elsewhere as edits; all of them or none."""
    from marrowscope.lesion.edits import apply_edits
    from marrowscope.lesion.from_seg import lesion_edits
    from marrowscope.study.segmentation import read_segmentation
    from marrowscope.web.work.common import data_folder

    path = data_folder().study(study.id).corrected / str(change.data["file"])
    names = tuple(name.strip() for name in str(change.data.get("segments") or "").split(",") if name.strip())
    objects = apply_edits(objects_of(study.id), stored_edits(db, study.id))
    drawn = lesion_edits(objects, read_segmentation(path), change.by, records.iso(records.now()), names)
    if not drawn.edits:
        raise UsageError("a SEG that says what the result says", "lesions that were changed")
    for edit in drawn.edits:
        records.add_edit(db, study.id, change.by, edit.to_dict())
    return concluded(db, study), "; ".join((f"corrected SEG: {len(drawn.edits)} edits", *drawn.notes))


def _undo(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    standing = records.edits(db, study.id)
    if not standing:
        raise UsageError("nothing to undo", "an edit")
    taken = _together(standing)
    for row in taken:
        row.undone_at, row.undone_by = records.now(), change.by
    db.flush()
    which = f"edit {taken[0].number}" if len(taken) == 1 else f"edits {taken[0].number} to {taken[-1].number}"
    return concluded(db, study), f"{which} undone"


def _together(standing: Sequence[EditRow]) -> list[EditRow]:
    """The last edit, with those before it that came from the same SEG."""
    last = standing[-1].edit
    source = (last.get("reason", ""), last.get("at"))
    if not source[0].startswith(CORRECTED_SEG):
        return [standing[-1]]
    same = takewhile(lambda row: (row.edit.get("reason", ""), row.edit.get("at")) == source, reversed(standing))
    return list(same)[::-1]


def _intake(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    from marrowscope.reasoning.intake import Intake

    data = dict(change.data)
    Intake.from_dict(data)  # refused before it is kept
    records.add_intake(db, study.id, change.by, data)
    if not study.with_images:
        study.site, study.side = str(data.get("site") or ""), str(data.get("side") or "")
    return concluded(db, study), "intake"


def _prior(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    from marrowscope.web.work.link import write_links

    prior_id = change.data.get("prior") or None
    if prior_id is not None:
        if prior_id == study.id:
            raise UsageError("a study as its own prior", "an earlier study")
        if not records.get_study(db, str(prior_id)).with_images or records.latest(db, str(prior_id)) is None:
            raise UsageError("a prior that is not assessed", "an earlier study with a result", "wait for it")
        write_links(study.id, str(prior_id))
    study.prior_id = prior_id
    return concluded(db, study), "prior chosen" if prior_id else "prior removed"


def _sign(db: Session, study: Study, change: Change) -> tuple[Assessment, str]:
    from marrowscope.assessment import from_json
    from marrowscope.assessment.types import ReleaseStatus
    from marrowscope.results import check_unsigned

    current = records.get_revision(db, study.id, None)
    if current.number != change.data.get("revision"):
        raise UsageError("a newer version than the one you read", "the newest version", "read it, then sign it")
    assessment = from_json(current.assessment)
    check_unsigned(assessment)
    released_at = records.iso(records.now())
    signed = replace(assessment, status=ReleaseStatus.FINAL, released_by=change.by, released_at=released_at)
    return signed, f"signed by {change.by}"


APPLY = {"edit": _edit, "drawn": _drawn, "undo": _undo, "intake": _intake, "prior": _prior, "signed": _sign}
"""What each cause does."""


def concluded(db: Session, study: Study) -> Assessment:
    """The assessment of the study's detection with its edits, intake and prior as they are recorded now."""
    # Not from the package: its name ``conclude`` is the submodule once that was imported.
    from marrowscope.assessment.pipeline import conclude, reason

    intake = stored_intake(db, study.id)
    if not study.with_images:
        if intake is None:
            raise UsageError("a case without an intake", "an intake")
        assessment = reason(intake)
    else:
        assessment = conclude(objects_of(study.id), intake, _prior_visit(db, study), stored_edits(db, study.id))
    return _status(db, study, assessment)


def _status(db: Session, study: Study, assessment: Assessment) -> Assessment:
    """After a signature, whatever follows is an amendment until it is signed again."""
    from marrowscope.assessment.types import ReleaseStatus

    signed = any(r.cause == "signed" for r in records.revisions(db, study.id))
    return replace(assessment, status=ReleaseStatus.AMENDED) if signed else assessment


def stored_edits(db: Session, study_id: str, upto: int | None = None) -> tuple[Edit, ...]:
    """The standing edits, in order."""
    from marrowscope.lesion.edits import Edit

    rows = records.edits(db, study_id)
    return tuple(Edit.from_dict(row.edit) for row in rows if upto is None or row.number <= upto)


def stored_intake(db: Session, study_id: str) -> Intake | None:
    """The newest intake."""
    from marrowscope.reasoning.intake import Intake

    row = records.latest_intake(db, study_id)
    return Intake.from_dict(row.intake) if row else None


def _prior_visit(db: Session, study: Study) -> Visit | None:
    """The chosen earlier visit as it was last read: its newest assessment on its own detection with its edits."""
    prior = records.latest(db, study.prior_id) if study.prior_id else None
    if prior is None:
        return None
    from marrowscope.assessment import from_json
    from marrowscope.followup import Visit
    from marrowscope.followup.person import Person
    from marrowscope.lesion.edits import apply_edits

    assessment = from_json(prior.assessment)
    objects = apply_edits(objects_of(prior.study_id), assessment.edits)
    person = Person.of(objects.exam.study.dicom_header)
    return Visit(assessment, objects.anatomy.bones, objects.lesions, person=person)
