"""The viewer's page and what it loads: volumes, windows, lesions."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from marrowscope.scoring.grades import highest_grade
from marrowscope.web import records
from marrowscope.web.db import Revision as RevisionRow
from marrowscope.web.db import Study
from marrowscope.web.desk import QUICK
from marrowscope.web.pages.common import OnDesk, StudyId
from marrowscope.web.prior_links import links_to
from marrowscope.web.records import NotFoundError
from marrowscope.web.views import view_of

if TYPE_CHECKING:
    from marrowscope.scoring.types import Score

router = APIRouter()

MANIFEST = "viewer.json"

PRELOADED = ("fluid", "t1")
"""Volumes the browser fetches while it still reads the viewer's program."""


@router.get("/studies/{study_id}/viewer", include_in_schema=False)
def viewer_page(request: Request, desk: OnDesk, study_id: StudyId) -> HTMLResponse:
    """The dark reading page. Its worker opens the study meanwhile, so that the first edit is quick."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.get_revision(db, study_id, None)
    if not (desk.folder.study(study_id).viewer / MANIFEST).is_file():
        raise NotFoundError("a case without images", "a study with images", "open its intake instead")
    job = desk.enqueue("open", {"study": study_id}, f"{study_id}-{desk.settings.token[:8]}", QUICK)
    if job.state.ended:
        desk.queue.retry(job.id)
    volumes = [v["url"] for v in _manifest(desk, study_id)["volumes"] if v["role"] in PRELOADED]
    return desk.pages.page(request, "viewer.html", study=study, revision=revision, volumes=volumes)


@router.get("/api/studies/{study_id}/viewer")
def manifest(desk: OnDesk, study_id: StudyId) -> JSONResponse:
    """Volumes with their windows, the newest revision's lesions and numbers, and the prior's volumes."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        revision = records.get_revision(db, study_id, None)
    data = _manifest(desk, study_id)
    data["prior"] = _prior(desk, study)
    if data["prior"] is not None:
        data["prior"]["links"] = links_to(desk.folder.study(study_id).viewer, str(study.prior_id))
    data["state"] = reading_state(study, revision)
    return JSONResponse(data)


def _manifest(desk: OnDesk, study_id: str) -> dict[str, Any]:
    path = desk.folder.study(study_id).viewer / MANIFEST
    if not path.is_file():
        raise NotFoundError("a case without images", "a study with images", "open its intake instead")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for volume in data["volumes"]:
        volume["url"] = f"/api/studies/{study_id}/volumes/{volume.pop('file')}"
    return data


def _prior(desk: OnDesk, study: Study) -> dict[str, Any] | None:
    if study.prior_id is None:
        return None
    folder = desk.folder.study(study.prior_id)
    if not (folder.viewer / MANIFEST).is_file():
        return None
    with desk.database.begin() as db:
        prior, revision = records.get_study(db, study.prior_id), records.latest(db, study.prior_id)
    state = reading_state(prior, revision) if revision else None
    return {"id": study.prior_id, **_manifest(desk, study.prior_id), "state": state}


def reading_state(study: Study, revision: RevisionRow) -> dict[str, Any]:
    """Lesions, numbers and scores of a revision as the viewer shows them."""
    from marrowscope.web.views import assessment_of

    a = assessment_of(revision)
    view = view_of(revision)
    shown = {lesion.label: lesion for lesion in view.lesions}
    overlay = {entry["label"]: entry for entry in json.loads(revision.overlay)}
    lesions = []
    for lesion in a.lesions:
        text = shown.get(lesion.label)
        lesions.append(
            {
                "label": lesion.label,
                "bone": lesion.bone,
                "place": lesion.place,
                "kind": lesion.kind.value,
                "verdict": lesion.verdict.value,
                "confidence": lesion.confidence,
                "volume": text.volume.value if text and text.volume else "",
                "interval": text.volume.interval if text and text.volume else "",
                "centroid": [-lesion.centroid_lps_mm[0], -lesion.centroid_lps_mm[1], lesion.centroid_lps_mm[2]],
                "runs": overlay.get(lesion.label, {}).get("runs", []),
            }
        )
    return {
        "revision": revision.number,
        "status": revision.status,
        "site": study.site,
        "lesions": lesions,
        "totals": [
            {"code": m.code, "value": f.value, "label": f.label} for m, f in zip(a.totals, view.totals, strict=True)
        ],
        "scores": [sheet(score) for score in a.scores],
        "impression": a.impression,
    }


def sheet(score: Score) -> dict[str, Any]:
    """A score with the highest grade of each cell; None for a volume, which no click sets."""
    data = score.to_dict()
    for cell in data["cells"]:
        highest = highest_grade(score, cell["id"])
        cell["highest"] = int(highest) if math.isfinite(highest) else None
    return data


@router.get("/api/studies/{study_id}/state")
def state(
    desk: OnDesk, study_id: StudyId, revision: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> JSONResponse:
    """Lesions and numbers of a revision (the newest when none is named): the automatic one is number 1."""
    with desk.database.begin() as db:
        study = records.get_study(db, study_id)
        row = records.get_revision(db, study_id, revision)
    return JSONResponse(reading_state(study, row))


@router.get("/api/studies/{study_id}/volumes/{name}")
def volume(
    desk: OnDesk, study_id: StudyId, name: Annotated[str, Path(pattern=r"^[a-z0-9_]{1,40}\.nii$")]
) -> FileResponse:
    """One volume as NIfTI."""
    path = desk.folder.study(study_id).viewer / name
    if not path.is_file():
        raise NotFoundError("no such volume", "a volume of the viewer's manifest")
    return FileResponse(path, media_type="application/octet-stream", headers={"cache-control": "private, max-age=3600"})
