"""Reading and writing the app's records: small functions on one database transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marrowscope.errors import InputError
from marrowscope.web.db import EditRow, EventRow, IntakeRow, Revision, Study
from marrowscope.web.settings import MAX_LABEL

PAGE = 200
"""Studies a list shows at most; a search narrows it."""


class NotFoundError(InputError):
    """No such study, revision or page."""


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def iso(at: datetime) -> str:
    """ISO 8601 with seconds; SQLite forgets the zone, which always is UTC here."""
    return at.replace(tzinfo=UTC).isoformat(timespec="seconds")


def clean(text: str, limit: int = MAX_LABEL) -> str:
    """A typed or header text as kept: no control characters, at most ``limit`` characters."""
    kept = "".join(c if c.isprintable() else " " for c in text[: limit * 4])
    return " ".join(kept.split())[:limit]


@dataclass(frozen=True)
class StudyQuery:
    """What the list is narrowed to; empty parts let all through. ``since``: study date from, YYYY-MM-DD."""

    words: str = ""
    site: str = ""
    state: str = ""
    since: str = ""


def add_study(
    db: Session, label: str, by: str, *, with_images: bool, site: str = "", side: str = "", study_id: str = ""
) -> Study:
    """A new study, waiting (images) or ready (a case without any)."""
    state = "waiting" if with_images else "ready"
    study = Study(
        id=study_id or new_id(), label=clean(label), site=site, side=side, study_date="", with_images=with_images,
        state=state, error=None, prior_id=None, created_at=now(), created_by=by,
    )  # fmt: skip
    db.add(study)
    return study


def new_id() -> str:
    """A study id: random, so that it says nothing."""
    return uuid.uuid4().hex[:12]


def get_study(db: Session, study_id: str) -> Study:
    """The study of that id.

    Raises:
        NotFoundError: there is none.
    """
    study = db.get(Study, study_id)
    if study is None:
        raise NotFoundError("no study of that id", "a study of the list", "go back to the list")
    return study


def find_studies(db: Session, query: StudyQuery) -> Sequence[Study]:
    """Studies of the list, newest first."""
    statement = select(Study).order_by(Study.created_at.desc(), Study.id).limit(PAGE)
    for word in clean(query.words).split():
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        columns = (Study.label, Study.site, Study.study_date)
        statement = statement.where(or_(*(c.ilike(like, escape="\\") for c in columns)))
    if query.site:
        statement = statement.where(Study.site == query.site)
    if query.since:
        statement = statement.where(Study.study_date >= query.since)
    if query.state:
        statement = statement.where(Study.state == query.state)
    return db.scalars(statement).all()


def revisions(db: Session, study_id: str) -> Sequence[Revision]:
    """Every revision, oldest first."""
    return db.scalars(select(Revision).where(Revision.study_id == study_id).order_by(Revision.number)).all()


def latest(db: Session, study_id: str) -> Revision | None:
    """The newest revision, if the study has one."""
    query = select(Revision).where(Revision.study_id == study_id).order_by(Revision.number.desc()).limit(1)
    return db.scalars(query).first()


def get_revision(db: Session, study_id: str, number: int | None) -> Revision:
    """The revision of that number (None = the newest).

    Raises:
        NotFoundError: there is none.
    """
    if number is None:
        found = latest(db, study_id)
    else:
        query = select(Revision).where(Revision.study_id == study_id, Revision.number == number)
        found = db.scalars(query).first()
    if found is None:
        raise NotFoundError("no such version of this study", "an assessed study", "wait for it, or open the list")
    return found


def revision_of(db: Session, study_id: str, request: str) -> Revision | None:
    """The revision a request made, when it was answered before (a job that ran twice)."""
    return db.scalars(select(Revision).where(Revision.study_id == study_id, Revision.request == request)).first()


def add_revision(
    db: Session, study_id: str, request: str, cause: str, assessment: str, status: str, by: str, summary: str = "",
    overlay: str = "[]",
) -> Revision:  # fmt: skip
    """The next revision; what edits and intake went in is taken from the records as they are now."""
    before = latest(db, study_id)
    intake = latest_intake(db, study_id)
    revision = Revision(
        study_id=study_id, number=(before.number if before else 0) + 1, request=request, cause=cause,
        summary=clean(summary), assessment=assessment, overlay=overlay, status=status,
        last_edit=last_edit_number(db, study_id),
        intake_number=intake.number if intake else 0, at=now(), by=by,
    )  # fmt: skip
    db.add(revision)
    db.flush()
    return revision


def last_edit_number(db: Session, study_id: str) -> int:
    """Number of the newest edit, 0 before the first."""
    return db.scalar(select(func.max(EditRow.number)).where(EditRow.study_id == study_id)) or 0


def edits(db: Session, study_id: str, *, undone: bool = False) -> Sequence[EditRow]:
    """Edits in order; those undone only when asked for."""
    query = select(EditRow).where(EditRow.study_id == study_id).order_by(EditRow.number)
    return db.scalars(query if undone else query.where(EditRow.undone_at.is_(None))).all()


def add_edit(db: Session, study_id: str, by: str, edit: dict[str, Any]) -> EditRow:
    """Append an edit."""
    row = EditRow(
        study_id=study_id, number=last_edit_number(db, study_id) + 1, at=now(), by=by, edit=edit, undone_at=None,
        undone_by="",
    )  # fmt: skip
    db.add(row)
    db.flush()
    return row


def latest_intake(db: Session, study_id: str) -> IntakeRow | None:
    """The newest intake, if one was filled."""
    query = select(IntakeRow).where(IntakeRow.study_id == study_id).order_by(IntakeRow.number.desc()).limit(1)
    return db.scalars(query).first()


def add_intake(db: Session, study_id: str, by: str, intake: dict[str, Any]) -> IntakeRow:
    """Append an intake."""
    before = latest_intake(db, study_id)
    number = (before.number if before else 0) + 1
    row = IntakeRow(study_id=study_id, number=number, at=now(), by=by, intake=intake)
    db.add(row)
    db.flush()
    return row


def note(db: Session, study_id: str | None, by: str, what: str, detail: str = "") -> None:
    """Keep that something happened."""
    db.add(EventRow(study_id=study_id, at=now(), by=by, what=what, detail=clean(detail)))


def events(db: Session, study_id: str) -> Sequence[EventRow]:
    """What happened to a study beside its revisions, oldest first."""
    return db.scalars(select(EventRow).where(EventRow.study_id == study_id).order_by(EventRow.id)).all()
