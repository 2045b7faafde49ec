"""The ``send`` job: a signed version's DICOM objects to a peer that the reader named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.errors import ExchangeError
from marrowscope.jobs import JobContext, Payload


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Send ``payload["revision"]`` of ``payload["study"]`` to ``payload["peer"]``."""
    raise ExchangeError(
        "this build cannot send yet", "the exchange room's DICOMweb client", "download the files instead"
    )
