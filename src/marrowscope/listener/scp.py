"""The C-STORE service: takes instances from allowed senders only, and answers after they are safe on disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marrowscope.errors import LimitExceededError
from marrowscope.exchange.quiet import quiet
from marrowscope.listener.spool import Spool

if TYPE_CHECKING:
    from pynetdicom.transport import ThreadedAssociationServer

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""C-STORE status codes (PS3.4 table B.2-1)."""

LARGEST_INSTANCE_BYTES = 2 * 1024**3
"""Above any MR instance, enhanced ones included."""

log = logging.getLogger("marrowscope.listener")


@dataclass(frozen=True)
class Door:
    """Who may send.

    Attributes:
        ae_title: ours. host, port: where we listen. senders: allowed calling AE title to its address
            (``*`` = any address of that title is allowed only on loopback).
    """

    ae_title: str
    host: str
    port: int
    senders: Mapping[str, str]


def start_scp(door: Door, spool: Spool) -> ThreadedAssociationServer:
    """Listen in the background; ``shutdown()`` of the returned server ends it."""
    from pynetdicom import AE, AllStoragePresentationContexts, evt
    from pynetdicom.sop_class import Verification

    ae = AE(ae_title=door.ae_title)
    ae.require_called_aet = True
    ae.maximum_pdu_size = 0
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, _transfer_syntaxes())
    ae.add_supported_context(Verification)
    handlers = [
        (evt.EVT_REQUESTED, lambda event: _admit(event, door)),
        (evt.EVT_C_STORE, lambda event: _store(event, spool)),
    ]
    server: ThreadedAssociationServer = ae.start_server((door.host, door.port), block=False, evt_handlers=handlers)
    return server


def _transfer_syntaxes() -> list[str]:
    from pynetdicom import ALL_TRANSFER_SYNTAXES

    return [str(uid) for uid in ALL_TRANSFER_SYNTAXES]


def _admit(event: Any, door: Door) -> None:
    """Reject an association from anybody not on the list."""
    calling = str(event.assoc.requestor.primitive.calling_ae_title).strip()
    address = str(event.assoc.requestor.address)
    if door.senders.get(calling) not in (address, "*"):
        log.warning("refused an association: sender not on the allow-list")
        event.assoc.acse.send_reject(0x01, 0x01, 0x03)  # rejected-permanent, service-user, calling AE not recognized
        event.assoc.kill()


def _store(event: Any, spool: Spool) -> int:
    """Keep one instance; the answer goes out only after it is on disk."""
    request = event.request
    with quiet():
        data = event.encoded_dataset()
        study_uid = str(event.dataset.get("StudyInstanceUID", ""))
    if not study_uid or len(data) > LARGEST_INSTANCE_BYTES:
        return CANNOT_UNDERSTAND
    try:
        spool.keep(study_uid, str(request.AffectedSOPInstanceUID), data)
    except LimitExceededError:
        log.warning("refused an instance: the spool's quota is used up")
        return OUT_OF_RESOURCES
    return SUCCESS
