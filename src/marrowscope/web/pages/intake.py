"""The intake form and what follows from it at once: checks, causes, the next question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from marrowscope.web import intake_form, records
from marrowscope.web.pages.common import OnDesk, Reader, StudyId
from marrowscope.web.problems import Refused
from marrowscope.web.reasoning_view import checks, next_questions
from marrowscope.web.views import assessment_of, view_of

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake
    from marrowscope.web.db import IntakeRow, Revision, Study

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
        study=study, facts=_facts(study, intake), choices=intake_form.fact_choices(),
        sections=intake_form.sections(intake), regions=intake_form.regions(intake),
        problem=None, drafted=intake is not None and intake.drafted, **_following(revision),
    )  # fmt: skip


def _facts(study: Study, intake: Intake | None) -> dict[str, str]:
    """The form's facts; before the first answer, site and side are what the images say."""
    facts = intake_form.facts(intake)
    return facts if intake else {**facts, "site": study.site, "side": study.side}


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
    with desk.database.begin() as db:
        before = _intake(records.latest_intake(db, study_id))
    kept = {"uncoded": list(before.uncoded)} if before and before.uncoded else {}  # the form has no field for it
    try:
        desk.change(study_id, "intake", reader, {**intake_form.from_form(form), **kept})
    except Refused as refused:
        if refused.problem["code"] != "intake":
            raise
        problem = refused.problem
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.latest(db, study_id)
    return desk.pages.page(request, "parts/live.html", study=study, problem=problem, **_following(revision))


def _following(revision: Revision | None) -> dict[str, Any]:
    """What follows from the intake as the page shows it."""
    if revision is None:
        return {"r": None, "checks": (), "questions": ()}
    assessment = assessment_of(revision)
    return {"r": view_of(revision), "checks": checks(assessment), "questions": next_questions(assessment)}
