"""Which CT series are the two halves of a dual-energy examination: one place, one moment, two tube voltages."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from marrowscope.study.types import Reason, Role
from marrowscope.volume import FloatArray

MIN_APART_KV: Final = 20.0
"""Tube voltages of one examination differ by 40 kV and more (80/140, 100/Sn150); dose modulation never by 20."""

MAX_APART_S: Final = 60.0
"""Dual source and fast switching are simultaneous, two rotations seconds apart; a contrast phase comes later."""

SAME_GRID_MM: Final = 0.2
"""Affines of one acquisition's two energies differ by rounding only: less than any CT pixel."""


@dataclass(frozen=True, eq=False)
class CtFacts:
    """What one CT series tells: where, when (seconds after midnight) and at how many kV."""

    affine: FloatArray
    slices: int
    frame_of_reference_uid: str
    kvp: float | None
    acquired_s: float | None


def energies(series: Many[CtFacts]) -> dict[int, tuple[Role, Reason]]:
    """The role of each series that has a partner at another voltage, by index."""
    found: dict[int, tuple[Role, Reason]] = {}
    for i, j in combinations(range(len(series)), 2):
        one, other = series[i], series[j]
        if one.kvp is None or other.kvp is None or not _partners(one, other):
            continue
        low, high = (i, j) if one.kvp < other.kvp else (j, i)
        text = f"dual-energy CT: {series[low].kvp:.0f} and {series[high].kvp:.0f} kV at one place and time"
        found.setdefault(low, (Role.CT_LOW_KV, Reason("dual_energy_low", text)))
        found.setdefault(high, (Role.CT_HIGH_KV, Reason("dual_energy_high", text)))
    return found


def _partners(one: CtFacts, other: CtFacts) -> bool:
    assert one.kvp is not None and other.kvp is not None
    if abs(one.kvp - other.kvp) < MIN_APART_KV or one.slices != other.slices:
        return False
    if one.frame_of_reference_uid != other.frame_of_reference_uid:
        return False
    together = None in (one.acquired_s, other.acquired_s) or _apart(one, other) <= MAX_APART_S
    return together and bool(np.abs(one.affine - other.affine).max() <= SAME_GRID_MM)


def _apart(one: CtFacts, other: CtFacts) -> float:
    assert one.acquired_s is not None and other.acquired_s is not None
    return abs(one.acquired_s - other.acquired_s)
