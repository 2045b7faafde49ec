"""A worker process: claims jobs of its lanes one after another and runs their handlers.

    python -m marrowscope.jobs.worker QUEUE --lane work --kind assess=package.module:function [--jobs N]

Its standard input is its lifeline: a newline wakes it, the end of the stream (the parent died or closed it) ends it.
An unexpected exception ends the process; the queue then counts the attempt. Tracebacks carry no values.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from marrowscope.errors import MarrowscopeError
from marrowscope.jobs.queue import LEASE_SECONDS, JobQueue
from marrowscope.jobs.types import Handler, Job, JobContext, LeaseLostError
from marrowscope.progress import Cancelled

POLL_SECONDS = 1.0
"""A job enqueued by another process is seen within this; the runner's own jobs wake the worker at once."""

PROGRESS_SECONDS = 0.2
"""Progress is written at most this often: each write is a synchronous commit."""

EXIT_LEASE_LOST = 75

log = logging.getLogger("marrowscope.jobs")


class _Lifeline:
    """Standard input as wake-up and as watch on the parent; also renews the lease of the job at hand."""

    def __init__(self, queue: JobQueue, owner: str) -> None:
        self.wake = threading.Event()
        self.job: Job | None = None
        self.turn = threading.Lock()
        """Held while a job is claimed, and for good by whoever ends the process: no job is lost between the two."""
        self._queue = queue
        self._owner = owner
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _listen(self) -> None:
        while os.read(0, 1024):
            self.wake.set()
        self.give_back()  # the parent is gone: not the job's fault, so this start does not count
        os._exit(0)

    def give_back(self) -> None:
        """Put the job at hand back into the queue, uncounted; no further one is claimed."""
        self.turn.acquire()  # never released: the process ends
        job = self.job
        if job is None:
            return
        try:
            self._queue.give_back(job.id, self._owner)
        except LeaseLostError:
            return

    def _beat(self) -> None:
        while True:
            time.sleep(LEASE_SECONDS / 3)
            job = self.job
            if job is None:
                continue
            try:
                self._queue.heartbeat(job.id, self._owner)
            except LeaseLostError:
                if self.job is job:
                    os._exit(EXIT_LEASE_LOST)


class _Teller:
    """The Progress handed to handlers: writes at most every PROGRESS_SECONDS, raises Cancelled when asked."""

    def __init__(self, queue: JobQueue, job: Job, owner: str) -> None:
        self._queue, self._job, self._owner = queue, job, owner
        self._last = ("", 0.0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage == self._last[0] and done < total and now - self._last[1] < PROGRESS_SECONDS:
            return
        self._last = (stage, now)
        if self._queue.progress(self._job.id, self._owner, stage, done, total):
            raise Cancelled


def run_one(queue: JobQueue, job: Job, owner: str, handlers: Mapping[str, str]) -> None:
    """Run a claimed job to its end and record it.

    Raises:
        LeaseLostError: the job went to another worker meanwhile; nothing was recorded.
    """
    context = JobContext(job, _Teller(queue, job, owner))
    try:
        handler = load_handler(handlers, job.kind)
        result = handler(job.payload, context)
    except Cancelled:
        queue.cancelled(job.id, owner)
    except LeaseLostError:
        raise
    except MarrowscopeError as error:
        queue.fail(job.id, owner, error.to_dict())
    else:
        queue.finish(job.id, owner, result)


def load_handler(handlers: Mapping[str, str], kind: str) -> Handler:
    """The function of a kind; only kinds named on the command line can be run.

    Raises:
        MarrowscopeError: this worker has no handler of that kind.
    """
    if kind not in handlers:
        raise MarrowscopeError(
            f"a job of kind {kind!r}", f"one of {sorted(handlers)}", "start the program that knows it"
        )
    module, attribute = handlers[kind].split(":")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def serve(queue: JobQueue, lanes: Sequence[str], handlers: Mapping[str, str], jobs: int | None) -> None:
    """Claim and run until ``jobs`` were run (None = for ever) or the parent goes away."""
    owner = secrets.token_hex(8)
    lifeline = _Lifeline(queue, owner)
    _give_back_on_term(lifeline)
    ran = 0
    while jobs is None or ran < jobs:
        lifeline.wake.clear()
        with lifeline.turn:
            job = lifeline.job = queue.claim(lanes, owner)
        if job is None:
            lifeline.wake.wait(POLL_SECONDS)
            continue
        run_one(queue, job, owner, handlers)
        lifeline.job = None
        ran += 1


def _give_back_on_term(lifeline: _Lifeline) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        # A thread of its own: the interrupted main thread may hold the queue's lock just now.
        helper = threading.Thread(target=lifeline.give_back, daemon=True)
        helper.start()
        helper.join(1.0)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _quiet_hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Where it broke, without the message: it may hold what a file said about a patient."""
    frames = [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in traceback.extract_tb(trace)]
    log.critical("%s at %s", kind.__name__, " < ".join(reversed(frames)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the worker process."""
    parser = argparse.ArgumentParser(prog="marrowscope.jobs.worker")
    parser.add_argument("queue", type=Path)
    parser.add_argument("--lane", action="append", required=True)
    parser.add_argument("--kind", action="append", required=True, help="name=module:function")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--nice", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.nice and hasattr(os, "nice"):
        os.nice(chosen.nice)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.excepthook = _quiet_hook
    handlers = dict(pair.split("=", 1) for pair in chosen.kind)
    serve(JobQueue(chosen.queue), chosen.lane, handlers, chosen.jobs)


if __name__ == "__main__":
    main()
