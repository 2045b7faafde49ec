"""Small things that every summary of figures needs."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np


def rounded(value: float | np.floating[Any] | None) -> float | None:
    """Three decimals; None stays None."""
    return None if value is None else round(float(value), 3)


def peak_mb() -> int:
    """Largest resident memory of this process so far, simulation included, MB."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
