"""The highest grade each cell of a score can have, from the score's own definition."""

from __future__ import annotations

import math

from marrowscope.knowledge.scores import score as definition_of
from marrowscope.scoring.types import Score

DEFINITIONS = {"sparcc_sij": "sparcc_sij_inflammation", "asas_sij": "asas_active_sacroiliitis"}
"""Score id to its key in ``knowledge/data/scores``, where the two differ."""

VOLUME_ENDING = "_cm3"
"""How the id of a cell ends that holds a volume and no grade."""


def highest_grade(score: Score, cell_id: str) -> float:
    """The highest grade a cell can have; infinite for a volume.

    Of the cell's own scale where the score defines one, of its points, else of the whole score.
    """
    if cell_id.endswith(VOLUME_ENDING):
        return math.inf
    definition = definition_of(DEFINITIONS.get(score.id, score.id))
    scale = definition.scales.get(cell_id.rpartition(".")[2])
    if scale is None and len(definition.scales) == 1:
        scale = next(iter(definition.scales.values()))
    if scale is not None:
        return float(max(band.grade for band in scale.bands))
    points = [number.value for key, number in definition.numbers.items() if key.startswith("points_")]
    return max(points, default=score.maximum)


def is_grade(score: Score, cell_id: str, value: object) -> bool:
    """Whether a value can stand in a cell: a whole number of its scale, or any volume."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    highest = highest_grade(score, cell_id)
    return 0 <= value <= highest and (float(value).is_integer() or math.isinf(highest))
