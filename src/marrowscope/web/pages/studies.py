"""The list of studies: search, drop a study, begin a case without images."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from marrowscope.errors import UsageError
from marrowscope.sites import load_site, site_names
from marrowscope.web import records
from marrowscope.web.desk import HEAVY, Desk
from marrowscope.web.intake_form import fact_choices
from marrowscope.web.pages.common import OnDesk, Reader, Text
from marrowscope.web.records import StudyQuery
from marrowscope.web.standing import in_step
from marrowscope.web.uploads import BONES, Upload, receive_upload
from marrowscope.web.written_report import drafted_answers

router = APIRouter()

STATES = {
    "waiting": "in work",
    "ready": "ready",
    "asks": "needs an answer",
    "refused": "refused",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""State of a study to its words."""

SIDES = ("", "left", "right", "both")

MAX_REPORT = 50_000
"""Characters of a pasted report; the longest real ones have some ten thousand; the reader takes no more."""


def site_choices() -> list[tuple[str, str]]:
    """(name, label) of the sites that can be imaged."""
    return [(name, load_site(name).label) for name in site_names()]


@router.get("/", include_in_schema=False)
def home(request: Request, desk: OnDesk) -> HTMLResponse:
    """The list with the drop zone."""
    rows = _rows(desk, StudyQuery())
    return desk.pages.page(
        request, "studies.html",
        rows=rows, sites=site_choices(), places=fact_choices()["site"], states=STATES, searched=False,
    )  # fmt: skip


@router.post("/studies/search", include_in_schema=False)
def search(
    request: Request, desk: OnDesk, words: Text = "", site: Text = "", state: Text = "", since: Text = ""
) -> HTMLResponse:
    """The narrowed list; by POST, so that what was searched for stays out of addresses and logs."""
    rows = _rows(desk, StudyQuery(words, site, state, since))
    return desk.pages.page(request, "parts/study_rows.html", rows=rows, states=STATES, searched=True)


def _rows(desk: Desk, query: StudyQuery) -> list[dict[str, object]]:
    with desk.database.begin() as db:
        studies = records.find_studies(db, query)
        return [{"study": in_step(desk, s), "revision": records.latest(db, s.id)} for s in studies]


@router.post("/api/studies", status_code=201)
async def add_study(request: Request, desk: OnDesk, reader: Reader) -> JSONResponse:
    """Drop a folder, a zip or image files (multipart): the study is kept and its assessment queued."""
    upload = await receive_upload(request, desk.folder.incoming)
    try:
        study_id = _keep(desk, upload, reader)
    finally:
        upload.discard()
    return JSONResponse({"id": study_id, "url": f"/studies/{study_id}"}, 201)


def _keep(desk: Desk, upload: Upload, reader: str) -> str:
    site, side = upload.fields.get("site", ""), upload.fields.get("side", "")
    check_place(site, side)
    study_id = records.new_id()
    folder = desk.folder.study(study_id)
    folder.root.mkdir(parents=True, mode=0o700)
    upload.folder.rename(folder.upload)
    if (folder.upload / BONES).is_dir():
        (folder.upload / BONES).rename(folder.root / BONES)
    label = upload.fields.get("label", "") or f"study {study_id[:6]}"
    with desk.database.begin() as db:
        records.add_study(db, label, reader, with_images=True, site=site, side=side, study_id=study_id)
    queue_assessment(desk, study_id)
    return study_id


def check_place(site: str, side: str) -> None:
    """Refuse a site that cannot be imaged, or a side that is none.

    Raises:
        UsageError: either.
    """
    if site and site not in site_names():
        raise UsageError("a site that cannot be imaged", f"one of {', '.join(site_names())}")
    if side not in SIDES:
        raise UsageError("a side that is none", "left, right, both or empty")


def queue_assessment(desk: Desk, study_id: str) -> None:
    """Queue the assessment of a study; one that failed or was cancelled is queued again."""
    job = desk.enqueue("assess", {"study": study_id}, study_id, HEAVY)
    desk.queue.retry(job.id)
    if desk.runner is not None:
        desk.runner.kick()


@router.post("/cases", include_in_schema=False)
def new_case(
    desk: OnDesk,
    reader: Reader,
    label: Annotated[str, Form(max_length=400)] = "",
    report: Annotated[str, Form(max_length=MAX_REPORT)] = "",
    site: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Begin a case without images: "I only have a report". A pasted report becomes the first answers, to be checked."""
    answers = drafted_answers(report, site) if report.strip() else {}
    with desk.database.begin() as db:
        study = records.add_study(db, label or "case without images", reader, with_images=False)
    if answers:
        desk.change(study.id, "intake", reader, answers)
    return RedirectResponse(f"/studies/{study.id}/intake", 303)
