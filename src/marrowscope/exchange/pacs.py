"""Find, get and send at a peer: one interface over DICOMweb (QIDO, WADO, STOW) and DIMSE (C-FIND, C-GET, C-STORE)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from marrowscope.exchange.peers import Peer, WebPeer
from marrowscope.exchange.uids import derived_uid

MOST_FOUND = 500
"""Studies listed by one query: a broader one is to be narrowed."""


@dataclass(frozen=True)
class FoundStudy:
    """One study at a peer; no names are kept."""

    study_uid: str
    date: str
    description: str
    modalities: tuple[str, ...]
    instances: int | None


class Archive(Protocol):
    """What every kind of peer can do; each method raises ExchangeError when the peer refuses or does not answer."""

    def find(self, query: Mapping[str, str]) -> tuple[FoundStudy, ...]:
        """Studies that match DICOM keywords (``PatientID``, ``StudyDate``, ``StudyInstanceUID``...)."""
        ...

    def get(self, study_uid: str, out: Path) -> int:
        """Write every instance of a study below ``out``; returns how many."""
        ...

    def send(self, objects: Iterable[Dataset]) -> int:
        """Store objects at the peer; returns how many it took."""
        ...


def archive(peer: Peer, ae_title: str) -> Archive:
    """The client for a peer."""
    if isinstance(peer, WebPeer):
        from marrowscope.exchange.dicomweb import WebArchive

        return WebArchive(peer)
    from marrowscope.exchange.dimse import DimseArchive

    return DimseArchive(peer, ae_title)


def instance_file(out: Path, ds: Dataset) -> Path:
    """Where an instance is kept: names are hashes, since a UID from outside may be a path or hold a name."""
    return out / f"{derived_uid('file', str(ds.SOPInstanceUID)).removeprefix('2.25.')}.dcm"


def found_study(ds: Dataset) -> FoundStudy:
    """One C-FIND or QIDO answer."""
    modalities = ds.get("ModalitiesInStudy") or ()
    several = (modalities,) if isinstance(modalities, str) else tuple(modalities)
    count = ds.get("NumberOfStudyRelatedInstances")
    return FoundStudy(
        study_uid=str(ds.get("StudyInstanceUID", "")),
        date=str(ds.get("StudyDate", "") or ""),
        description=str(ds.get("StudyDescription", "") or ""),
        modalities=tuple(str(m) for m in several),
        instances=int(count) if count not in (None, "") else None,
    )
