"""The durable queue: every change is one SQLite transaction, every outcome is fenced by its lease."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from marrowscope.errors import UsageError
from marrowscope.jobs.schema import connect
from marrowscope.jobs.types import Job, JobState, LeaseLostError, Payload

LEASE_SECONDS = 15.0
"""A worker silent for this long is taken for dead; it renews its lease three times as often."""

MAX_ATTEMPTS = 2
"""Starts before a job that kills its worker is given up: once may be bad luck, twice is the job."""

DEFAULT_LANE = "work"

WORKER_DIED = {
    "code": "worker_died",
    "found": "the process doing this ended without a result",
    "expected": "a result or an error",
    "do": "retry; if it ends again, look at the worker log for memory or a damaged file",
}


class JobQueue:
    """Jobs in one SQLite file, shared by any number of processes of one machine.

    Args:
        path: the file; made when absent.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = connect(path)

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enqueue(
        self,
        kind: str,
        payload: Payload,
        key: str,
        lane: str = DEFAULT_LANE,
        priority: int = 0,
        max_attempts: int = MAX_ATTEMPTS,
        delay_seconds: float = 0,
    ) -> Job:
        """Add a job, or return the one already there for (kind, key), whatever its state.

        Args:
            kind: which handler does it. payload: its JSON-ready arguments. key: what it is about.
            lane: which workers may take it. priority: higher first, then oldest first.
            max_attempts: starts before it is given up when its worker dies. delay_seconds: not before that.
        """
        now = self._clock()
        row = (uuid.uuid4().hex, kind, key, json.dumps(payload), lane, priority, max_attempts, now, now + delay_seconds)
        with self._write() as db:
            db.execute(
                "INSERT INTO jobs (id, kind, key, payload, lane, priority, state, max_attempts, created, not_before)"
                " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?) ON CONFLICT (kind, key) DO NOTHING",
                row,
            )
        job = self.find(kind, key)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            UsageError: no such job.
        """
        rows = self._read("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if not rows:
            raise UsageError("a job that is not in the queue", "a job id", "look at the list of jobs")
        return _job(rows[0])

    def find(self, kind: str, key: str) -> Job | None:
        """The job about ``key``, if there is one."""
        rows = self._read("SELECT * FROM jobs WHERE kind = ? AND key = ?", (kind, key))
        return _job(rows[0]) if rows else None

    def jobs(self, kinds: Sequence[str] = (), states: Sequence[JobState] = (), limit: int = 1000) -> tuple[Job, ...]:
        """Jobs, newest first; empty filters let all through."""
        where = ["1"]
        values: list[Any] = []
        for column, wanted in (("kind", kinds), ("state", states)):
            if wanted:
                where.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += [str(w) for w in wanted]
        query = f"SELECT * FROM jobs WHERE {' AND '.join(where)} ORDER BY created DESC, id LIMIT ?"  # noqa: S608
        return tuple(_job(row) for row in self._read(query, (*values, limit)))

    def claim(self, lanes: Sequence[str], owner: str, pid: int | None = None) -> Job | None:
        """Take the next job of the lanes, or None. Jobs whose lease ran out are taken up again.

        Args:
            lanes: which lanes the worker serves. owner: the worker's unique token. pid: its process.
        """
        now = self._clock()
        with self._write() as db:
            self._expire(db, now)
            marks = ", ".join("?" * len(lanes))
            row = db.execute(
                f"SELECT id FROM jobs WHERE state = 'queued' AND not_before <= ? AND lane IN ({marks})"  # noqa: S608
                " ORDER BY priority DESC, created, id LIMIT 1",
                (now, *lanes),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, owner = ?, pid = ?, lease_until = ?,"
                " started = ?, stage = '', done = 0, total = 0 WHERE id = ?",
                (owner, pid or os.getpid(), now + LEASE_SECONDS, now, row["id"]),
            )
            return _job(db.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone())

    def heartbeat(self, job_id: str, owner: str) -> bool:
        """Renew the lease; True when somebody asked for the job's end.

        Raises:
            LeaseLostError: the job is no longer this owner's.
        """
        self._own(job_id, owner, "lease_until = ?", (self._clock() + LEASE_SECONDS,))
        return self.get(job_id).cancel_requested

    def progress(self, job_id: str, owner: str, stage: str, done: int, total: int) -> bool:
        """Record how far the job is (and renew the lease); True when somebody asked for its end.

        Raises:
            LeaseLostError: the job is no longer this owner's.
        """
        until = self._clock() + LEASE_SECONDS
        self._own(job_id, owner, "stage = ?, done = ?, total = ?, lease_until = ?", (stage, done, total, until))
        return self.get(job_id).cancel_requested

    def finish(self, job_id: str, owner: str, result: Mapping[str, Any] | None = None) -> None:
        """The job is done.

        Raises:
            LeaseLostError: the job is no longer this owner's; nothing is recorded.
        """
        text = None if result is None else json.dumps(result)
        self._end(job_id, owner, JobState.DONE, "result = ?, error = NULL", (text,))

    def fail(self, job_id: str, owner: str, error: Mapping[str, str]) -> None:
        """The job cannot be done; ``error`` is the one JSON error shape.

        Raises:
            LeaseLostError: the job is no longer this owner's; nothing is recorded.
        """
        self._end(job_id, owner, JobState.FAILED, "error = ?", (json.dumps(error),))

    def cancelled(self, job_id: str, owner: str) -> None:
        """The job stopped because somebody asked for it.

        Raises:
            LeaseLostError: the job is no longer this owner's; nothing is recorded.
        """
        self._end(job_id, owner, JobState.CANCELLED, "error = NULL", ())

    def give_back(self, job_id: str, owner: str) -> None:
        """The worker is shutting down: the job goes back to the queue, this start does not count.

        Raises:
            LeaseLostError: the job is no longer this owner's.
        """
        change = "state = 'queued', attempts = attempts - 1, owner = NULL, pid = NULL, lease_until = NULL"
        self._own(job_id, owner, change, ())

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end: a queued one ends now, a running one at its next safe point.

        Raises:
            UsageError: no such job.
        """
        now = self._clock()
        with self._write() as db:
            db.execute("UPDATE jobs SET cancel_at = ? WHERE id = ? AND state = 'running'", (now, job_id))
            db.execute(
                "UPDATE jobs SET state = 'cancelled', cancel_at = ?, finished = ? WHERE id = ? AND state = 'queued'",
                (now, now, job_id),
            )
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again; any other is left as it is.

        Raises:
            UsageError: no such job.
        """
        with self._write() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', attempts = 0, cancel_at = NULL, error = NULL, finished = NULL,"
                " started = NULL, stage = '', done = 0, total = 0 WHERE id = ? AND state IN ('failed', 'cancelled')",
                (job_id,),
            )
        return self.get(job_id)

    def recover(self, pid: int) -> None:
        """A worker process is known to be gone: its jobs are queued again, or given up, at once."""
        with self._write() as db:
            db.execute("UPDATE jobs SET lease_until = 0 WHERE state = 'running' AND pid = ?", (pid,))
            self._expire(db, self._clock())

    def overdue_cancels(self, grace_seconds: float) -> tuple[int, ...]:
        """Process ids of running jobs whose end was asked for longer ago than that."""
        limit = self._clock() - grace_seconds
        rows = self._read("SELECT pid FROM jobs WHERE state = 'running' AND cancel_at <= ?", (limit,))
        return tuple(int(row["pid"]) for row in rows)

    def running_pids(self) -> tuple[int, ...]:
        """Process ids that hold running jobs."""
        rows = self._read("SELECT DISTINCT pid FROM jobs WHERE state = 'running'", ())
        return tuple(int(row["pid"]) for row in rows)

    @staticmethod
    def _expire(db: sqlite3.Connection, now: float) -> None:
        gone = "state = 'running' AND lease_until < ?"
        freed = "owner = NULL, pid = NULL, lease_until = NULL"
        db.execute(
            f"UPDATE jobs SET state = 'cancelled', finished = ?, {freed} WHERE {gone} AND cancel_at IS NOT NULL",  # noqa: S608
            (now, now),
        )
        db.execute(
            f"UPDATE jobs SET state = 'failed', finished = ?, error = ?, {freed}"  # noqa: S608
            f" WHERE {gone} AND attempts >= max_attempts",
            (now, json.dumps(WORKER_DIED), now),
        )
        db.execute(f"UPDATE jobs SET state = 'queued', {freed} WHERE {gone}", (now,))  # noqa: S608

    def _end(self, job_id: str, owner: str, state: JobState, change: str, values: tuple[Any, ...]) -> None:
        freed = "owner = NULL, pid = NULL, lease_until = NULL"
        self._own(job_id, owner, f"{change}, {freed}, state = ?, finished = ?", (*values, state.value, self._clock()))

    def _own(self, job_id: str, owner: str, change: str, values: tuple[Any, ...]) -> None:
        with self._write() as db:
            query = f"UPDATE jobs SET {change} WHERE id = ? AND owner = ? AND state = 'running'"  # noqa: S608
            if db.execute(query, (*values, job_id, owner)).rowcount != 1:
                raise LeaseLostError("a job that another worker holds or that has ended", "a job this worker claimed")

    def _read(self, query: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        key=row["key"],
        payload=json.loads(row["payload"]),
        lane=row["lane"],
        state=JobState(row["state"]),
        attempts=row["attempts"],
        stage=row["stage"],
        done=row["done"],
        total=row["total"],
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        cancel_requested=row["cancel_at"] is not None,
        result=json.loads(row["result"]) if row["result"] else None,
        error=json.loads(row["error"]) if row["error"] else None,
    )
