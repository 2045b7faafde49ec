"""The tables. Texts that a person typed or a header held are plain text here and escaped wherever shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Time = DateTime(timezone=True)


class Base(DeclarativeBase):
    """Base of every table."""

    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy reads it off the class


class Study(Base):
    """One study, or one case without images (``with_images`` False).

    ``state`` is ``waiting`` until the assessment ends, then ``ready``, ``refused``, ``failed`` or ``cancelled``.
    """

    __tablename__ = "studies"
    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    label: Mapped[str] = mapped_column(Text)
    site: Mapped[str] = mapped_column(String(40), default="")
    side: Mapped[str] = mapped_column(String(10), default="")
    study_date: Mapped[str] = mapped_column(String(10), default="")
    with_images: Mapped[bool]
    state: Mapped[str] = mapped_column(String(20), index=True)
    error: Mapped[dict[str, Any] | None]
    prior_id: Mapped[str | None] = mapped_column(ForeignKey("studies.id"))
    created_at: Mapped[datetime] = mapped_column(Time, index=True)
    created_by: Mapped[str] = mapped_column(Text, default="")


class Revision(Base):
    """One state of a study's assessment; number 1 is the automatic result. Never changed, never deleted.

    ``overlay`` holds the lesions as runs on the viewer's grid. ``cause`` is ``automatic``, ``edit``, ``drawn``,
    ``undo``, ``intake``, ``prior`` or ``signed``; ``last_edit`` and ``intake_number`` say what went in.
    """

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("study_id", "number"), UniqueConstraint("study_id", "request"))
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    number: Mapped[int]
    request: Mapped[str] = mapped_column(String(64))
    cause: Mapped[str] = mapped_column(String(20))
    summary: Mapped[str] = mapped_column(Text, default="")
    assessment: Mapped[str] = mapped_column(Text)
    overlay: Mapped[str] = mapped_column(Text, default="[]")
    status: Mapped[str] = mapped_column(String(20))
    last_edit: Mapped[int] = mapped_column(default=0)
    intake_number: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime] = mapped_column(Time)
    by: Mapped[str] = mapped_column(Text)


class EditRow(Base):
    """One edit: who, when, what. Undoing marks it, nothing deletes it."""

    __tablename__ = "edits"
    __table_args__ = (UniqueConstraint("study_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(Time)
    by: Mapped[str] = mapped_column(Text)
    edit: Mapped[dict[str, Any]]
    undone_at: Mapped[datetime | None] = mapped_column(Time)
    undone_by: Mapped[str] = mapped_column(Text, default="")


class IntakeRow(Base):
    """One filled intake form; all are kept, the latest counts."""

    __tablename__ = "intakes"
    __table_args__ = (UniqueConstraint("study_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    number: Mapped[int]
    at: Mapped[datetime] = mapped_column(Time)
    by: Mapped[str] = mapped_column(Text)
    intake: Mapped[dict[str, Any]]


class VerdictRow(Base):
    """A quality verdict on one result of the cohort table: ``good``, ``artefact`` or ``fail``."""

    __tablename__ = "verdicts"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime] = mapped_column(Time)
    by: Mapped[str] = mapped_column(Text)


class EventRow(Base):
    """What happened beside revisions: signing, release of a leaflet, downloads, sending, sign-in."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str | None] = mapped_column(ForeignKey("studies.id"), index=True)
    at: Mapped[datetime] = mapped_column(Time)
    by: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text, default="")


class SessionRow(Base):
    """A signed-in browser; the cookie's SHA-256, never the cookie."""

    __tablename__ = "sessions"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text, default="")
    until: Mapped[datetime] = mapped_column(Time)
