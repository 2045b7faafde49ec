"""The intake form and what follows from it at once: checks, causes, the next question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from marrowscope.web import intake_form, records
from marrowscope.web.pages.common import OnDesk, Reader, StudyId
from marrowscope.web.problems import Refused
from marrowscope.web.reasoning_view import next_questions
from marrowscope.web.views import assessment_of, view_of

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake
    from marrowscope.web.db import IntakeRow

router = APIRouter(include_in_schema=False)


@router.get("/studies/{study_id}/intake")
def intake_page(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """The form, filled as last saved, with the live answer beside it."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        intake = _intake(records.latest_intake(db, study_id))
        revision = records.latest(db, study_id)
    return desk.pages.page(
        request, "intake.html",
        study=study, facts=intake_form.facts(intake), choices=intake_form.fact_choices(),
        sections=intake_form.sections(intake), regions=intake_form.regions(intake),
        revision=revision, r=view_of(revision) if revision else None,
        questions=next_questions(assessment_of(revision)) if revision else (), problem=None,
    )  # fmt: skip


def _intake(row: IntakeRow | None) -> Intake | None:
    from marrowscope.reasoning.intake import Intake

    return Intake.from_dict(row.intake) if row else None


@router.post("/studies/{study_id}/intake")
async def save_intake(request: Request, desk: OnDesk, reader: Reader, study_id: StudyId) -> HTMLResponse:
    """Keep the form and show what follows; a mistake is shown beside it and nothing is kept."""
    from starlette.concurrency import run_in_threadpool

    form = await request.form(max_files=0, max_fields=3000)
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_save, request, desk, reader, study_id, given)


def _save(request: Request, desk: OnDesk, reader: str, study_id: str, form: dict[str, str]) -> HTMLResponse:
    problem = None
    try:
        desk.change(study_id, "intake", reader, intake_form.from_form(form))
    except Refused as refused:
        if refused.problem["code"] != "intake":
            raise
        problem = refused.problem
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.latest(db, study_id)
    view = view_of(revision) if revision else None
    questions = next_questions(assessment_of(revision)) if revision else ()
    return desk.pages.page(request, "parts/live.html", study=study, problem=problem, r=view, questions=questions)
