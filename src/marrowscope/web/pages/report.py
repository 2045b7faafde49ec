"""The report: versions, signing, downloads, the leaflet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from marrowscope.web import records
from marrowscope.web.downloads import DOWNLOADS, build_download, offered
from marrowscope.web.pages.common import NamedReader, OnDesk, Reader, Revision, StudyId
from marrowscope.web.pages.peers import peer_names
from marrowscope.web.pictures import pictures_of
from marrowscope.web.problems import Refused
from marrowscope.web.records import NotFoundError
from marrowscope.web.views import view_of

router = APIRouter()

REPORT_CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""A report page is a file of its own: styles inside, no script at all."""


@router.get("/studies/{study_id}/report", include_in_schema=False)
def report_page(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """The newest version with everything that can be done with it."""
    return _page(request, desk, study_id, None)


@router.get("/studies/{study_id}/report/{number}", include_in_schema=False)
def version_page(request: Request, desk: OnDesk, study_id: StudyId, number: Revision) -> HTMLResponse:
    """Any version; number 1 is the automatic result."""
    return _page(request, desk, study_id, number)


def _page(request: Request, desk: OnDesk, study_id: str, number: int | None) -> HTMLResponse:
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.get_revision(db, study_id, number)
        newest = records.get_revision(db, study_id, None)
        every = records.revisions(db, study_id)
    return desk.pages.page(
        request, "report.html",
        study=study, revision=revision, newest=newest, revisions=every, r=view_of(revision),
        pictures=pictures_of(desk, study_id, revision.number) if study.with_images else {},
        downloads=offered(study.with_images), peers=peer_names(desk),
    )  # fmt: skip


@router.get("/studies/{study_id}/versions/{number}/page", include_in_schema=False)
def rendered(desk: OnDesk, study_id: StudyId, number: Revision) -> Response:
    """The report as its own page, exactly the ``index.html`` of the results folder."""
    with desk.database.begin() as db:
        records.get_revision(db, study_id, number)
    path = desk.results_folder(study_id, number) / "index.html"
    if not path.is_file():
        raise NotFoundError("no report page in this version's folder", "a rendered report")
    return FileResponse(path, media_type="text/html; charset=utf-8", headers={"content-security-policy": REPORT_CSP})


@router.post("/studies/{study_id}/sign", include_in_schema=False)
def sign(desk: OnDesk, reader: NamedReader, study_id: StudyId, revision: Annotated[int, Form(ge=1)]) -> Response:
    """Sign the newest version: from then on it may leave. A later edit makes it amended, to be signed again."""
    number = desk.change(study_id, "signed", reader, {"revision": revision})
    with desk.database.begin() as db:
        records.note(db, study_id, reader, "signed", f"version {number}")
    desk.render(study_id, number)  # what is downloaded or sent next is drawn meanwhile
    return RedirectResponse(f"/studies/{study_id}/report", 303)


@router.get("/studies/{study_id}/versions/{number}/download/{what}")
def download(
    desk: OnDesk,
    reader: Reader,
    study_id: StudyId,
    number: Revision,
    what: Annotated[str, Path(pattern="^[a-z_]{1,20}$")],
) -> FileResponse:
    """PDF, SEG, SR, FHIR, CSV, JSON or the whole folder of one version."""
    if what not in DOWNLOADS:
        raise NotFoundError("no such download", f"one of {', '.join(DOWNLOADS)}")
    with desk.database.begin() as db:
        revision = records.get_revision(db, study_id, number)
        if DOWNLOADS[what].needs_signature and revision.status != "final":
            raise Refused(409, "a version that is not signed", "a signed version", "sign it first", "not_signed")
        records.note(db, study_id, reader, "downloaded", f"{what} of version {number}")
    path = build_download(desk, study_id, number, what)
    return FileResponse(path, filename=f"{study_id}-v{number}-{DOWNLOADS[what].name or path.name}")
