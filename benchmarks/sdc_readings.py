"""Smallest detectable change from examinations that one reader read twice: ``python -m benchmarks sdc_readings DATA``.

DATA holds folders CASE/lesion_R11, R12 (reader 1 twice), R21, R22 (reader 2 twice). With ``--scores`` SPARCC is counted
on every reading too, in marrowscope's own quadrants (finds the bones of each case: about 15 s each).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from marrowscope.commands.si_cases import Case, find_cases, mask

FLOOR_CM3 = 0.02
"""Volumes below this enter the logarithm as this."""

SDC = 1.96 * np.sqrt(2)


def pairs(values: dict[str, float | None]) -> list[tuple[float, float]]:
    """First and second reading of each reader."""
    readers = sorted({name[:2] for name in values})
    both = ((values.get(f"{r}1"), values.get(f"{r}2")) for r in readers)
    return [(a, b) for a, b in both if a is not None and b is not None]


def volumes(case: Case) -> dict[str, float | None]:
    """Lesion volume of every reading in cm3."""
    return {k: float(mask(v).sum()) * v.voxel_volume_mm3 / 1000 for k, v in case.readings.items()}


def scores(case: Case) -> dict[str, float | None]:
    """SPARCC of every reading."""
    from marrowscope.commands.bench_si import fold_for, judge

    return dict(judge(case, fold_for(case)).reader_sparcc)


def within(differences: np.ndarray) -> float:
    """Standard error of measurement from pairs: root of half the mean squared difference."""
    return float(np.sqrt((differences**2).mean() / 2))


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks sdc_readings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--scores", action="store_true")
    given = parser.parse_args(arguments)
    cases = [c for c in find_cases(given.data) if c.readings]
    found = np.array([p for c in cases for p in pairs(volumes(c))])
    logs = np.log(np.maximum(found[:, 1], FLOOR_CM3) / np.maximum(found[:, 0], FLOOR_CM3))
    print(f"volume: {len(found)} pairs, {np.round(found, 2).tolist()} cm3")
    print(f"  SEM of log volume {within(logs):.3f}, SDC factor {np.exp(SDC * within(logs)):.2f}")
    print(f"  SDC {SDC * within(found[:, 1] - found[:, 0]):.2f} cm3")
    if given.scores:
        points = np.array([p for c in cases for p in pairs(scores(c))])
        error = within(points[:, 1] - points[:, 0])
        print(f"SPARCC: {points.tolist()}; SEM {error:.2f}, SDC {SDC * error:.2f} points")
    return 0
