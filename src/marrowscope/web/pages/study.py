"""One study: overview, true progress, cancel, again, prior, history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from marrowscope.web import reasoning_view, records
from marrowscope.web.pages.common import NamedReader, OnDesk, Revision, StudyId, Text
from marrowscope.web.pages.studies import check_place, queue_assessment, site_choices
from marrowscope.web.pictures import picture_file, pictures_of
from marrowscope.web.records import NotFoundError
from marrowscope.web.standing import assessment_job, in_step
from marrowscope.web.views import assessment_of, view_of

router = APIRouter(include_in_schema=False)


@router.get("/studies/{study_id}")
def overview(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """What was found, or how far the work is."""
    with desk.database.begin() as db:
        study = in_step(desk, records.get_study(db, study_id))
        revision = records.latest(db, study_id)
        others = [s for s in records.find_studies(db, records.StudyQuery()) if s.id != study_id and s.with_images]
    if revision is None:
        job = assessment_job(desk, study_id)
        return desk.pages.page(request, "study_waiting.html", study=study, job=job, sites=site_choices())
    return desk.pages.page(
        request, "study.html",
        study=study, revision=revision, r=view_of(revision), others=others,
        checks=reasoning_view.checks(assessment_of(revision)),
        pictures=pictures_of(desk, study_id, revision.number),
    )  # fmt: skip


@router.get("/studies/{study_id}/versions/{number}/pictures/{name}.png")
def picture(
    desk: OnDesk, study_id: StudyId, number: Revision, name: Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$")]
) -> FileResponse:
    """One picture of a version."""
    path = picture_file(desk, study_id, number, name)
    if path is None:
        raise NotFoundError("no picture of that name", "a picture of the report")
    return FileResponse(path, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.get("/studies/{study_id}/progress")
def progress(request: Request, desk: OnDesk, study_id: StudyId) -> Response:
    """The progress part alone; asks the browser to load the page again once there is a result."""
    with desk.database.begin() as db:
        study = in_step(desk, records.get_study(db, study_id))
        ready = records.latest(db, study_id) is not None
    job = assessment_job(desk, study_id)
    response = desk.pages.page(request, "parts/progress.html", study=study, job=job, sites=site_choices())
    if ready or study.state != "waiting":
        response.headers["hx-refresh"] = "true"
    return response


@router.post("/studies/{study_id}/cancel")
def cancel(desk: OnDesk, study_id: StudyId) -> Response:
    """Stop the assessment."""
    job = assessment_job(desk, study_id)
    if job is not None:
        desk.queue.cancel(job.id)
    return RedirectResponse(f"/studies/{study_id}", 303)


@router.post("/studies/{study_id}/again")
def again(desk: OnDesk, study_id: StudyId, site: Text = "", side: Text = "") -> Response:
    """Assess again: after a refusal (with the site it asked for), a failure or a cancel."""
    check_place(site, side)
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        if records.latest(db, study_id) is None and study.with_images:
            study.state, study.error = "waiting", None
            study.site, study.side = site or study.site, side or study.side
    queue_assessment(desk, study_id)
    return RedirectResponse(f"/studies/{study_id}", 303)


@router.post("/studies/{study_id}/prior")
def set_prior(desk: OnDesk, reader: NamedReader, study_id: StudyId, prior: Text = "") -> Response:
    """Choose the earlier visit to compare with."""
    desk.change(study_id, "prior", reader, {"prior": prior})
    return RedirectResponse(f"/studies/{study_id}", 303)


@router.post("/studies/{study_id}/label")
def rename(desk: OnDesk, study_id: StudyId, label: Text) -> Response:
    """Change the study's label."""
    with desk.database.begin() as db:
        records.get_study(db, study_id).label = records.clean(label) or f"study {study_id[:6]}"
    return RedirectResponse(f"/studies/{study_id}", 303)


@router.get("/studies/{study_id}/history")
def history(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """Every version, edit and event: who, when, what."""
    with desk.database.begin() as db:
        values: Mapping[str, Any] = {
            "study": records.get_study(db, study_id),
            "revisions": records.revisions(db, study_id),
            "edits": records.edits(db, study_id, undone=True),
            "events": records.events(db, study_id),
        }
    return desk.pages.page(request, "history.html", **values)
