"""A dry run: what would run, what would be refused, how long and how much memory, without assessing anything."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from marrowscope.cohort.manifest import Fate
from marrowscope.errors import MarrowscopeError
from marrowscope.study import read_study
from marrowscope.study.choose import require_fluid

READING_SHARE = 0.08
"""Share of a study's time that reading takes (benchmarks/cohort.md): the dry run times reading and scales it."""

PEAK_GIB = 1.5
"""Peak memory of one study: the product's own bound."""


@dataclass(frozen=True)
class Preview:
    """What a run would come to.

    Attributes:
        fates: each row, with reading problems added. classes: fluid sequence class by row name.
        seconds: expected for all, one worker. gib: expected peak of one worker.
    """

    fates: tuple[Fate, ...]
    classes: dict[str, str]
    seconds: float
    gib: float


def preview(found: tuple[Fate, ...]) -> Preview:
    """Read every study that would run, and say what would become of it."""
    seen, classes, started = [], {}, time.perf_counter()
    for fate in found:
        if not fate.runs:
            seen.append(fate)
            continue
        looked, sequence_class = _look(fate)
        seen.append(looked)
        if sequence_class:
            classes[fate.row.name] = sequence_class
    spent = time.perf_counter() - started
    return Preview(_mixed(tuple(seen), classes), classes, spent / READING_SHARE, PEAK_GIB)


def _look(fate: Fate) -> tuple[Fate, str]:
    try:
        study = read_study(Path(fate.row.study))
        fluid = require_fluid(study)
    except MarrowscopeError as error:
        return Fate(fate.row, False, (*fate.reasons, f"would be refused: {error.found}")), ""
    if not (fate.row.site or study.site.value):
        return Fate(
            fate.row, False, (*fate.reasons, "would be refused: the site cannot be told, give it in a column")
        ), ""
    return fate, fluid.sequence_class.value


def _mixed(found: tuple[Fate, ...], classes: dict[str, str]) -> tuple[Fate, ...]:
    """Subjects whose visits differ in sequence class: they run, their change will not be assessable."""
    by_subject: dict[str, Counter[str]] = {}
    for fate in found:
        if fate.row.name in classes:
            by_subject.setdefault(fate.row.subject, Counter())[classes[fate.row.name]] += 1
    words = "sequence class differs between this subject's visits: change will be not assessable"
    return tuple(
        Fate(f.row, f.runs, (*f.reasons, words)) if f.runs and len(by_subject.get(f.row.subject, ())) > 1 else f
        for f in found
    )
