"""Real worker processes: results, refusals, crashes, cancels, kill -9 of everything, restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from marrowscope.jobs import JobQueue, JobState, Runner
from marrowscope.jobs.runner import Lane

HERE = Path(__file__).parent
KINDS = {name: f"jobs_handlers:{name}" for name in ("write", "refuse", "die", "crash", "deaf")}
PATH = {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "src")])}

SERVER = """
import sys, time
from pathlib import Path
from marrowscope.jobs import Runner
from marrowscope.jobs.runner import Lane
with Runner(Path(sys.argv[1]), {"write": "jobs_handlers:write"}, {"work": Lane(2, None)}):
    time.sleep(60)
"""


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_runner_runs_every_kind_of_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marrowscope.jobs.runner.CANCEL_GRACE_SECONDS", 0.3)
    log = tmp_path / "worker.log"
    with (
        JobQueue(tmp_path / "jobs.sqlite") as queue,
        Runner(queue.path, KINDS, {"work": Lane(2)}, PATH, log) as runner,
    ):
        ids = {
            kind: queue.enqueue(kind, {"folder": str(tmp_path)}, kind).id
            for kind in ("write", "refuse", "die", "crash")
        }
        deaf = queue.enqueue("deaf", {}, "deaf", priority=1).id
        unknown = queue.enqueue("unheard", {}, "x").id
        runner.kick()
        until(lambda: queue.get(deaf).state is JobState.RUNNING)
        queue.cancel(deaf)
        until(lambda: all(queue.get(i).state.ended for i in (*ids.values(), deaf, unknown)))
        states = {kind: queue.get(i).state for kind, i in ids.items()}
        errors = {kind: (queue.get(i).error or {}).get("code") for kind, i in (*ids.items(), ("unheard", unknown))}
        assert queue.get(deaf).state is JobState.CANCELLED
    assert states["write"] is JobState.DONE and queue_file(tmp_path, "write")
    assert {states[k] for k in ("refuse", "die", "crash")} == {JobState.FAILED}
    expected = {
        "refuse": "study",
        "die": "worker_died",
        "crash": "worker_died",
        "unheard": "marrowscope",
        "write": None,
    }
    assert errors == expected
    text = log.read_text(encoding="utf-8")
    assert "ValueError" in text and "crash" in text
    assert "secret" not in text, "a message may hold a patient's name"


def queue_file(folder: Path, key: str) -> bool:
    return (folder / f"{key}.txt").read_text(encoding="utf-8") == key


def test_kill_dash_nine_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """The server is killed while jobs run, twice; its workers end with it; a third one finishes everything."""
    path = tmp_path / "jobs.sqlite"
    out = tmp_path / "out"
    out.mkdir()
    with JobQueue(path) as queue:
        ids = [queue.enqueue("write", {"folder": str(out), "steps": 4, "seconds": 0.03}, f"k{n}").id for n in range(24)]
        done_before = 0
        for _ in range(2):
            server = subprocess.Popen([sys.executable, "-c", SERVER, str(path)], env={**os.environ, **PATH})
            until(lambda goal=done_before + 3: count(queue, JobState.DONE) >= goal)
            workers = queue.running_pids()
            server.send_signal(signal.SIGKILL)
            server.wait()
            until(lambda pids=workers: not any(alive(pid) for pid in pids))
            done_before = count(queue, JobState.DONE)
            assert done_before < len(ids), "it was killed in the middle"
        results = {i: queue.get(i).finished for i in ids if queue.get(i).state is JobState.DONE}
        with Runner(path, {"write": KINDS["write"]}, {"work": Lane(2, None)}, PATH):
            until(lambda: count(queue, JobState.DONE) == len(ids))
        assert all(queue.get(i).finished == at for i, at in results.items()), "a finished job was run again"
        assert sorted(p.name for p in out.glob("*.txt")) == sorted(f"k{n}.txt" for n in range(24))
        assert all(queue.get(i).attempts == 1 for i in ids), "a killed server is not the job's fault"


SLOW_TO_HEAR = """
import sys, time
from marrowscope.jobs.queue import JobQueue
from marrowscope.jobs.worker import main
claim = JobQueue.claim
def slow(self, *given):
    job = claim(self, *given)
    time.sleep(0.5)  # claimed, and the worker does not know it yet
    return job
JobQueue.claim = slow
main([sys.argv[1], "--lane", "work", "--kind", "write=jobs_handlers:write"])
"""


def test_a_job_claimed_while_the_parent_dies_is_given_back_uncounted(tmp_path: Path) -> None:
    with JobQueue(tmp_path / "jobs.sqlite") as queue:
        job = queue.enqueue("write", {"folder": str(tmp_path), "steps": 100, "seconds": 0.1}, "one")
        command = [sys.executable, "-c", SLOW_TO_HEAR, str(queue.path)]
        worker = subprocess.Popen(command, env={**os.environ, **PATH}, stdin=subprocess.PIPE)
        until(lambda: queue.get(job.id).state is JobState.RUNNING)
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(20)
        after = queue.get(job.id)
        assert (after.state, after.attempts) == (JobState.QUEUED, 0)


def count(queue: JobQueue, state: JobState) -> int:
    return len(queue.jobs(states=[state]))


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie that nobody reaps does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_stopping_gives_unfinished_jobs_back_uncounted(tmp_path: Path) -> None:
    with JobQueue(tmp_path / "jobs.sqlite") as queue:
        job = queue.enqueue("deaf", {}, "deaf")
        with Runner(queue.path, KINDS, {"work": Lane()}, PATH):
            until(lambda: queue.get(job.id).state is JobState.RUNNING)
        after = queue.get(job.id)
        assert (after.state, after.attempts) == (JobState.QUEUED, 0)
