"""The ``open`` job: the viewer is opening a study, so its detection is read now and the first edit is quick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.jobs import JobContext, Payload
from marrowscope.web.work.common import objects_of


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Keep the study of ``payload["study"]`` open in this worker."""
    import marrowscope.assessment.conclusions  # noqa: F401 - imported now, not at the first edit

    objects_of(str(payload["study"]))
    return {}
