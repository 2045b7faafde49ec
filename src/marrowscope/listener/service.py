"""The listener: a C-STORE service, a watch over the spool, and the job queue that does the work."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marrowscope.jobs import Job, JobQueue, JobState, Runner
from marrowscope.jobs.runner import Lane
from marrowscope.listener.scp import Door, start_scp
from marrowscope.listener.spool import Spool, Waiting
from marrowscope.listener.work import ASSESS, KINDS, LANE, SEND, SEND_LANE

WATCH_SECONDS = 0.5
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60.0, 3600.0
"""A peer that did not answer, or an assessment whose process died, is tried again this long after; then twice as long,
and so on up to the longest: nothing is given up, nothing is tried in a tight loop."""

LEFTOVER_SECONDS = 60.0
"""A half-written results folder of a killed worker is removed at the start when nothing wrote to it for this long."""

LANES = {LANE: Lane(), SEND_LANE: Lane(jobs_per_process=100)}
"""Assessments give their memory back after each study; sends share a process."""

RETENTION_SECONDS = 24 * 3600.0
"""Received images of a finished study are kept this long for late ones to join."""


@dataclass(frozen=True)
class Settings:
    """How the listener works.

    Attributes:
        data: its folder. quiet_seconds: a study is whole this long after its last image.
        quota_bytes: most that may wait in the spool. site: for studies that do not tell theirs, or empty.
        peers: peers file. to: name of the peer that drafts go back to, or empty for none.
    """

    data: Path
    quiet_seconds: float
    quota_bytes: int
    site: str = ""
    peers: str = ""
    to: str = ""


class Listener:
    """Run it with :meth:`serve`; everything it must not lose is on disk."""

    def __init__(self, settings: Settings, door: Door) -> None:
        settings.data.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._door = door
        self._spool = Spool(settings.data, settings.quota_bytes)
        self._queue_path = settings.data / "jobs.sqlite"
        self._since = 0.0
        self._tried: dict[str, tuple[float, float]] = {}
        self._finished: set[str] = set()

    def serve(self, stop: threading.Event, ready: Callable[[int], None] | None = None) -> None:
        """Listen until ``stop`` is set; ``ready`` is told the port."""
        self._since = time.time()
        _sweep(self._settings.data / "results", self._since)
        with Runner(self._queue_path, KINDS, LANES) as runner, JobQueue(self._queue_path) as queue:
            server = start_scp(self._door, self._spool)
            if ready is not None:
                ready(int(server.server_address[1]))
            try:
                while not stop.wait(WATCH_SECONDS):
                    if self.step(queue, time.time()):
                        runner.kick()
            finally:
                server.shutdown()

    def step(self, queue: JobQueue, now: float) -> bool:
        """One look: enqueue whole studies, pass assessed ones on to sending, forget those that are done.

        After a start every study has a quiet time to be completed: its sender may have been cut off by the stop.

        Returns:
            Whether a job was added.
        """
        added = False
        for waiting in self._spool.waiting(self._settings.quiet_seconds, now):
            key = f"{waiting.study}-{waiting.content}"
            if key in self._finished:
                self._forget(waiting, key, now)
            elif now - self._since >= self._settings.quiet_seconds:
                added |= self._onward(queue, waiting, key, now)
        return added

    def _onward(self, queue: JobQueue, waiting: Waiting, key: str, now: float) -> bool:
        """Assess, then send; True when a job was added."""
        out = str(self._settings.data / "results" / key)
        payload = {"study": str(waiting.folder), "out": out, "site": self._settings.site, "content": waiting.content}
        job, added = self._job(queue, ASSESS, payload, key, LANE, now)
        if job.state is not JobState.DONE:
            return added
        if self._settings.to:
            payload = {"out": out, "peers": self._settings.peers, "to": self._settings.to}
            job, added = self._job(queue, SEND, payload, key, SEND_LANE, now)
        if job.state is JobState.DONE:
            self._finished.add(key)
        return added

    def _job(
        self, queue: JobQueue, kind: str, payload: dict[str, str], key: str, lane: str, now: float
    ) -> tuple[Job, bool]:
        """The job of that kind about ``key``, added when it is new and tried again when it failed long enough ago."""
        job = queue.find(kind, key)
        if job is None:
            return queue.enqueue(kind, payload, key=key, lane=lane), True
        tried, pause = self._tried.get(f"{kind} {key}", (0.0, RETRY_SECONDS / 2))
        if job.state is JobState.FAILED and now - tried >= pause:
            self._tried[f"{kind} {key}"] = (now, min(2 * pause, LONGEST_RETRY_SECONDS))
            return queue.retry(job.id), True
        return job, False

    def _forget(self, waiting: Waiting, key: str, now: float) -> None:
        """A study that is done is kept a while: late images must find the others still there."""
        if now - waiting.newest >= RETENTION_SECONDS:
            self._spool.drop(waiting.study)
            self._finished.discard(key)


def _sweep(results: Path, now: float) -> None:
    """Remove what a killed worker left half written: results folders appear whole, by a rename."""
    for left in results.glob(".*") if results.is_dir() else ():
        if now - left.stat().st_mtime >= LEFTOVER_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
