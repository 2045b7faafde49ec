"""Where a study stands: its record brought in step with its job."""

from __future__ import annotations

from marrowscope.jobs import Job, JobState
from marrowscope.web.db import Study
from marrowscope.web.desk import Desk


def assessment_job(desk: Desk, study_id: str) -> Job | None:
    """The job that assesses the study, if there ever was one."""
    return desk.queue.find("assess", study_id)


def in_step(desk: Desk, study: Study) -> Study:
    """The study, its state set from a job that ended without telling (cancelled, its process died)."""
    job = assessment_job(desk, study.id) if study.state == "waiting" else None
    if job is not None and job.state in (JobState.CANCELLED, JobState.FAILED):
        study.state = job.state.value
        study.error = dict(job.error) if job.error else None
    return study
