"""Brightness of normal marrow as it drifts across the image: fat that suppression left, and what shading is left.

Suppression is never even; where a little more fat is left, all marrow there is brighter, and a threshold set elsewhere
would call it edema. The drift is smooth and edema is not, so a robust low-order surface through the marrow itself
follows the one and not the other. Fat left behind adds to the signal, so the drift is subtracted, not divided out.
"""

from __future__ import annotations

import numpy as np

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray
from marrowscope.lesion.settings import setting
from marrowscope.robust import MAD_TO_SD
from marrowscope.study import Role
from marrowscope.volume import AnyArray, FloatArray, Volume

DEGREE = 3
"""Highest total power of the surface: one bend and a half across the field of view, more would follow large lesions."""

TERMS = tuple((a, b, c) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a) for c in range(DEGREE + 1 - a - b))
"""Powers of the three positions in each term of the surface."""

MOST_SAMPLES = 30_000
"""Voxels the surface is fitted to, evenly picked; more change nothing."""

ROUNDS = 8
"""Rounds of fitting and leaving out what lies off; the set of voxels kept settles within a few."""

BRIGHTER_SD, DARKER_SD = 1.5, 3.0
"""Voxels this far above or below the surface are left out of the next round: edema lies above, cortex below."""

RIDGE = 1e-3
"""Damping of the fit relative to the number of samples: keeps a corner without marrow from running away."""

MARROW_RANGE = (1.0, 99.0)
"""Percentiles of the brightness of the marrow fitted to, between which the surface stays: at the end of a shaft whose
marrow was left out as an outlier a cubic runs far below all marrow, and normal marrow there would be called edema."""

LEAST_NORMAL = 0.2
"""Share of its median that T1's surface is at least (our judgement): beyond marrow and coil it runs through zero, where
a ratio to it would mean nothing."""


def drift(exam: Exam, anatomy: Anatomy, marrow: BoolArray, fatty: BoolArray) -> Volume:
    """What has to be subtracted from the fluid image to make normal marrow equally bright everywhere.

    Args:
        exam: the image.
        anatomy: the bones.
        marrow: voxels to fit to (away from the cortex).
        fatty: voxels that T1 does not call abnormal.

    Returns:
        float32 on the image's grid, median 0 over the bones; all zero when there is too little marrow.
    """
    flat = np.zeros(exam.image.shape, dtype=np.float32)
    inside, surface = _surface(exam.image.array, exam.image, marrow & fatty, anatomy.bones.mask())
    if surface is not None:
        flat[inside] = surface - np.median(surface)
    return exam.image.with_array(flat)


def t1_ratio(exam: Exam, anatomy: Anatomy, marrow: BoolArray) -> Volume | None:
    """T1 brightness of each bone voxel over that of normal marrow there (1 = normal, less = fat replaced).

    Returns:
        float32 on the image's grid, 1 outside bone and outside the cover of T1; None without T1 or marrow.
    """
    t1 = exam.companion(Role.T1)
    if t1 is None:
        return None
    inside, surface = _surface(-t1.volume.array, exam.image, marrow & t1.covered, anatomy.bones.mask() & t1.covered)
    if surface is None:
        return None
    ratio = np.ones(exam.image.shape, dtype=np.float32)
    normal = np.maximum(-surface, max(LEAST_NORMAL * float(np.median(-surface)), 1e-6))
    ratio[inside] = t1.volume.array[inside] / normal
    return exam.image.with_array(ratio)


def _surface(
    values: AnyArray, grid: Volume, fitted: BoolArray, wanted: BoolArray
) -> tuple[tuple[AnyArray, ...], FloatArray | None]:
    """Robust surface through ``values`` at ``fitted``, read at ``wanted``: its indices, and None with too few."""
    chosen = _thinned(fitted)
    inside = np.nonzero(wanted)
    if len(chosen) < setting("reference", "minimum_voxels"):
        return inside, None
    fitted_to = values[tuple(chosen.T)].astype(np.float64)
    coefficients = _robust_fit(_powers(chosen, grid), fitted_to)
    return inside, np.clip(_everywhere(coefficients, grid)[inside], *np.percentile(fitted_to, MARROW_RANGE))


def _thinned(mask: BoolArray) -> AnyArray:
    places = np.argwhere(mask)
    return np.asarray(places[:: max(1, len(places) // MOST_SAMPLES)])


def _powers(places: AnyArray, grid: Volume) -> FloatArray:
    """Products of powers of the position, shape (n, terms); positions run from -1 to 1 across the field of view."""
    size = np.maximum(np.array(grid.shape) - 1, 1)
    x, y, z = (2 * np.asarray(places, dtype=np.float64) / size - 1).T
    return np.stack([x**a * y**b * z**c for a, b, c in TERMS], axis=1)


def _everywhere(coefficients: FloatArray, grid: Volume) -> FloatArray:
    """The surface at every voxel, shape of the grid: one axis after the other, which is far fewer products."""
    weights = np.zeros((DEGREE + 1,) * 3)
    weights[tuple(np.array(TERMS).T)] = coefficients
    for n in grid.shape:  # the first axis is summed over and its positions become the last
        positions = np.linspace(-1, 1, n)[:, None] ** np.arange(DEGREE + 1)
        weights = np.tensordot(weights, positions, axes=(0, 1))
    return np.asarray(weights)


def _robust_fit(powers: FloatArray, values: FloatArray) -> FloatArray:
    """Coefficients of the surface through the main body of the values, outliers above left out sooner than below."""
    kept = values <= np.percentile(values, 90)
    coefficients = np.zeros(powers.shape[1])
    for _ in range(ROUNDS):
        normal = powers[kept].T @ powers[kept] + RIDGE * kept.sum() * np.eye(powers.shape[1])
        normal[0, 0] -= RIDGE * kept.sum()
        coefficients = np.linalg.solve(normal, powers[kept].T @ values[kept])
        off = values - powers @ coefficients
        spread = MAD_TO_SD * float(np.median(np.abs(off[kept])))
        renewed = (off < BRIGHTER_SD * spread) & (off > -DARKER_SD * spread)
        if (renewed == kept).all() or renewed.sum() < powers.shape[1]:
            break
        kept = renewed
    return coefficients
