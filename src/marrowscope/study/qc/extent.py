"""What the stack covers, and whether the patient's bones are an adult's."""

from __future__ import annotations

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.study.types import PatientFacts, Sequence
from marrowscope.volume import Volume

_UNKNOWN_MATURITY = "skeletal maturity unknown: the study gives no age"
_UNKNOWN_CONSEQUENCE = "no adult skeleton is confirmed: look for open growth plates before using adult scores"


def check_coverage(volume: Volume, sequence: Sequence, slices: Slices, first_instance: int | None) -> QcCheck:
    """Extent across slices, gaps between them, empty slices, and slices that seem to be missing at an end."""
    extent = volume.slice_spacing * volume.shape[volume.slice_axis]
    value = Measurement.of("slice_extent", extent, "mm")
    spread = slices.values.reshape(len(slices.values), -1).std(axis=1)
    empty = tuple(int(k) for k in np.flatnonzero(spread <= 1e-3 * max(float(spread.max()), 1e-12)))
    found = []
    if extent < threshold("coverage", "extent_mm"):
        found.append(f"only {extent:.0f} mm covered")
    if empty:
        found.append(f"{len(empty)} empty slice(s)")
    thickness = sequence.slice_thickness_mm
    if thickness and volume.slice_spacing > (1 + threshold("coverage", "gap_share")) * thickness:
        found.append(f"gaps of {volume.slice_spacing - thickness:.1f} mm between slices of {thickness:.1f} mm")
    if first_instance is not None and first_instance > 1:
        found.append(f"numbering starts at {first_instance}: slices may be missing at an end")
    if not found:
        return QcCheck("coverage", Severity.OK, f"{extent:.0f} mm covered", value=value)
    return QcCheck(
        "coverage", Severity.NOTE, "; ".join(found), "marrow outside the stack is not assessed", value, empty
    )


def check_maturity(patient: PatientFacts) -> QcCheck:
    """Skeletal maturity by age; an unknown age is said, not guessed."""
    age = patient.age_years
    if age is None:
        value = Measurement.not_assessable("age", "a", "the study gives no age")
        return QcCheck("maturity", Severity.NOTE, _UNKNOWN_MATURITY, _UNKNOWN_CONSEQUENCE, value)
    value = Measurement.of("age", age, "a")
    if age < threshold("maturity", "adult_years"):
        text, why = f"{age:.0f} years old: growth plates open", "adult models and scores step back"
        return QcCheck("maturity", Severity.WARNING, text, why, value)
    if age < threshold("maturity", "surely_adult_years"):
        text, why = (
            f"{age:.0f} years old: growth plates may be closing",
            "bright lines at growth plates are not lesions",
        )
        return QcCheck("maturity", Severity.NOTE, text, why, value)
    return QcCheck("maturity", Severity.OK, f"{age:.0f} years old: adult skeleton", value=value)


def maybe_growing(patient: PatientFacts) -> bool:
    """Whether the patient's age is unknown or leaves open growth plates possible."""
    age = patient.age_years
    return age is None or age < threshold("maturity", "surely_adult_years")
