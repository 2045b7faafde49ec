"""Smallest detectable change from examinations that one reader read twice: ``python -m benchmarks sdc_readings DATA``.

DATA holds folders CASE/lesion_R11, R12 (reader 1 twice), R21, R22 (reader 2 twice). With ``--scores`` the sacroiliac
scores and the brightness over reference marrow are taken from every reading too, in marrowscope's own quadrants (finds
the bones of each case by a fold that never saw it: about 15 s each).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.agreement import interval_of
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.types import Objects
from marrowscope.validation.si_cases import Case, find_cases, mask

FLOOR_CM3 = 0.02
"""Volumes below this enter the logarithm as this."""

SDC = 1.96 * np.sqrt(2)

BRIGHTNESS, EXTENT = "edema_brightness", "asas_sij"
"""Measures that are judged by their ratio, and by whether both readings agree."""

Read = dict[str, float | None]
"""A number by reading."""


def pairs(values: Read) -> list[tuple[float, float]]:
    """First and second reading of each reader."""
    readers = sorted({name[:2] for name in values})
    both = ((values.get(f"{r}1"), values.get(f"{r}2")) for r in readers)
    return [(a, b) for a, b in both if a is not None and b is not None]


def volumes(case: Case) -> Read:
    """Lesion volume of every reading in cm3."""
    return {k: float(mask(v).sum()) * v.voxel_volume_mm3 / 1000 for k, v in case.readings.items()}


def scores(case: Case) -> dict[str, Read]:
    """Every sacroiliac score, and the brightness over reference marrow, of every reading."""
    from marrowscope.anatomy.si_joint import segment
    from marrowscope.assessment.pipeline import prepare
    from marrowscope.lesion.si_joint import detect
    from marrowscope.validation.si_joint import fold_for

    fold = fold_for(case)
    exam = prepare(case.study(), "si_joint")
    objects = detect(exam, segment(exam, fold), fold)
    by_reading = {name: _of_reading(objects, mask(read)) for name, read in case.readings.items()}
    measures = sorted({m for found in by_reading.values() for m in found})
    return {m: {name: found.get(m) for name, found in by_reading.items()} for m in measures}


def _of_reading(objects: Objects, edema: BoolArray) -> Read:
    from marrowscope.scoring import asas_sij, berlin_sij, sparcc_sij
    from marrowscope.validation.si_joint import scene_of

    seen = scene_of(objects, edema)
    rules = (sparcc_sij, berlin_sij, asas_sij)
    found: Read = {} if seen is None else {rule.ID: rule.of_scene(seen).total.value for rule in rules}
    reference = objects.reference
    if reference is not None and reference.median > 0 and edema.any():
        found[BRIGHTNESS] = float(np.median(objects.exam.image.array[edema])) / reference.median
    return found


def within(differences: np.ndarray) -> float:
    """Standard error of measurement from pairs: root of half the mean squared difference."""
    return float(np.sqrt((differences**2).mean() / 2))


def described(measure: str, both: np.ndarray) -> str:
    """The smallest detectable change of one measure in words; ``both`` has a row a pair."""
    if measure == EXTENT:
        return f"{measure}: {int((both[:, 0] != both[:, 1]).sum())} of {len(both)} pairs disagree"
    ratio = measure == BRIGHTNESS
    error = within(np.log(both[:, 1] / both[:, 0]) if ratio else both[:, 1] - both[:, 0])
    low, high = interval_of(SDC * error, len(both))
    sizes = [float(np.exp(v) if ratio else v) for v in (SDC * error, low, high)]
    words = "SDC {}{:.2f} (95 % interval {:.2f} to {:.2f})".format("factor " if ratio else "", *sizes)
    return f"{measure}: n {len(both)}, SEM {error:.3f}, {words}; pairs {np.round(both, 2).tolist()}"


def _collected(tables: Iterable[dict[str, Read]]) -> dict[str, np.ndarray]:
    found: dict[str, list[tuple[float, float]]] = {}
    for table in tables:
        for measure, values in table.items():
            found.setdefault(measure, []).extend(pairs(values))
    return {measure: np.array(both) for measure, both in found.items() if both}


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
    low, high = np.exp(interval_of(SDC * within(logs), len(logs)))
    print(f"volume: {len(found)} pairs, {np.round(found, 2).tolist()} cm3")
    print(
        f"  SEM of log volume {within(logs):.3f}, SDC factor {np.exp(SDC * within(logs)):.2f} ({low:.2f} to {high:.2f})"
    )
    print(f"  SDC {SDC * within(found[:, 1] - found[:, 0]):.2f} cm3")
    for measure, both in _collected(scores(c) for c in cases if given.scores).items():
        print(described(measure, both))
    return 0
