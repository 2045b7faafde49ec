"""Getting studies from a PACS and sending signed results: only to peers that the reader names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from marrowscope.errors import UsageError
from marrowscope.web import records
from marrowscope.web.desk import HEAVY, Desk
from marrowscope.web.pages.common import NamedReader, OnDesk, Reader, StudyId, Text
from marrowscope.web.pages.studies import SIDES, check_place, site_choices
from marrowscope.web.problems import Refused

router = APIRouter(include_in_schema=False)

SEND_SECONDS = 120.0
"""A peer that takes longer is reported as silent."""


@router.get("/pacs")
def pacs_page(request: Request, desk: OnDesk) -> HTMLResponse:
    """The form to pull a study."""
    return desk.pages.page(request, "pacs.html", sites=site_choices(), sides=SIDES, peers=peer_names(desk))


@router.post("/pacs")
def pull(
    desk: OnDesk, reader: Reader, peer: Text, study_uid: Text, label: Text = "", site: Text = "", side: Text = ""
) -> Response:
    """Queue the pull of one study from a named peer; its assessment follows."""
    check_peer(desk, peer)
    check_place(site, side)
    if not study_uid.replace(".", "").isdigit() or len(study_uid) > 64:
        raise UsageError("a Study Instance UID that is none", "digits and dots, at most 64")
    with desk.database.begin() as db:
        study = records.add_study(db, label or "pulled study", reader, with_images=True, site=site, side=side)
    desk.enqueue("assess", {"study": study.id, "peer": peer, "study_uid": study_uid}, study.id, HEAVY)
    return RedirectResponse(f"/studies/{study.id}", 303)


@router.post("/studies/{study_id}/send")
def send(
    desk: OnDesk, reader: NamedReader, study_id: StudyId, peer: Text, revision: Annotated[int, Form(ge=1)]
) -> Response:
    """Send a signed version's DICOM objects to a peer the reader names."""
    check_peer(desk, peer)
    with desk.database.begin() as db:
        row = records.get_revision(db, study_id, revision)
    if row.status != "final":
        raise Refused(409, "a version that is not signed", "a signed version", "sign it first", "not_signed")
    desk.results_folder(study_id, revision)
    payload = {"study": study_id, "revision": revision, "peer": peer}
    job = desk.enqueue("send", payload, f"{study_id}-{revision}-{peer}", HEAVY, priority=3)
    if job.state.ended:
        job = desk.queue.retry(job.id)
    desk.wait(job, SEND_SECONDS)
    with desk.database.begin() as db:
        records.note(db, study_id, reader, "sent", f"version {revision}")
    return RedirectResponse(f"/studies/{study_id}/history", 303)


def peer_names(desk: Desk) -> tuple[str, ...]:
    """Names of the peers file, in its order; none when there is no file.

    Raises:
        UsageError: the file given at the start cannot be used.
    """
    from marrowscope.exchange.peers import read_peers

    return tuple(read_peers(desk.settings.peers).by_name) if desk.settings.peers else ()


def check_peer(desk: Desk, peer: str) -> None:
    """Refuse a peer that is not named in the peers file.

    Raises:
        UsageError: no such peer, or no file.
    """
    if peer not in peer_names(desk):
        known = ", ".join(peer_names(desk)) or "none is named: start with --peers FILE (docs/exchange.md)"
        raise UsageError("a peer that the peers file does not name", known)
