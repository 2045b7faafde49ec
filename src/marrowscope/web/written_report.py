"""A pasted report as the first answers of a case without images: drafted, with the words each came from in the note."""

from __future__ import annotations

from typing import Any

from marrowscope.errors import IntakeError

NOTE_CHARACTERS = 4000
"""The note's field in the form holds no more; what a draft has beyond that is cut at a line."""


WAY_ON = "go back and say where it is, or leave the report out and answer the questions"


def drafted_answers(report: str, site: str = "") -> dict[str, Any]:
    """The published schema's plain data of what a report says; its note quotes the report, without the patient.

    Args:
        report: plain text. site: where, if the report does not tell or is about several places.

    Raises:
        IntakeError: no radiology report, or one whose place cannot be told.
    """
    from marrowscope.reasoning.written.draft import intake_data, possible, table
    from marrowscope.reasoning.written.read import read_report

    try:
        read = possible(read_report(report, site or None))
    except IntakeError as error:
        raise IntakeError(error.found, error.expected, WAY_ON) from error
    return {**intake_data(read), "note": _cut(table(read))}


def _cut(text: str) -> str:
    if len(text) <= NOTE_CHARACTERS:
        return text
    return text[:NOTE_CHARACTERS].rpartition("\n")[0]
