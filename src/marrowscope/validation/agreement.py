"""How well results agree with the truth: overlap, concordance, limits of agreement, kappa, intraclass correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marrowscope.volume import AnyArray, FloatArray


def dice(a: AnyArray, b: AnyArray) -> float | None:
    """Overlap of two masks, 2 |a and b| / (|a| + |b|); None where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else None


def concordance(x: npt.ArrayLike, y: npt.ArrayLike) -> float | None:
    """Lin's concordance correlation coefficient (Biometrics 1989;45:255); None for fewer than three pairs."""
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(a) < 3:
        return None
    spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return float(2 * ((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else None


def limits_of_agreement(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, float, float] | None:
    """Bias and 95 % limits of y - x (Bland and Altman 1986); None for fewer than three pairs."""
    difference = np.asarray(y, dtype=float) - np.asarray(x, dtype=float)
    if len(difference) < 3:
        return None
    half = 1.96 * float(difference.std(ddof=1))
    bias = float(difference.mean())
    return bias, bias - half, bias + half


def weighted_kappa(x: npt.ArrayLike, y: npt.ArrayLike, grades: int) -> float | None:
    """Cohen's kappa with quadratic weights over grades 0 to ``grades - 1``; None where chance leaves no room."""
    a, b = np.asarray(x, dtype=int), np.asarray(y, dtype=int)
    if not len(a):
        return None
    table: FloatArray = np.zeros((grades, grades))
    np.add.at(table, (a, b), 1.0)
    table /= table.sum()
    weight = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2.0
    expected = float((weight * np.outer(table.sum(1), table.sum(0))).sum())
    return 1 - float((weight * table).sum()) / expected if expected > 0 else None


def icc_2_1(table: Sequence[Sequence[float]]) -> float | None:
    """ICC(2,1): two-way random, absolute agreement, single measure (Shrout and Fleiss 1979).

    Args:
        table: one row a subject, one column a rater. None for fewer than three subjects or no variance.
    """
    x = np.asarray(table, dtype=float)
    n, k = x.shape if x.ndim == 2 else (0, 0)
    if n < 3 or k < 2:
        return None
    total = x.mean()
    rows = k * float(((x.mean(1) - total) ** 2).sum()) / (n - 1)
    columns = n * float(((x.mean(0) - total) ** 2).sum()) / (k - 1)
    rest = float(((x - x.mean(1, keepdims=True) - x.mean(0, keepdims=True) + total) ** 2).sum()) / ((n - 1) * (k - 1))
    under = rows + (k - 1) * rest + k * (columns - rest) / n
    return (rows - rest) / under if under > 0 else None
