"""Spin-echo signal equations for a water and a fat pool.

Turbo spin echo at the effective echo time: M0 (1 - exp(-TR'/T1)) exp(-TE/T2), with TR' the time between the
last echo and the next excitation. Inversion recovery: M0 (1 - 2 exp(-TI/T1) + exp(-TR'/T1)) exp(-TE/T2), signed;
the magnitude is taken only after water and fat were added (Bernstein, King, Zhou: Handbook of MRI Pulse
Sequences, 2004, chapters 14 and 16).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from marrowscope.simulate.tissues import Tissue, TissueTable

Float32Array = npt.NDArray[np.float32]


class Suppression(StrEnum):
    """How the sequence treats fat."""

    NONE = "none"
    SPECTRAL = "spectral"
    INVERSION = "inversion"
    DIXON = "dixon"


@dataclass(frozen=True)
class Sequence:
    """Timing of one spin-echo sequence.

    Attributes:
        tr_ms, te_ms: repetition and effective echo time.
        ti_ms: inversion time; only with INVERSION.
        echo_train: echoes per excitation, 1 for a plain spin echo.
        echo_spacing_ms: time between echoes.
        suppression: how fat is treated.
    """

    tr_ms: float
    te_ms: float
    suppression: Suppression = Suppression.NONE
    ti_ms: float | None = None
    echo_train: int = 1
    echo_spacing_ms: float = 10.0

    def __post_init__(self) -> None:
        if (self.ti_ms is not None) != (self.suppression is Suppression.INVERSION):
            raise ValueError("an inversion time goes with inversion recovery and only with it")
        if min(self.tr_ms, self.te_ms, self.recovery_ms) <= 0:
            raise ValueError("TR must outlast the echo train and the inversion, and TE be positive")

    @property
    def recovery_ms(self) -> float:
        """Time for longitudinal recovery: TR less the echo train and the inversion delay."""
        return self.tr_ms - self.echo_train * self.echo_spacing_ms - (self.ti_ms or 0.0)


def pool_signal(sequence: Sequence, t1_ms: float, t2_ms: float) -> float:
    """Signed signal of one pool per unit of magnetisation."""
    if sequence.ti_ms is None:
        recovered = 1.0 - np.exp(-sequence.recovery_ms / t1_ms)
    else:
        after = (sequence.recovery_ms + sequence.ti_ms) / t1_ms
        recovered = 1.0 - 2.0 * np.exp(-sequence.ti_ms / t1_ms) + np.exp(-after)
    return float(recovered * np.exp(-sequence.te_ms / t2_ms))


def water_fat_signal(sequence: Sequence, tissue: Tissue, fat: Tissue) -> tuple[float, float]:
    """Signed (water, fat) signal of one tissue; spectral suppression is applied later, where the field is known."""
    water = tissue.proton_density * (1 - tissue.fat_fraction) * pool_signal(sequence, tissue.t1_ms, tissue.t2_ms)
    fatty = tissue.proton_density * tissue.fat_fraction * pool_signal(sequence, fat.t1_ms, fat.t2_ms)
    return water, fatty


def signal_table(sequence: Sequence, table: TissueTable) -> Float32Array:
    """Signed signals of all tissues, shape (number of tissues, 2): water and fat, in label order."""
    rows = [water_fat_signal(sequence, tissue, table.fat) for tissue in table.tissues]
    return np.asarray(rows, dtype=np.float32)
