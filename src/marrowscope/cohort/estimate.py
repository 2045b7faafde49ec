"""How long a cohort will take and how much memory a worker needs: from its own finished studies, else as measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from marrowscope.cohort.manifest import Row
from marrowscope.cohort.run import ASSESSED, remembered

SECONDS_A_STUDY = 15.0
"""Until a cohort has studies of its own to go by: the product's bound for a 50-slice study (docs/cohort.md)."""

PEAK_MB = 1536.0
"""Likewise: the product's bound for one study."""


@dataclass(frozen=True)
class Estimate:
    """Expected cost.

    Attributes:
        seconds: of one study on one worker. peak_mb: of one worker. studies: how many finished ones it rests on.
    """

    seconds: float
    peak_mb: float
    studies: int

    def minutes(self, studies: int, workers: int) -> float:
        """Wall-clock minutes for a number of studies."""
        return self.seconds * studies / max(1, workers) / 60


def estimate(rows: Sequence[Row], out: Path) -> Estimate:
    """From the rows that this cohort has already finished."""
    known = [d for r in rows if (d := remembered(r, out)) is not None]
    timed = [d for d in known if d["status"] in ASSESSED and d.get("seconds")]
    if not timed:
        return Estimate(SECONDS_A_STUDY, PEAK_MB, 0)
    return Estimate(median(d["seconds"] for d in timed), max(d["peak_mb"] for d in timed), len(timed))


class TimeLeft:
    """Seconds left, from the pace of what was finished in this run."""

    def __init__(self, clock: float, total: int) -> None:
        self._start, self._total = clock, total

    def __call__(self, clock: float, done: int) -> float | None:
        """None until a study has been finished in this run."""
        if done <= 0:
            return None
        return (clock - self._start) / done * (self._total - done)


def spoken(seconds: float) -> str:
    """A duration in words, as coarse as it is known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
