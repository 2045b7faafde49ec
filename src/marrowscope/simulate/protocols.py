"""The series a simulated scanner runs, from ``data/protocols.yaml``, and where their slices lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowscope.errors import UsageError
from marrowscope.simulate.sampling import grid_volume
from marrowscope.simulate.signal import Sequence, Suppression
from marrowscope.tables import parse_yaml
from marrowscope.volume import FloatArray, Volume

PROTOCOL_FILE = Path(__file__).parent / "data" / "protocols.yaml"

# Columns: where rows run to, where columns run to, where slices run to, in LPS. Radiological display:
# sagittal front on the left, coronal and axial patient's right on the left, head or front on top.
PLANE_AXES: dict[str, FloatArray] = {
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "axial": np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
}


@dataclass(frozen=True)
class SeriesProtocol:
    """One series as the operator plans it.

    Attributes:
        name: key in the protocol file.
        description: text a scanner would show.
        plane: ``sagittal``, ``coronal`` or ``axial``.
        sequence: timing and fat treatment.
        field_t: main field, tesla.
        fov_mm: extent along rows (columns direction first).
        matrix: columns, rows.
        thickness_mm, gap_mm: slice thickness and the gap between slices.
        slices: number of slices.
        frequency_axis: index axis read out: 0 along a row of the image, 1 along a column.
        bandwidth_hz: receiver bandwidth of one pixel.
    """

    name: str
    description: str
    plane: str
    sequence: Sequence
    field_t: float
    fov_mm: tuple[float, float]
    matrix: tuple[int, int]
    thickness_mm: float
    gap_mm: float
    slices: int
    frequency_axis: int
    bandwidth_hz: float

    @property
    def phase_axis(self) -> int:
        """Index axis of phase encoding: the in-plane axis that is not read out."""
        return 1 - self.frequency_axis

    def grid(self, centre_mm: npt.ArrayLike, rotation: FloatArray | None = None, *, reverse: bool = False) -> Volume:
        """The slices as an empty Volume, index (column, row, slice).

        Args:
            centre_mm: centre of the stack, LPS mm.
            rotation: 3x3, turns the stack about its centre (oblique slices).
            reverse: number the slices from the other end.
        """
        axes = PLANE_AXES[self.plane].copy()
        if reverse:
            axes[:, 2] *= -1
        axes = axes if rotation is None else rotation @ axes
        shape = (*self.matrix, self.slices)
        pixel = [f / m for f, m in zip(self.fov_mm, self.matrix, strict=True)]
        affine = np.eye(4)
        affine[:3, :3] = axes * np.array([*pixel, self.thickness_mm + self.gap_mm])
        affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        return grid_volume(shape, affine)


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:

    data: dict[str, Any] = parse_yaml(PROTOCOL_FILE.read_text(encoding="utf-8"))
    return data


def scanner_value(name: str) -> float:
    """A scanner imperfection of the protocol file, e.g. ``shim_error_ppm``."""
    return float(_read()["scanner"][name]["value"])


def noise_level(level: str | float) -> float:
    """Noise relative to muscle: ``low``, ``medium``, ``high`` or a number.

    Raises:
        UsageError: another word, or a number outside 0 to 1.
    """
    levels = {k: v for k, v in _read()["scanner"]["noise"].items() if isinstance(v, float)}
    if level in levels:
        return float(levels[str(level)])
    try:
        value = float(level)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        words = ", ".join(levels)
        raise UsageError(f"a noise level of {level!r}", f"{words}, or a share of muscle signal from 0 to 1")
    return value


def series_names(study: str) -> tuple[str, ...]:
    """The series of a kind of study (``pd_fs``, ``t2_fs``, ``stir``, ``dixon``).

    Raises:
        UsageError: no study of that kind.
    """
    studies = _read()["studies"]
    if study not in studies:
        raise UsageError(f"a study of kind {study!r}", f"one of {', '.join(studies)}", "choose one with --fluid")
    return tuple(studies[study])


@lru_cache(maxsize=32)
def load_protocol(name: str, field_t: float) -> SeriesProtocol:
    """One series at a field strength.

    Raises:
        UsageError: an unknown series, or a field strength the file has no timing for.
    """
    series = _read()["series"]
    if name not in series:
        raise UsageError(f"a series called {name!r}", f"one of {', '.join(series)}")
    row = series[name]
    if field_t not in row["timing"]:
        known = " or ".join(f"{f:g}" for f in row["timing"])
        raise UsageError(f"a field strength of {field_t:g} T", f"{known} T", "choose one of these with --field")
    geometry = row["geometry"]
    read_out = int(np.abs(PLANE_AXES[row["plane"]]["xyz".index(geometry["frequency_axis"])]).argmax())
    return SeriesProtocol(
        name,
        row["description"],
        row["plane"],
        Sequence(suppression=Suppression(row["suppression"]), **row["timing"][field_t]),
        field_t,
        (geometry["fov_mm"][0], geometry["fov_mm"][1]),
        (geometry["matrix"][0], geometry["matrix"][1]),
        geometry["thickness_mm"],
        geometry["gap_mm"],
        geometry["slices"],
        read_out,
        row["bandwidth_hz"][field_t],
    )
