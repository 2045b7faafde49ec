"""Seconds and peak resident memory of a command together with all its children."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
"""Time between looks at the process tree; shorter peaks are missed."""


@dataclass(frozen=True)
class Ran:
    """One finished command.

    Attributes:
        code: exit status.
        seconds: wall-clock time.
        cpu_seconds: processor time of the command and its children; what a busy machine does not change much.
        peak_mb: largest resident memory of the process and its children together, MiB.
        said: the last lines it wrote.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str


def run_measured(arguments: Sequence[str], log: Path) -> Ran:
    """Run ``python -m`` with the given arguments and watch it until it ends."""
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        peak, ended = 0, 0
        while not ended:
            peak = max(peak, _resident(child.pid))
            time.sleep(POLL_SECONDS)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-40:])
    return Ran(child.returncode, seconds, usage.ru_utime + usage.ru_stime, peak / 2**20, said)


def _resident(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
