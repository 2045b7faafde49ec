"""Edits: a stroke, a click or a verdict becomes the next revision; the answer holds the new numbers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from marrowscope.errors import UsageError
from marrowscope.web import records
from marrowscope.web.desk import Desk
from marrowscope.web.pages.common import NamedReader, OnDesk, StudyId
from marrowscope.web.pages.viewer import reading_state
from marrowscope.web.problems import Refused
from marrowscope.web.uploads import Upload, receive_upload

router = APIRouter()

MAX_RUNS = 200_000
"""Runs of one stroke; a fill of a whole 512x512x60 grid is under 31,000."""

MAX_SEG_BYTES = 512 * 1024**2
"""One corrected SEG; a segment of a 512x512x60 grid is under 2 MB, fractional ones 16."""

Run = tuple[Annotated[int, Field(ge=0, le=2**40)], Annotated[int, Field(ge=1, le=2**40)]]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Label = Annotated[int, Field(ge=0, le=65_535)]
Coordinate = Annotated[int, Field(ge=0, le=100_000)]


class EditRequest(BaseModel):
    """One change on the viewer's grid.

    Attributes:
        request: the client's own name for it; sent twice, it is done once.
        kind: as :class:`marrowscope.lesion.edits.EditKind`, or ``grow``.
        runs: (start, length) over the viewer's grid, x fastest. voxel: the click of ``grow``.
    """

    model_config = ConfigDict(extra="forbid")
    request: Name
    kind: Annotated[str, Field(max_length=20)]
    label: Label = 0
    others: Annotated[list[Label], Field(max_length=100)] = []
    runs: Annotated[list[Run], Field(max_length=MAX_RUNS)] = []
    voxel: tuple[Coordinate, Coordinate, Coordinate] | None = None
    target: Annotated[str, Field(max_length=200)] = ""
    value: Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=40)] | None = None
    reason: Annotated[str, Field(max_length=500)] = ""


class UndoRequest(BaseModel):
    """Take the last standing edit back."""

    model_config = ConfigDict(extra="forbid")
    request: Name


@router.post("/api/studies/{study_id}/edits")
def edit(desk: OnDesk, reader: NamedReader, study_id: StudyId, change: EditRequest) -> JSONResponse:
    """Apply an edit: conclude runs again, and the answer holds lesions, volumes and scores as they now are."""
    data = change.model_dump(exclude={"request"}, exclude_none=True)
    if change.kind == "grow" and change.voxel is None:
        data["kind"] = "grow without a voxel"
    return _changed(desk, study_id, "edit", reader, data, change.request)


@router.post("/api/studies/{study_id}/undo")
def undo(desk: OnDesk, reader: NamedReader, study_id: StudyId, change: UndoRequest) -> JSONResponse:
    """Take the last standing edit back; it stays in the history."""
    return _changed(desk, study_id, "undo", reader, {}, change.request)


@router.post("/studies/{study_id}/corrected", include_in_schema=False)
async def corrected(request: Request, desk: OnDesk, reader: NamedReader, study_id: StudyId) -> Response:
    """Lesions as drawn in another viewer (one DICOM SEG): they become edits, as ``marrowscope edit`` does."""
    upload = await receive_upload(request, desk.folder.incoming, MAX_SEG_BYTES)
    try:
        await run_in_threadpool(_keep_corrected, desk, study_id, reader, upload)
    finally:
        upload.discard()
    return RedirectResponse(f"/studies/{study_id}", 303)


def _keep_corrected(desk: Desk, study_id: str, by: str, upload: Upload) -> None:
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        records.get_revision(db, study_id, None)
        if not study.with_images:
            raise UsageError("a SEG for a case without images", "an assessed study")
    files = [path for path in upload.folder.rglob("*") if path.is_file()]
    if len(files) != 1:
        raise UsageError(f"{len(files)} files", "one DICOM SEG", "choose the one file that holds the lesions")
    folder = desk.folder.study(study_id).corrected
    folder.mkdir(mode=0o700, exist_ok=True)
    name = f"{upload.folder.name}.dcm"
    files[0].rename(folder / name)
    try:
        desk.change(study_id, "drawn", by, {"file": name, "segments": upload.fields.get("segments", "")})
    except Refused:
        (folder / name).unlink(missing_ok=True)
        raise


def _changed(desk: Desk, study_id: str, cause: str, by: str, data: dict[str, object], request: str) -> JSONResponse:
    with desk.database.begin() as db:
        records.get_revision(db, study_id, None)
    number = desk.change(study_id, cause, by, data, request)
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.get_revision(db, study_id, number)
    return JSONResponse(reading_state(study, revision))
