"""Reasoning in full, the ranking under another setting, and the patient's leaflet."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from marrowscope.web import reasoning_view, records
from marrowscope.web.desk import QUICK
from marrowscope.web.pages.common import NamedReader, OnDesk, StudyId
from marrowscope.web.pages.report import REPORT_CSP
from marrowscope.web.problems import Refused
from marrowscope.web.views import assessment_of, view_of

router = APIRouter(include_in_schema=False)

RELEASED = "leaflet released"


class SettingChoice(StrEnum):
    """Where the patient is seen."""

    GENERAL_PRACTICE = "general_practice"
    EMERGENCY = "emergency"
    SPORTS = "sports"
    RHEUMATOLOGY = "rheumatology"
    ONCOLOGY = "oncology"
    ORTHOPAEDICS = "orthopaedics"


@router.get("/studies/{study_id}/reasoning")
def reasoning_page(
    request: Request, desk: OnDesk, study_id: StudyId, setting: Annotated[SettingChoice | None, Query()] = None
) -> HTMLResponse:
    """Checks on top when not calm; causes with reasons that add up; what would change it; plan with cautions."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.latest(db, study_id)
    if revision is None:
        return desk.pages.page(request, "no_reasoning.html", study=study)
    assessment = assessment_of(revision)
    other = None
    if setting is not None and assessment.reasoning:
        payload = {"study": study_id, "setting": setting.value}
        other = desk.wait(desk.enqueue("what_if", payload, f"{study_id}-{revision.number}-{setting.value}", QUICK))[
            "rows"
        ]
    return desk.pages.page(
        request, "reasoning.html",
        study=study, revision=revision, r=view_of(revision), reasoning=assessment.reasoning,
        checks=reasoning_view.checks(assessment), causes=reasoning_view.causes(assessment),
        normaliser=reasoning_view.normaliser(assessment), questions=reasoning_view.next_questions(assessment),
        settings=list(SettingChoice), setting=setting, other=other,
    )  # fmt: skip


@router.get("/studies/{study_id}/leaflet")
def leaflet_page(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """The leaflet as the patient gets it; a draft until a named clinician releases it."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.latest(db, study_id)
        released = revision is not None and _released(records.events(db, study_id), revision.number) is not None
    if revision is None or not assessment_of(revision).reasoning:
        return desk.pages.page(request, "no_reasoning.html", study=study)
    return desk.pages.page(request, "leaflet.html", study=study, revision=revision, released=released)


def _released(events: object, number: int) -> str | None:
    """Who released the leaflet of this revision."""
    assert isinstance(events, list | tuple)
    wanted = f"version {number}"
    return next((e.by for e in events if e.what == RELEASED and e.detail == wanted), None)


@router.get("/studies/{study_id}/leaflet/page")
def leaflet_itself(desk: OnDesk, study_id: StudyId) -> Response:
    """The leaflet alone, for the frame and for printing."""
    from marrowscope.web.leaflet_view import leaflet_html

    with desk.database.begin() as db:
        revision = records.get_revision(db, study_id, None)
        intake = records.latest_intake(db, study_id)
        released_by = _released(records.events(db, study_id), revision.number)
    text = leaflet_html(assessment_of(revision), intake.intake if intake else {}, released_by)
    return HTMLResponse(text, headers={"content-security-policy": REPORT_CSP})


@router.post("/studies/{study_id}/leaflet/release")
def release(desk: OnDesk, reader: NamedReader, study_id: StudyId, revision: Annotated[int, Form(ge=1)]) -> Response:
    """Release the leaflet of the newest version in the reader's name."""
    with desk.database.begin() as db:
        if records.get_revision(db, study_id, None).number != revision:
            raise Refused(
                409, "a newer version than the one you read", "the newest version", "read it again", "outdated"
            )
        records.note(db, study_id, reader, RELEASED, f"version {revision}")
    return RedirectResponse(f"/studies/{study_id}/leaflet", 303)
