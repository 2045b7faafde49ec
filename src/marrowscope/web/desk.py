"""What every page works with: database, files, queue; and how a change is handed to a worker and waited for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request

from marrowscope.errors import UsageError
from marrowscope.jobs import Job, JobQueue, JobState, Runner
from marrowscope.jobs.runner import Lane
from marrowscope.web.db import Database
from marrowscope.web.folders import DataFolder
from marrowscope.web.problems import Refused
from marrowscope.web.render import Pages
from marrowscope.web.sessions import Sessions
from marrowscope.web.settings import EDIT_WAIT_SECONDS, WebSettings

KINDS = {
    "assess": "marrowscope.web.work.assess:run",
    "conclude": "marrowscope.web.work.conclude:run",
    "open": "marrowscope.web.work.open_study:run",
    "what_if": "marrowscope.web.work.what_if:run",
    "render": "marrowscope.web.work.render:run",
    "find": "marrowscope.web.work.find:run",
    "send": "marrowscope.web.work.send:run",
    "export": "marrowscope.web.work.export:run",
}
"""Kinds of job and the functions that do them, in child processes."""

HEAVY, QUICK, NETWORK = "heavy", "quick", "network"

LANES = {
    HEAVY: Lane(workers=1, jobs_per_process=1, niceness=10),
    QUICK: Lane(workers=1, jobs_per_process=500),
    NETWORK: Lane(workers=1, jobs_per_process=50),
}
"""A study's assessment yields to readers; edits have a process of their own that stays warm,
and so has what waits for another machine."""

RENDER_SECONDS = 180.0
"""A results folder takes some ten seconds, after the assessment that may be running."""

WAIT_STEP_SECONDS = 0.01


@dataclass(frozen=True)
class Desk:
    """One server's parts."""

    settings: WebSettings
    database: Database
    sessions: Sessions
    folder: DataFolder
    queue: JobQueue
    runner: Runner | None
    pages: Pages

    def enqueue(self, kind: str, payload: Mapping[str, Any], key: str, lane: str, priority: int = 0) -> Job:
        """Queue a job and wake the workers."""
        job = self.queue.enqueue(kind, payload, key, lane, priority)
        if self.runner is not None:
            self.runner.kick()
        return job

    def wait(self, job: Job, seconds: float = EDIT_WAIT_SECONDS) -> Mapping[str, Any]:
        """The result of a job that takes a moment.

        Raises:
            Refused: the job refused (422), or is not done in time (503).
        """
        until = time.monotonic() + seconds
        while not (job := self.queue.get(job.id)).state.ended:
            if time.monotonic() > until:
                raise Refused(503, "this takes longer than usual", "an answer", "look again in a moment", "busy")
            time.sleep(WAIT_STEP_SECONDS)
        if job.state is JobState.DONE:
            return job.result or {}
        problem = dict(job.error or {"code": "cancelled", "found": "it was cancelled"})
        status = 500 if problem["code"] == "worker_died" else 422
        raise Refused(status, problem["found"], problem.get("expected", ""), problem.get("do", ""), problem["code"])

    def change(self, study_id: str, cause: str, by: str, data: Mapping[str, Any], request: str = "") -> int:
        """Make a change and return the number of the revision it led to.

        Args:
            study_id: which study. cause: see :class:`Revision`. by: the reader. data: what to do.
            request: the client's own name for it; sent twice, it is done once.

        Raises:
            Refused: the change cannot be made; nothing was kept.
        """
        key = request or uuid.uuid4().hex
        payload = {"study": study_id, "cause": cause, "by": by, "data": dict(data)}
        job = self.enqueue("conclude", payload, f"{study_id}-{key}", QUICK, priority=5)
        return int(self.wait(job)["revision"])

    def results_folder(self, study_id: str, number: int) -> Path:
        """The whole results folder of a revision, rendered now if it was not yet.

        Raises:
            Refused: it cannot be rendered, or takes too long.
        """
        from marrowscope.results import ASSESSMENT

        path = self.folder.study(study_id).revision(number)
        if not (path / ASSESSMENT).is_file():
            self.wait(self.render(study_id, number), RENDER_SECONDS)
        return path

    def render(self, study_id: str, number: int) -> Job:
        """Queue the rendering of a revision's results folder, before any waiting assessment."""
        payload = {"study": study_id, "revision": number}
        return self.enqueue("render", payload, f"{study_id}-{number}", HEAVY, priority=5)


def make_desk(settings: WebSettings) -> Desk:
    """Open everything; the database is brought to this version first."""
    from marrowscope.exchange.peers import PEERS_VARIABLE
    from marrowscope.web.db.engine import migrate
    from marrowscope.web.work.common import DATA_VARIABLE, DATABASE_VARIABLE

    folder = DataFolder(settings.data)
    folder.make()
    database = Database(settings.database_url)
    migrate(database)
    environment = {DATA_VARIABLE: str(settings.data.resolve()), DATABASE_VARIABLE: settings.database_url}
    if settings.peers is not None:
        environment[PEERS_VARIABLE] = str(settings.peers.resolve())
    runner = Runner(folder.queue, KINDS, LANES, environment, folder.worker_log) if settings.run_jobs else None
    sessions = Sessions(database, settings)
    return Desk(settings, database, sessions, folder, JobQueue(folder.queue), runner, Pages())


def desk_of(request: Request) -> Desk:
    """The server's desk (a FastAPI dependency)."""
    desk: Desk = request.app.state.desk
    return desk


def reader_of(request: Request) -> str:
    """Who is signed in; may be empty until a name was given (a FastAPI dependency)."""
    return str(request.scope["state"].get("reader", ""))


def named_reader(request: Request) -> str:
    """Who is signed in, for what needs a name (a FastAPI dependency).

    Raises:
        UsageError: the reader gave no name yet.
    """
    reader = reader_of(request)
    if not reader:
        raise UsageError(
            "no reader's name", "your name, which is kept with what you do", "type it at the top of the page"
        )
    return reader
