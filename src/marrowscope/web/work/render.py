"""The ``render`` job: the whole results folder of a revision (report, figures, tables, masks), once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowscope.jobs import JobContext, Payload
from marrowscope.web import records
from marrowscope.web.work.common import data_folder, database, objects_of


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """Write the results folder of ``payload["study"]`` at ``payload["revision"]``."""
    from marrowscope.assessment import from_json
    from marrowscope.assessment.pipeline import Assessed
    from marrowscope.results import write_results

    study_id, number = str(payload["study"]), int(payload["revision"])
    with database().begin() as db:
        study = records.get_study(db, study_id)
        revision = records.get_revision(db, study_id, number)
        assessment = from_json(revision.assessment)
    context.progress("rendering", 0, 1)
    objects = objects_of(study_id) if study.with_images else None
    write_results(data_folder().study(study_id).revision(number), Assessed(assessment, objects), {}, {})
    context.progress("rendering", 1, 1)
    return {"study": study_id, "revision": number}
