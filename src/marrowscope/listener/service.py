"""The listener: a C-STORE service, a watch over the spool, and the job queue that does the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marrowscope.jobs import JobQueue, JobState, Runner
from marrowscope.jobs.runner import Lane
from marrowscope.listener.scp import Door, start_scp
from marrowscope.listener.spool import Spool, Waiting
from marrowscope.listener.work import ASSESS, KINDS, LANE, SEND

WATCH_SECONDS = 0.5
RETRY_SECONDS = 60.0
"""A peer that did not answer is tried again this long after."""

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
        self._tried: dict[str, float] = {}

    def serve(self, stop: threading.Event, ready: Callable[[int], None] | None = None) -> None:
        """Listen until ``stop`` is set; ``ready`` is told the port."""
        with Runner(self._queue_path, KINDS, {LANE: Lane()}), JobQueue(self._queue_path) as queue:
            server = start_scp(self._door, self._spool)
            if ready is not None:
                ready(int(server.server_address[1]))
            try:
                while not stop.wait(WATCH_SECONDS):
                    self.step(queue, time.time())
            finally:
                server.shutdown()

    def step(self, queue: JobQueue, now: float) -> None:
        """One look: enqueue whole studies, pass assessed ones on to sending, forget those that are done."""
        for waiting in self._spool.waiting(self._settings.quiet_seconds, now):
            key = f"{waiting.study}-{waiting.content}"
            out = self._settings.data / "results" / key
            payload = {"study": str(waiting.folder), "out": str(out), "site": self._settings.site}
            job = queue.enqueue(ASSESS, payload, key=key, lane=LANE)
            if job.state is JobState.DONE:
                self._send(queue, waiting, key, out, now)

    def _send(self, queue: JobQueue, waiting: Waiting, key: str, out: Path, now: float) -> None:
        if not self._settings.to:
            self._forget(waiting, now)
            return
        payload = {"out": str(out), "peers": self._settings.peers, "to": self._settings.to}
        job = queue.enqueue(SEND, payload, key=key, lane=LANE)
        if job.state is JobState.DONE:
            self._forget(waiting, now)
        elif job.state is JobState.FAILED and now - self._tried.get(key, 0.0) >= RETRY_SECONDS:
            self._tried[key] = now
            queue.retry(job.id)

    def _forget(self, waiting: Waiting, now: float) -> None:
        """A study that is done is kept a while: late images must find the others still there."""
        if now - waiting.newest >= RETENTION_SECONDS:
            self._spool.drop(waiting.study)
