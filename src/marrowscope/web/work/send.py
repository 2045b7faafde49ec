"""The ``send`` job: a signed version's DICOM objects to a peer of the peers file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.errors import UsageError
from marrowscope.jobs import JobContext, Payload
from marrowscope.web.work.common import data_folder

SENT = ("seg", "sr", "pdf")
"""Kinds that leave: segments, measurements, the signed report."""


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Send ``payload["revision"]`` of ``payload["study"]`` to the peer named ``payload["peer"]``."""
    import pydicom

    from marrowscope.exchange.pacs import archive
    from marrowscope.exchange.peers import read_peers
    from marrowscope.exchange.quiet import quiet

    folder = data_folder().study(str(payload["study"])).revision(int(payload["revision"])) / "dicom"
    files = [folder / f"{kind}.dcm" for kind in SENT if (folder / f"{kind}.dcm").is_file()]
    if not files:
        raise UsageError("nothing to send as DICOM", "a study that came as DICOM", "download the PDF instead")
    peers = read_peers()
    context.progress("sending", 0, len(files))
    with quiet():
        objects = [pydicom.dcmread(file) for file in files]
    count = archive(peers.named(str(payload["peer"])), peers.ae_title).send(objects)
    context.progress("sending", len(files), len(files))
    return {"sent": count}
