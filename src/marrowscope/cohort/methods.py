"""A methods paragraph ready for a paper: versions, models, what was measured, what was found, what was not."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from marrowscope import __version__
from marrowscope.cohort.fingerprint import models_hash
from marrowscope.cohort.manifest import Row
from marrowscope.cohort.run import Outcome
from marrowscope.cohort.tables import Cells, Done
from marrowscope.followup.deltas import VOLUME
from marrowscope.report.words import word

LIBRARIES = ("numpy", "scipy", "onnxruntime", "SimpleITK")
"""Libraries whose version a figure may depend on."""


@dataclass
class Summary:
    """What was met while the tables were written, study by study.

    Attributes:
        statuses, classes, sites, ways: counters over studies. subjects: who was assessed.
        models: name to hash, as results state them.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    sites: Counter[str] = field(default_factory=Counter)
    ways: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    models: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row, outcome: Outcome, done: Done | None) -> None:
        """Count one study."""
        self.statuses[outcome.status] += 1
        if done is None:
            return
        a = done.results.assessment
        self.subjects.add(row.subject)
        self.sites[a.site] += 1
        self.classes.update(s.sequence_class for s in a.series if s.used_as == "fluid")
        self.ways.add(f"bones by {a.provenance.anatomy}, lesions by {a.provenance.detector}")
        self.models.update(a.provenance.models)


def methods_paragraph(
    summary: Summary, studies: Sequence[Cells], changes: Sequence[Cells], agreement: Mapping[str, float]
) -> str:
    """Plain text; every figure is this cohort's own."""
    parts = (_software(summary), _studies(summary), _method(summary), _volumes(studies), _change(changes))
    end = "Software output was not reviewed by a clinician unless stated otherwise."
    return " ".join([*filter(None, (*parts, _agreement(agreement))), end]) + "\n"


def _software(summary: Summary) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    models = "; ".join(f"{name} {value[:12]}" for name, value in sorted(summary.models.items()))
    used = f"models {models}; " if models else ""
    return (
        f"Edema-like marrow signal was found and measured with marrowscope {__version__} ({used}all model files "
        f"SHA-256 {models_hash()[:16]}; Python {platform.python_version()}, {libraries}; CPU)."
    )


def _studies(summary: Summary) -> str:
    total, done = sum(summary.statuses.values()), sum(summary.sites.values())
    sites = ", ".join(f"{n} {site.replace('_', ' ')}" for site, n in sorted(summary.sites.items())) or "none"
    counts = summary.statuses
    return (
        f"Of {total} examinations, {done} (of {len(summary.subjects)} subjects) were assessed ({sites}); with parts "
        f"not assessable: {counts['partly_not_assessable']}, refused: {counts['refused']}, "
        f"failed: {counts['failed']} (listed in studies.csv)."
    )


def _method(summary: Summary) -> str:
    series = ", ".join(f"{n} {word('sequence_classes', k)}" for k, n in sorted(summary.classes.items())) or "none"
    return (
        f"Lesions were sized on fat-suppressed fluid-sensitive series ({series}); "
        f"{'; '.join(sorted(summary.ways)) or 'none'}. Volumes carry an interval, whose basis the tables name; "
        "scores are estimates, not a reader's."
    )


def _volumes(studies: Sequence[Cells]) -> str:
    by_visit: dict[str, list[float]] = {}
    for s in studies:
        if s.get("edema_volume_cm3") is not None:
            by_visit.setdefault(s["visit"], []).append(float(s["edema_volume_cm3"]))
    if not by_visit:
        return ""
    texts = []
    for visit, values in by_visit.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        texts.append(f"visit {visit}: {middle:.2f} ({low:.2f} to {high:.2f}), n = {len(values)}")
    return f"Edema volume, median (interquartile range) in cm3: {'; '.join(texts)}."


def _change(changes: Sequence[Cells]) -> str:
    volume = [c for c in changes if c["code"] == VOLUME]
    if not volume:
        return ""
    verdicts = ", ".join(f"{n} {v}" for v, n in Counter(c["verdict"] for c in volume).most_common())
    used = sorted({(str(c["site"]), str(c["limit"])) for c in volume if c.get("limit")})
    limits = "; ".join(f"{site.replace('_', ' ')}: {words}" for site, words in used)
    return (
        "Bones of consecutive visits were registered rigidly by their surfaces, and change was compared only between "
        "examinations of the same side, site, sequence class, plane, field strength and coverage. Smallest detectable "
        f"change of volume: {limits or 'not known'}. Of {len(volume)} pairs: {verdicts}."
    )


def _agreement(figures: Mapping[str, Any]) -> str:
    if not figures:
        return ""
    return (
        f"Against the second reader ({figures['n']:.0f} examinations) the bias was {figures['bias']:.2f} cm3, 95 % "
        f"limits of agreement {figures['lower']:.2f} to {figures['upper']:.2f} cm3."
    )
