"""Fat and water swapped: under the skin, the fat image must outshine the water image."""

from __future__ import annotations

from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold

_RIM_MM: Final = (2.0, 8.0)
"""Depth under the skin that is fat in every limb: below the skin itself, above muscle."""

_MIN_PIXELS: Final = 100
"""Coarse pixels of that rim below which a slice says nothing."""


def check_swap(water: Slices, fat: Slices) -> QcCheck:
    """Whether fat and water changed places, slice by slice.

    Args:
        water, fat: the two images of one Dixon acquisition, on one grid.
    """
    total = Slices(water.values + fat.values, water.noise, water.step_mm)
    ratios: dict[int, float] = {}
    for k in range(len(total.values)):
        rim = (total.depth_mm[k] > _RIM_MM[0]) & (total.depth_mm[k] < _RIM_MM[1])
        if int(rim.sum()) >= _MIN_PIXELS:
            ratios[k] = float(np.median(fat.values[k][rim]) / max(float(np.median(water.values[k][rim])), 1e-6))
    if not ratios:
        value = Measurement.not_assessable("fat_over_water", "1", "no skin in view")
        return QcCheck("dixon_swap", Severity.NOTE, "fat-water swap not judged: no skin in view", value=value)
    swapped = tuple(k for k, ratio in ratios.items() if ratio < threshold("dixon_swap", "ratio"))
    value = Measurement.of("fat_over_water", float(np.median(list(ratios.values()))), "1")
    if len(swapped) > threshold("dixon_swap", "slices_share") * len(ratios):
        text = f"fat and water are swapped in {len(swapped)} of {len(ratios)} slices"
        why = "these slices show fat as fluid: no lesion is sized on them"
        severity = Severity.REFUSE if 2 * len(swapped) > len(ratios) else Severity.WARNING
        return QcCheck("dixon_swap", severity, text, why, value, swapped)
    return QcCheck("dixon_swap", Severity.OK, "fat and water are where they belong", value=value)
