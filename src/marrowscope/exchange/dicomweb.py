"""DICOMweb client (PS3.18): QIDO-RS, WADO-RS, STOW-RS, by the dicomweb-client library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from pydicom.dataset import Dataset

from marrowscope.errors import ExchangeError, UsageError
from marrowscope.exchange.pacs import MOST_FOUND, FoundStudy, found_study, instance_file
from marrowscope.exchange.peers import WebPeer
from marrowscope.exchange.quiet import quiet

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient

TIMEOUT_SECONDS = 60.0
FIELDS = ("StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances")


class WebArchive:
    """A DICOMweb peer."""

    def __init__(self, peer: WebPeer) -> None:
        self._peer = peer

    def find(self, query: Mapping[str, str]) -> tuple[FoundStudy, ...]:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        with self._calling("find") as client:
            rows = client.search_for_studies(search_filters=dict(query), fields=list(FIELDS), limit=MOST_FOUND)
            return tuple(found_study(Dataset.from_json(row)) for row in rows)

    def get(self, study_uid: str, out: Path) -> int:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        out.mkdir(parents=True, exist_ok=True)
        count = 0
        with self._calling("get") as client, quiet():
            for ds in client.iter_study(study_uid):
                ds.save_as(instance_file(out, ds), enforce_file_format=True)
                count += 1
        return count

    def send(self, objects: Iterable[Dataset]) -> int:
        """See :class:`marrowscope.exchange.pacs.Archive`."""
        batch = list(objects)
        with self._calling("send") as client, quiet():
            answer = client.store_instances(batch)
        failed = answer.get("FailedSOPSequence") or ()
        if len(failed):
            raise ExchangeError(
                f"peer {self._peer.name} refused {len(failed)} of {len(batch)} objects",
                "all stored",
                "look at the peer's log",
            )
        return len(batch)

    @contextmanager
    def _calling(self, what: str) -> Iterator[DICOMwebClient]:
        from dicomweb_client.api import DICOMwebClient
        from dicomweb_client.session_utils import create_session, create_session_from_user_pass

        session = create_session()
        if self._peer.user:
            password = os.environ.get(self._peer.password_env, "")
            if not password:
                raise UsageError(
                    f"no password for peer {self._peer.name}", f"it in {self._peer.password_env or 'password_env'}"
                )
            session = create_session_from_user_pass(self._peer.user, password)
        session.trust_env = False  # a proxy or .netrc of the machine is not a peer the user named
        try:
            yield DICOMwebClient(self._peer.url, session=session)
        except requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else "?"
            raise ExchangeError(f"peer {self._peer.name} answered {code} to {what}", "success") from error
        except requests.RequestException as error:
            raise ExchangeError(
                f"peer {self._peer.name} did not answer", "a running DICOMweb service", "check its address and start it"
            ) from error
        finally:
            session.close()
