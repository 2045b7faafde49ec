"""The cohort table with thumbnails and a quality verdict by key."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from marrowscope.web import records
from marrowscope.web.cohort_view import as_csv, folder_of, rows, thumbnail_file
from marrowscope.web.db import VerdictRow
from marrowscope.web.pages.common import OnDesk, Reader
from marrowscope.web.pages.report import REPORT_CSP
from marrowscope.web.pages.studies import queue_assessment
from marrowscope.web.records import NotFoundError

router = APIRouter()

Key = Annotated[str, Path(pattern="^([0-9a-f]{12}|[0-9a-f]{24})$")]


@router.get("/cohort", include_in_schema=False)
def table(request: Request, desk: OnDesk) -> HTMLResponse:
    """All results, sortable; failures at the end, to run again."""
    found = rows(desk)
    names = list(dict.fromkeys(name for row in found for name, _ in row.scores))
    return desk.pages.page(request, "cohort.html", rows=found, names=names)


@router.get("/cohort.csv")
def export(desk: OnDesk) -> Response:
    """The table as CSV."""
    name = {"content-disposition": 'attachment; filename="cohort.csv"'}
    return Response(as_csv(rows(desk)), media_type="text/csv; charset=utf-8", headers=name)


@router.get("/cohort/thumbnails/{key}.png", include_in_schema=False)
def thumbnail(desk: OnDesk, key: Key) -> FileResponse:
    """One result's picture."""
    folder = folder_of(desk, key)
    picture = thumbnail_file(folder) if folder else None
    if picture is None:
        raise NotFoundError("no picture of that result", "a result with pictures")
    return FileResponse(picture, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.get("/cohort/results/{key}", include_in_schema=False)
def result(desk: OnDesk, key: Key) -> FileResponse:
    """The report page of a result folder named at the start."""
    folder = folder_of(desk, key)
    if folder is None or not (folder / "index.html").is_file():
        raise NotFoundError("no report page of that result", "a whole results folder")
    headers = {"content-security-policy": REPORT_CSP}
    return FileResponse(folder / "index.html", media_type="text/html; charset=utf-8", headers=headers)


class VerdictRequest(BaseModel):
    """A quality verdict on one row; empty takes it back."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(pattern="^([0-9a-f]{12}|[0-9a-f]{24})$")]
    verdict: Literal["good", "artefact", "fail", ""]


@router.post("/api/verdicts")
def judge(desk: OnDesk, reader: Reader, wanted: VerdictRequest) -> JSONResponse:
    """Keep a verdict."""
    with desk.database.begin() as db:
        row = db.get(VerdictRow, wanted.key)
        if row is None:
            db.add(VerdictRow(key=wanted.key, verdict=wanted.verdict, at=records.now(), by=reader))
        else:
            row.verdict, row.at, row.by = wanted.verdict, records.now(), reader
    return JSONResponse({"key": wanted.key, "verdict": wanted.verdict})


@router.post("/cohort/again", include_in_schema=False)
def again(desk: OnDesk) -> Response:
    """Queue every failed study again."""
    for row in rows(desk):
        if row.failed and len(row.key) == 12:
            with desk.database.begin() as db:
                study = records.get_study(db, row.key)
                study.state, study.error = "waiting", None
            queue_assessment(desk, row.key)
    return RedirectResponse("/", 303)
