"""Seconds and peak resident memory of a command together with all its children."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
"""Time between looks at the process tree; shorter peaks are missed."""

_STAGE = re.compile(r'^\{"stage": "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """One finished command.

    Attributes:
        code: exit status.
        seconds: wall-clock time.
        cpu_seconds: processor time of the command and its children; what a busy machine does not change much.
        peak_mb: largest resident memory of the process and its children together, MiB.
        said: the last lines it wrote.
        peak_mb_by_stage: the same memory by the stage that ``--json-progress`` named last.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str
    peak_mb_by_stage: dict[str, float] = field(default_factory=dict)


def run_measured(arguments: Sequence[str], log: Path) -> Ran:
    """Run ``python -m`` with the given arguments and watch it until it ends."""
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        peaks: dict[str, int] = {}
        ended = 0
        while not ended:
            stage = _stage(log)
            peaks[stage] = max(peaks.get(stage, 0), _resident(child.pid))
            time.sleep(POLL_SECONDS)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    megabytes = {stage: peak / 2**20 for stage, peak in peaks.items()}
    said = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-40:])
    cpu = usage.ru_utime + usage.ru_stime
    return Ran(child.returncode, seconds, cpu, max(megabytes.values()), said, megabytes)


def _stage(log: Path) -> str:
    """The stage that a log of JSON progress lines names last, ``start`` before the first."""
    named = _STAGE.findall(log.read_text(encoding="utf-8", errors="replace"))
    return named[-1] if named else "start"


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
