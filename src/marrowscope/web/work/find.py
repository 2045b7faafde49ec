"""The ``find`` job: which studies of a patient, an accession number or a day a peer holds; no names come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from marrowscope.jobs import JobContext, Payload


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Ask the peer named ``payload["peer"]`` for ``payload["query"]`` (DICOM keywords), newest study first."""
    from marrowscope.exchange.pacs import archive
    from marrowscope.exchange.peers import read_peers

    peers = read_peers()
    found = archive(peers.named(str(payload["peer"])), peers.ae_title).find(dict(payload["query"]))
    return {"studies": [asdict(study) for study in sorted(found, key=lambda s: s.date, reverse=True)]}
