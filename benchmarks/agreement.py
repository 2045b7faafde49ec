"""How well a smallest detectable change is known that a few pairs gave."""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL = 0.95


def interval_of(size: float, pairs: int) -> tuple[float, float]:
    """95 % interval of a standard deviation, or a multiple of one, around a known mean of 0.

    The sum of ``pairs`` squared differences over their variance follows chi-squared with as many degrees of freedom.

    Args:
        size: the estimate, from the mean of squares. pairs: how many differences it rests on.
    """
    tails = stats.chi2.ppf(((1 + LEVEL) / 2, (1 - LEVEL) / 2), pairs)
    low, high = size * np.sqrt(pairs / tails)
    return float(low), float(high)
