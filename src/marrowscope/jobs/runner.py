"""The runner: keeps worker processes alive, ends the ones that must end, hands jobs of the dead back at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from marrowscope.jobs.queue import JobQueue

WATCH_SECONDS = 0.25
"""How often worker processes are looked at."""

CANCEL_GRACE_SECONDS = 5.0
"""A cancelled job reaches a safe point within this, or its process is killed."""

STOP_GRACE_SECONDS = 5.0
"""A worker told to stop gives its job back within this, or is killed."""


@dataclass(frozen=True)
class Lane:
    """How a lane is served.

    Attributes:
        workers: processes. jobs_per_process: jobs before a fresh process takes over (None = never);
            1 gives memory back after each job. niceness: 0-19, how far it yields to others.
    """

    workers: int = 1
    jobs_per_process: int | None = 1
    niceness: int = 0


@dataclass
class _Slot:
    name: str
    lane: Lane
    process: subprocess.Popen[bytes] | None = field(default=None)


class Runner:
    """Runs the jobs of a queue in child processes until stopped; a context manager.

    Args:
        path: the queue's file.
        kinds: job kind to ``module:function``.
        lanes: lane name to how it is served.
        environment: extra environment of the workers (secrets such as a database URL go here, never in payloads).
        log: file that the workers' standard error is appended to; inherited when None.
    """

    def __init__(
        self,
        path: Path,
        kinds: Mapping[str, str],
        lanes: Mapping[str, Lane],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._queue = JobQueue(path)
        self._kinds = dict(kinds)
        self._environment = {**os.environ, **(environment or {})}
        self._log: IO[bytes] | None = log.open("ab") if log else None
        self._slots = [_Slot(n, lane) for n, lane in lanes.items() for _ in range(lane.workers)]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="marrowscope-jobs", daemon=True)

    def start(self) -> Self:
        """Hand back the jobs of workers that died with an earlier runner, then start the workers."""
        for pid in self._queue.running_pids():
            if not _alive(pid):
                self._queue.recover(pid)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop every worker; unfinished jobs go back to the queue."""
        self._stop.set()
        self._thread.join()
        for slot in self._slots:
            self._end(slot)
        if self._log is not None:
            self._log.close()
        self._queue.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def kick(self) -> None:
        """Wake the workers: a job was enqueued."""
        with self._lock:
            for slot in self._slots:
                process = slot.process
                if process is None or process.stdin is None or process.poll() is not None:
                    continue
                try:
                    process.stdin.write(b"\n")
                    process.stdin.flush()
                except BrokenPipeError:
                    continue  # it ended just now; the watch starts another

    def _watch(self) -> None:
        while True:
            self._end_overdue()
            for slot in self._slots:
                self._keep(slot)
            if self._stop.wait(WATCH_SECONDS):
                return

    def _keep(self, slot: _Slot) -> None:
        with self._lock:
            process = slot.process
            if process is not None and process.poll() is None:
                return
            if process is not None:
                self._queue.recover(process.pid)
                _close(process)
            slot.process = self._spawn(slot)

    def _spawn(self, slot: _Slot) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "marrowscope.jobs.worker", str(self._queue.path), "--lane", slot.name]
        for name, target in self._kinds.items():
            command += ["--kind", f"{name}={target}"]
        if slot.lane.jobs_per_process is not None:
            command += ["--jobs", str(slot.lane.jobs_per_process)]
        if slot.lane.niceness:
            command += ["--nice", str(slot.lane.niceness)]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log, env=self._environment
        )

    def _end_overdue(self) -> None:
        overdue = set(self._queue.overdue_cancels(CANCEL_GRACE_SECONDS))
        for slot in self._slots:
            if slot.process is not None and slot.process.pid in overdue:
                slot.process.kill()

    def _end(self, slot: _Slot) -> None:
        process = slot.process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)
        self._queue.recover(process.pid)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        try:
            process.stdin.close()
        except BrokenPipeError:
            return  # bytes to a process that has ended


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
