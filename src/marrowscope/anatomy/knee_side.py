"""Which way is lateral in a knee: from the examined side and the patient frame, or from the fibula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from marrowscope.labelmap import BoolArray
from marrowscope.measurement import QcCheck, Severity
from marrowscope.volume import Volume

LATERAL_BY_SIDE = {"left": 1.0, "right": -1.0}
"""Sign of LPS x (towards the patient's left) that points laterally."""

FIBULA_CM3 = 0.6
"""Less fibula than this does not decide anything."""

FIBULA_OFFSET_MM = 12.0
"""The fibula's centre lies at least this far from the tibia's axis in every adult knee we have maps of."""


def lateral_direction(
    bones: Mapping[str, BoolArray], grid: Volume, side: str, header: str = ""
) -> tuple[float | None, QcCheck]:
    """Sign of LPS x towards the lateral side, and why.

    Args:
        bones: masks of tibia and fibula on the grid.
        grid: their geometry.
        side: ``left``, ``right`` or anything else when neither user nor header tells.
        header: what the header says, which a side given by the user may contradict.

    Returns:
        (+1, -1 or None, a check). None where neither tells, where side and fibula contradict each other, or where a
        given side contradicts the header and no fibula tells who is right.
    """
    stated, seen = LATERAL_BY_SIDE.get(side), _from_fibula(bones, grid)
    lost = "medial and lateral are not assessable, and so are the scores by subregion"
    if stated is not None and seen is not None and stated != seen:
        message = f"the side is said to be {side}, but the fibula lies on the other side"
        return None, QcCheck("side", Severity.WARNING, message, lost)
    if contradicted(side, header) and seen is None:
        message = f"the side was given as {side}, the header says {header}, and no fibula tells which is right"
        return None, QcCheck("side", Severity.WARNING, message, lost)
    if stated is not None:
        why = "by its header" if side == header else "as given" if seen is None else "as given and by the fibula"
        return stated, QcCheck("side", Severity.OK, f"{side} knee, {why}")
    if seen is not None:
        name = "left" if seen > 0 else "right"
        return seen, QcCheck("side", Severity.OK, f"{name} knee, by the place of the fibula")
    return None, QcCheck("side", Severity.WARNING, "neither header nor fibula tells the side", lost)


def contradicted(side: str, header: str) -> bool:
    """Whether the side that was given is the other one than the header's."""
    return {side, header} == set(LATERAL_BY_SIDE)


def _from_fibula(bones: Mapping[str, BoolArray], grid: Volume) -> float | None:
    tibia, fibula = bones.get("tibia"), bones.get("fibula")
    if tibia is None or fibula is None or not tibia.any():
        return None
    if float(fibula.sum()) * grid.voxel_volume_mm3 / 1000 < FIBULA_CM3:
        return None
    points = grid.to_world(np.argwhere(fibula))
    beside = grid.to_world(np.argwhere(tibia))
    level = beside[np.abs(beside[:, 2] - points[:, 2].mean()) < np.ptp(points[:, 2]) / 2 + 5]
    if not len(level):
        return None
    offset = float(points[:, 0].mean() - level[:, 0].mean())
    return float(np.sign(offset)) if abs(offset) >= FIBULA_OFFSET_MM else None
