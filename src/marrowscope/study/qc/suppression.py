"""Is fat really dark? Judged on pixels, never on the header: fat against muscle, slice by slice.

With a T1 series of the same frame of reference, fat and muscle are told apart there and compared locally, so that
coil shading cancels. Without one, a limb is judged by its middle (marrow, fatty in adults) against the soft tissue
around it; a trunk cannot be judged so, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from marrowscope.measurement import Measurement, QcCheck, Severity
from marrowscope.study.qc.slices import Slices
from marrowscope.study.qc.thresholds import threshold
from marrowscope.study.qc.tissues import BLOCK, LOCAL_MM, MIN_PIXELS, smooth
from marrowscope.study.types import FatSuppression, Sequence
from marrowscope.volume import AnyArray

_CODE: Final = "fat_suppression"
_MIN_SHARE: Final = 0.05
_LIMB_DEPTH_MM: Final = (25.0, 90.0)
"""A limb's middle lies 25 to 90 mm under the skin; a trunk's deeper, or with no air in view."""

_MIDDLE_SHARE: Final = 0.7
"""The middle of a limb (marrow) is deeper than this share of its greatest depth."""

_SHELL_MM: Final = (8.0, 20.0)
_SHELL_SHARE: Final = 0.45
"""The tissue around it lies at these depths under the skin, and above this share of the greatest."""


@dataclass(frozen=True)
class Ratios:
    """Fat over muscle by slice index, and how it was had.

    Attributes:
        by_slice: local ratios of each slice: many where T1 tells fat from muscle, one where a limb's middle is used.
        method: words for the report.
        local: whether one slice's ratios mean anything alone.
    """

    by_slice: dict[int, AnyArray]
    method: str
    local: bool


def check_suppression(sequence: Sequence, fluid: Slices, t1: Slices | None) -> QcCheck:
    """Whether fat is dark on a fluid series.

    Args:
        sequence: says which suppression was tried: inversion leaves fat near muscle, spectral below it.
        fluid: the fluid series.
        t1: a T1 series sampled on the fluid series' own coarse grid, where there is one.
    """
    ratios = from_t1(fluid, t1) if t1 is not None else from_limb(fluid)
    if not ratios.by_slice:
        missing = Measurement.not_assessable("fat_over_muscle", "1", "no T1 on the same frame and no limb in view")
        return QcCheck(
            _CODE,
            Severity.NOTE,
            "fat suppression could not be verified on the pixels",
            "trust the header's word for it, and look at the subcutaneous fat",
            missing,
        )
    return _judge(sequence, ratios)


def _judge(sequence: Sequence, ratios: Ratios) -> QcCheck:
    values = np.concatenate(list(ratios.by_slice.values()))
    low, median, high = (float(np.percentile(values, q)) for q in (10, 50, 90))
    warn, share = _limits(sequence)
    failed = tuple(sorted(k for k, local in ratios.by_slice.items() if float((local > warn).mean()) > share))
    value = Measurement.of("fat_over_muscle", median, "1", (low, high), "80 % of the places compared")
    if median > threshold(_CODE, "refuse"):
        text = f"fat is {median:.1f} times as bright as muscle: not fat-suppressed"
        return QcCheck(_CODE, Severity.REFUSE, text, "no lesion is sized on it", value, failed)
    worse = float((values > warn).mean())
    if median > warn or (ratios.local and worse > share):
        text = f"poor fat suppression: fat is {median:.1f} times as bright as muscle ({ratios.method})"
        if median <= warn:
            text = f"patchy fat suppression: it fails over {100 * worse:.0f} % of the image ({ratios.method})"
        why = "brightness in the marrow of these slices may be fat: volumes there are not trusted"
        return QcCheck(_CODE, Severity.WARNING, text, why, value, failed)
    text = f"fat is {median:.1f} times as bright as muscle ({ratios.method})"
    return QcCheck(_CODE, Severity.OK, text, value=value)


def _limits(sequence: Sequence) -> tuple[float, float]:
    """Fat over muscle from which suppression is poor, and the share of places that may lie above.

    The limit for spectral suppression was measured on intermediate weighting. At a longer echo time muscle, whose
    water decays four times sooner than fat, is darker, and fat that is as well suppressed is brighter beside it.
    """
    if sequence.fat_suppression is FatSuppression.INVERSION:
        return threshold(_CODE, "inversion_warn"), threshold(_CODE, "inversion_share")
    later = max(0.0, (sequence.te_ms or 0.0) - threshold(_CODE, "spectral_te_ms"))
    decay = 1 / threshold(_CODE, "muscle_t2_ms") - 1 / threshold(_CODE, "fat_t2_ms")
    warn = threshold(_CODE, "spectral_warn") * float(np.exp(later * decay))
    return min(warn, threshold(_CODE, "spectral_warn_most")), threshold(_CODE, "spectral_share")


def from_limb(fluid: Slices) -> Ratios:
    """The middle of a limb (marrow) over the soft tissue around it, for slices that show a limb.

    One slice proves nothing here (edema and effusion brighten it), so only the median over slices is judged.
    """
    ratios: dict[int, AnyArray] = {}
    if not fluid.surrounded:
        return Ratios(ratios, "", False)
    for k in fluid.filled:
        depth, deepest = fluid.depth_mm[k], float(fluid.depth_mm[k].max())
        if not _LIMB_DEPTH_MM[0] <= deepest <= _LIMB_DEPTH_MM[1]:
            continue
        middle = fluid.values[k][depth > _MIDDLE_SHARE * deepest]
        shell = fluid.values[k][(depth > _SHELL_MM[0]) & (depth < min(_SHELL_MM[1], _SHELL_SHARE * deepest))]
        if min(middle.size, shell.size) >= MIN_PIXELS and float(np.median(shell)) > (fluid.noise or 0.0):
            ratios[int(k)] = np.array([float(np.median(middle) / np.median(shell))])
    return Ratios(ratios, "middle of the limb over the soft tissue around it", False)


def from_t1(fluid: Slices, t1: Slices) -> Ratios:
    """Fat over muscle, both named on T1 and compared within :data:`LOCAL_MM`."""
    ratios: dict[int, AnyArray] = {}
    sigma = [LOCAL_MM / step for step in fluid.step_mm]
    for (k, plane), tissues in zip(enumerate(fluid.values), t1.fat_and_muscle, strict=True):
        if tissues is None:
            continue
        weights = [smooth(mask.astype(np.float32), sigma) for mask in tissues]
        sums = [smooth(np.where(mask, plane, 0), sigma) for mask in tissues]
        both = (weights[0] > _MIN_SHARE) & (weights[1] > _MIN_SHARE) & (sums[1] > 0)
        if int(both.sum()) * BLOCK**2 >= MIN_PIXELS:
            ratios[k] = (sums[0][both] / weights[0][both]) / (sums[1][both] / weights[1][both])
    return Ratios(ratios, "fat and muscle found on T1", True)
