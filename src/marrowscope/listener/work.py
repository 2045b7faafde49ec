"""The listener's jobs: assess a received study, then send its drafts back. Each is idempotent by its key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marrowscope.errors import InputError, UsageError
from marrowscope.jobs import JobContext, Payload
from marrowscope.listener.spool import content_of

ASSESS, SEND = "listener_assess", "listener_send"
KINDS = {ASSESS: "marrowscope.listener.work:assess_study", SEND: "marrowscope.listener.work:send_drafts"}
LANE, SEND_LANE = "listener", "listener_send"
"""Sending has a lane of its own: a draft does not wait behind the next assessment."""


def assess_study(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Assess one received study into its results folder; a folder already there is kept.

    More images than when the job was made: nothing is done, the study as it is now has a job of its own.
    """
    from marrowscope.assessing import AssessRequest, assess_to
    from marrowscope.results import ASSESSMENT, INSPECTION

    out = Path(payload["out"])
    if (out / ASSESSMENT).is_file():
        return {"out": out.name}
    if (out / INSPECTION).is_file():
        return {"out": out.name, "refused": "inspection"}
    if superseded(payload):
        return {"out": out.name, "superseded": "more images came"}
    try:
        assess_to(AssessRequest(study=payload["study"], site=payload.get("site", "")), out, context.progress)
    except (InputError, UsageError) as refusal:  # the study's own fault: said, kept, not tried again
        return {"out": out.name, "refused": refusal.code, "reason": refusal.message}
    return {"out": out.name}


def superseded(payload: Payload) -> bool:
    """Whether the study's folder holds other instances now than when the job was made."""
    content = payload.get("content")
    return content is not None and content_of(Path(payload["study"])) != str(content)


def send_drafts(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Send draft SEG and SR to the peer. Their UIDs are hashes of the result, so sending again never doubles."""
    import pydicom

    from marrowscope.exchange.pacs import archive
    from marrowscope.exchange.peers import read_peers
    from marrowscope.exchange.quiet import quiet
    from marrowscope.exporting import DRAFT_KINDS

    folder = Path(payload["out"]) / "dicom"
    files = [folder / f"{kind}.dcm" for kind in DRAFT_KINDS]
    with quiet():
        drafts = [pydicom.dcmread(f) for f in files if f.is_file()]
    if not drafts:
        return {"sent": 0}
    peers = read_peers(Path(payload["peers"]))
    context.progress("sending", 0, len(drafts))
    return {"sent": archive(peers.named(payload["to"]), peers.ae_title).send(drafts)}
