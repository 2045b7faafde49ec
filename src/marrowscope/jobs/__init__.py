"""One durable queue with child processes: progress, cancel, retry, resume. Serves web, listener and cohort.

    queue = JobQueue(folder / "jobs.sqlite")
    job = queue.enqueue("assess", {"study": "ab12"}, key="ab12", lane="work")   # again: the same job
    with Runner(queue.path, kinds={"assess": "package.module:function"}, lanes={"work": 1}):
        ...

A handler is ``function(payload, context) -> dict | None``; it runs in a child process, tells how far it is with
``context.progress(stage, done, total)`` (which raises ``Cancelled`` when somebody asked for it), and must be
idempotent by its key: write aside, then rename. Whatever is killed, a job ends exactly once.
"""

from __future__ import annotations

from marrowscope.jobs.queue import JobQueue
from marrowscope.jobs.runner import Runner
from marrowscope.jobs.types import Handler, Job, JobContext, JobState, LeaseLostError, Payload

__all__ = ["Handler", "Job", "JobContext", "JobQueue", "JobState", "LeaseLostError", "Payload", "Runner"]
