"""DIMSE client (PS3.7): C-FIND, C-GET and C-STORE, by pynetdicom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from marrowscope.errors import ExchangeError
from marrowscope.exchange.pacs import FoundStudy, found_study, instance_file
from marrowscope.exchange.peers import DimsePeer
from marrowscope.exchange.quiet import quiet

if TYPE_CHECKING:
    from pynetdicom.association import Association

TIMEOUT_SECONDS = 60.0
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
KEYS = ("StudyInstanceUID", "StudyDate", "StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances")
MR_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2")
"""Storage classes asked for by C-GET: MR, enhanced MR, CT."""


class DimseArchive:
    """A DIMSE peer."""

    def __init__(self, peer: DimsePeer, ae_title: str) -> None:
        self._peer = peer
        self._ae_title = ae_title

    def find(self, query: Mapping[str, str]) -> tuple[FoundStudy, ...]:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

        identifier = _identifier(query)
        with self._associated([Model]) as association, quiet():
            answers = list(association.send_c_find(identifier, Model))
        self._check(answers[-1][0] if answers else None, "find")
        return tuple(found_study(ds) for status, ds in answers if status and status.Status in PENDING and ds)

    def get(self, study_uid: str, out: Path) -> int:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        from pynetdicom import evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

        out.mkdir(parents=True, exist_ok=True)
        count = 0

        def keep(event: Any) -> int:
            nonlocal count
            ds = event.dataset
            ds.file_meta = event.file_meta
            ds.save_as(instance_file(out, ds), enforce_file_format=True)
            count += 1
            return SUCCESS

        identifier = _identifier({"StudyInstanceUID": study_uid})
        with self._associated([Model], keep=[(evt.EVT_C_STORE, keep)]) as association, quiet():
            statuses = [status for status, _ in association.send_c_get(identifier, Model)]
        self._check(statuses[-1] if statuses else None, "get")
        return count

    def send(self, objects: Iterable[Dataset]) -> int:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        batch = list(objects)
        with self._associated(sorted({str(ds.SOPClassUID) for ds in batch})) as association, quiet():
            for ds in batch:
                self._check(association.send_c_store(ds), "store")
        return len(batch)

    def _check(self, status: Dataset | None, what: str) -> None:
        code = None if status is None else status.get("Status")
        if code != SUCCESS:
            words = "nothing" if code is None else f"status {code:#06x}"
            raise ExchangeError(f"peer {self._peer.name} answered {words} to {what}", "success (0x0000)")

    @contextmanager
    def _associated(self, classes: list[Any], keep: list[Any] | None = None) -> Iterator[Association]:
        from pynetdicom import AE, build_role

        ae = AE(ae_title=self._ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = TIMEOUT_SECONDS
        for uid in classes:
            ae.add_requested_context(uid)
        roles = []
        for uid in MR_CLASSES if keep else ():
            ae.add_requested_context(uid)
            roles.append(build_role(uid, scp_role=True))
        association = ae.associate(
            self._peer.host, self._peer.port, ae_title=self._peer.ae_title, ext_neg=roles, evt_handlers=keep or []
        )
        if not association.is_established:
            raise ExchangeError(
                f"peer {self._peer.name} did not accept an association",
                "a running DICOM node that knows our AE title",
                "check host, port and AE titles",
            )
        try:
            yield association
        finally:
            association.release()


def _identifier(query: Mapping[str, str]) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    for keyword in KEYS:
        setattr(ds, keyword, "")
    for keyword, value in query.items():
        setattr(ds, keyword, value)
    return ds
