"""The ``what_if`` job: the ranking of the same findings under another setting; nothing is kept with the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marrowscope.findings import Origin
from marrowscope.jobs import JobContext, Payload
from marrowscope.web import records
from marrowscope.web.work.common import database
from marrowscope.web.work.conclude import stored_intake

SHOWN = 8
"""Causes of the answer."""


def run(payload: Payload, context: JobContext) -> Mapping[str, Any]:
    """The leading causes of ``payload["study"]`` seen in ``payload["setting"]``."""
    from marrowscope.assessment import from_json
    from marrowscope.reasoning.answer import reason_findings
    from marrowscope.reasoning.intake import Intake, Setting

    study_id = str(payload["study"])
    with database().begin() as db:
        intake = stored_intake(db, study_id) or Intake()
        assessment = from_json(records.get_revision(db, study_id, None).assessment)
    site = intake.site or assessment.site
    asked = replace(intake, site=site, setting=Setting(payload["setting"]))
    measured = [f for f in assessment.findings if f.origin is Origin.MEASURED]
    rows = reason_findings(asked, measured).differential.rows
    best = sorted(rows, key=lambda row: -row.probability)[:SHOWN]
    return {"rows": [{"label": r.label, "probability": r.probability} for r in best]}
