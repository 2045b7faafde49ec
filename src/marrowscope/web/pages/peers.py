"""Getting studies from a PACS and sending signed results: only to peers that the reader names."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from marrowscope.errors import UsageError
from marrowscope.web import records
from marrowscope.web.desk import HEAVY, NETWORK, Desk
from marrowscope.web.pages.common import NamedReader, OnDesk, Reader, StudyId, Text
from marrowscope.web.pages.studies import SIDES, check_place, site_choices
from marrowscope.web.problems import Refused

router = APIRouter(include_in_schema=False)

PEER_SECONDS = 120.0
"""A peer that takes longer is reported as silent."""

ASKED = {"patient": "PatientID", "accession": "AccessionNumber", "day": "StudyDate", "study_uid": "StudyInstanceUID"}
"""Field of the form to the DICOM keyword it is asked by."""


@router.get("/pacs")
def pacs_page(request: Request, desk: OnDesk) -> HTMLResponse:
    """The form to pull a study."""
    return _page(request, desk, dict.fromkeys(("peer", *ASKED), ""), None)


def _page(request: Request, desk: Desk, asked: Mapping[str, str], found: object) -> HTMLResponse:
    return desk.pages.page(
        request, "pacs.html", sites=site_choices(), sides=SIDES, peers=peer_names(desk), asked=asked, found=found
    )


@router.post("/pacs/find")
def find(
    request: Request, desk: OnDesk, peer: Text, patient: Text = "", accession: Text = "", day: Text = "",
    study_uid: Text = "",
) -> HTMLResponse:  # fmt: skip
    """What a named peer holds; by POST, so that a patient's number stays out of addresses and logs."""
    check_peer(desk, peer)
    asked = {"peer": peer, "patient": patient, "accession": accession, "day": day, "study_uid": study_uid}
    query = {keyword: asked[field].strip() for field, keyword in ASKED.items() if asked[field].strip()}
    if not query:
        raise UsageError("nothing to find by", "a patient ID, accession number, date or UID", "fill one of the fields")
    if not all(character.isprintable() and character not in "*?\\" for value in query.values() for character in value):
        raise UsageError("a wildcard or control character", "the number itself", "type it without * and ?")
    query["StudyDate"] = query.get("StudyDate", "").replace("-", "")
    payload = {"peer": peer, "query": {k: v for k, v in query.items() if v}}
    job = desk.enqueue("find", payload, uuid.uuid4().hex, NETWORK)
    return _page(request, desk, asked, desk.wait(job, PEER_SECONDS)["studies"])


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
    job = desk.enqueue("send", payload, f"{study_id}-{revision}-{peer}", NETWORK)
    if job.state.ended:
        job = desk.queue.retry(job.id)
    desk.wait(job, PEER_SECONDS)
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
