"""The queue as a specification: idempotent, ordered, fenced, nothing lost and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from marrowscope.errors import UsageError
from marrowscope.jobs import JobQueue, JobState, LeaseLostError
from marrowscope.jobs.queue import LEASE_SECONDS, MAX_ATTEMPTS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[JobQueue]:
    with JobQueue(tmp_path / "jobs.sqlite", clock) as made:
        yield made


def test_enqueue_is_idempotent_by_kind_and_key(queue: JobQueue) -> None:
    first = queue.enqueue("assess", {"n": 1}, "a")
    assert queue.enqueue("assess", {"n": 2}, "a") == first
    assert queue.enqueue("render", {"n": 1}, "a").id != first.id
    assert len(queue.jobs()) == 2
    assert len(queue.jobs(kinds=["assess"], states=[JobState.QUEUED])) == 1


def test_priority_then_age_decides_and_lanes_are_kept_apart(queue: JobQueue, clock: Clock) -> None:
    for key, priority, lane in (("old", 0, "work"), ("new", 0, "work"), ("urgent", 5, "work"), ("other", 9, "quick")):
        queue.enqueue("k", {}, key, lane=lane, priority=priority)
        clock.now += 1
    claimed = []
    while (job := queue.claim(["work"], "w")) is not None:
        claimed.append(job.key)
    assert claimed == ["urgent", "old", "new"]


def test_a_delayed_job_waits(queue: JobQueue, clock: Clock) -> None:
    queue.enqueue("k", {}, "later", delay_seconds=10)
    assert queue.claim(["work"], "w") is None
    clock.now += 11
    assert queue.claim(["work"], "w") is not None


def test_a_lost_lease_records_nothing_and_the_job_runs_again(queue: JobQueue, clock: Clock) -> None:
    job = queue.enqueue("k", {}, "a")
    assert queue.claim(["work"], "first") is not None
    clock.now += LEASE_SECONDS + 1
    again = queue.claim(["work"], "second")
    assert again is not None and (again.id, again.attempts) == (job.id, 2)
    for outcome in (
        lambda: queue.finish(job.id, "first", {"by": "first"}),
        lambda: queue.fail(job.id, "first", {}),
        lambda: queue.progress(job.id, "first", "s", 1, 2),
        lambda: queue.heartbeat(job.id, "first"),
    ):
        with pytest.raises(LeaseLostError):
            outcome()
    queue.finish(job.id, "second", {"by": "second"})
    assert queue.get(job.id).result == {"by": "second"}
    with pytest.raises(LeaseLostError):
        queue.finish(job.id, "second", {"by": "twice"})


def test_heartbeats_and_progress_keep_the_lease(queue: JobQueue, clock: Clock) -> None:
    job = queue.enqueue("k", {}, "a")
    queue.claim(["work"], "w")
    for step in range(5):
        clock.now += LEASE_SECONDS * 0.9
        queue.progress(job.id, "w", "stage", step, 5) if step % 2 else queue.heartbeat(job.id, "w")
        assert queue.claim(["work"], "thief") is None
    assert queue.get(job.id).fraction == pytest.approx(3 / 5)


def test_a_job_that_keeps_killing_its_worker_is_given_up_with_a_reason(queue: JobQueue, clock: Clock) -> None:
    job = queue.enqueue("k", {}, "a")
    for _ in range(MAX_ATTEMPTS):
        assert queue.claim(["work"], "w") is not None
        clock.now += LEASE_SECONDS + 1
    assert queue.claim(["work"], "w") is None
    ended = queue.get(job.id)
    assert ended.state is JobState.FAILED and ended.error is not None and ended.error["code"] == "worker_died"
    assert queue.retry(job.id).state is JobState.QUEUED


def test_cancel_ends_a_queued_job_now_and_asks_a_running_one(queue: JobQueue, clock: Clock) -> None:
    waiting, running = queue.enqueue("k", {}, "b", priority=-1), queue.enqueue("k", {}, "a")
    queue.claim(["work"], "w")
    assert queue.cancel(waiting.id).state is JobState.CANCELLED
    asked = queue.cancel(running.id)
    assert asked.state is JobState.RUNNING and asked.cancel_requested
    assert queue.progress(running.id, "w", "s", 0, 1) is True
    clock.now += 60
    assert queue.overdue_cancels(5) == (queue.running_pids()[0],)
    assert queue.claim(["work"], "w2") is None, "a cancelled job whose worker died is not run again"
    assert queue.get(running.id).state is JobState.CANCELLED
    assert queue.retry(running.id).cancel_requested is False


def test_giving_back_does_not_count_as_an_attempt(queue: JobQueue) -> None:
    job = queue.enqueue("k", {}, "a")
    queue.claim(["work"], "w")
    queue.give_back(job.id, "w")
    assert (queue.get(job.id).state, queue.get(job.id).attempts) == (JobState.QUEUED, 0)


def test_unknown_jobs_and_foreign_files_are_refused(tmp_path: Path, queue: JobQueue) -> None:
    for call in (queue.get, queue.cancel, queue.retry):
        with pytest.raises(UsageError, match="not in the queue"):
            call("nope")
    import sqlite3

    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UsageError, match="version 99"):
        JobQueue(other)


class AnyOrder(RuleBasedStateMachine):
    """Whatever workers, crashes and cancels do: a job is held by one owner at most and ends at most once."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = JobQueue(Path(":memory:"), self.clock)
        self.held: dict[str, tuple[str, float]] = {}
        self.ends: dict[str, int] = {}
        self.owners = 0

    def teardown(self) -> None:
        self.queue.close()

    @rule(key=st.sampled_from("abc"))
    def add(self, key: str) -> None:
        self.queue.enqueue("k", {}, key)

    @rule()
    def claim(self) -> None:
        self.owners += 1
        owner = f"w{self.owners}"
        job = self.queue.claim(["work"], owner)
        if job is not None:
            held = self.held.get(job.id)
            assert held is None or held[1] < self.clock.now, "two owners at once"
            self.held[job.id] = (owner, self.clock.now + LEASE_SECONDS)

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS + 1]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(key=st.sampled_from("abc"), how=st.sampled_from(["finish", "fail", "cancelled", "give_back"]))
    def end(self, key: str, how: str) -> None:
        job = self.queue.find("k", key)
        if job is None or job.id not in self.held:
            return
        owner, _ = self.held.pop(job.id)
        act = {
            "finish": lambda: self.queue.finish(job.id, owner),
            "fail": lambda: self.queue.fail(job.id, owner, {"code": "x"}),
            "cancelled": lambda: self.queue.cancelled(job.id, owner),
            "give_back": lambda: self.queue.give_back(job.id, owner),
        }[how]
        if job.state is JobState.RUNNING:
            act()
            if how != "give_back":
                self.ends[job.id] = self.ends.get(job.id, 0) + 1
        else:
            with pytest.raises(LeaseLostError):
                act()

    @rule(key=st.sampled_from("abc"))
    def cancel(self, key: str) -> None:
        job = self.queue.find("k", key)
        if job is not None:
            self.queue.cancel(job.id)

    @invariant()
    def nothing_lost_nothing_twice(self) -> None:
        assert all(n == 1 for n in self.ends.values())
        assert len({j.key for j in self.queue.jobs()}) == len(self.queue.jobs())


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestAnyOrder = AnyOrder.TestCase
