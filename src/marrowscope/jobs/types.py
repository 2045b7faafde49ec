"""What a job is: plain data, and the shape of the function that does one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from marrowscope.errors import MarrowscopeError
from marrowscope.progress import Progress

Payload = Mapping[str, Any]
"""JSON-ready arguments of a job. Never a patient's name: payloads are kept on disk."""


class JobState(StrEnum):
    """Where a job is in its life. DONE, FAILED and CANCELLED are ends; only ``retry`` leaves them."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class Job:
    """One piece of work as it stands now.

    Attributes:
        id: opaque name. kind: which handler. key: what it is about; (kind, key) is unique.
        payload: the handler's arguments. lane: which workers may take it.
        state, attempts: where it is, and how often it was started.
        stage, done, total: progress; total 0 while nothing was told.
        created, started, finished: seconds since the epoch; None where it has not happened.
        cancel_requested: somebody asked for the end.
        result: what the handler returned. error: the one JSON error shape, when FAILED.
    """

    id: str
    kind: str
    key: str
    payload: Payload
    lane: str
    state: JobState
    attempts: int
    stage: str
    done: int
    total: int
    created: float
    started: float | None
    finished: float | None
    cancel_requested: bool
    result: Mapping[str, Any] | None
    error: Mapping[str, str] | None

    @property
    def fraction(self) -> float | None:
        """Share of the current stage that is finished, None while unknown."""
        return self.done / self.total if self.total else None


@dataclass(frozen=True)
class JobContext:
    """What a handler is given beside its payload.

    Attributes:
        job: the job as claimed.
        progress: tell how far the work is; raises ``Cancelled`` when somebody asked for the end.
    """

    job: Job
    progress: Progress


class Handler(Protocol):
    """Does one kind of job, in a child process. Idempotent by the job's key."""

    def __call__(self, payload: Payload, context: JobContext) -> Mapping[str, Any] | None:
        """The result, JSON-ready, or None."""
        ...


class LeaseLostError(MarrowscopeError):
    """Another worker holds the job by now: this one's outcome is not recorded."""
