"""The app's own records: studies, revisions, edits, intakes, verdicts, sessions, events."""

from __future__ import annotations

from marrowscope.web.db.engine import Database
from marrowscope.web.db.models import Base, EditRow, EventRow, IntakeRow, Revision, SessionRow, Study, VerdictRow

__all__ = [
    "Base",
    "Database",
    "EditRow",
    "EventRow",
    "IntakeRow",
    "Revision",
    "SessionRow",
    "Study",
    "VerdictRow",
]
