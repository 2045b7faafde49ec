"""MOAKS bone marrow lesions (Hunter 2011): size, number and share of edema in 15 subregions, estimated.

Numbers and bands come from ``knowledge/data/scores/knee.yaml``.
"""

from __future__ import annotations

from marrowscope.knowledge.scores import ScoreDefinition, score
from marrowscope.lesion.types import Objects
from marrowscope.scoring.by_region import RegionContent, contents, graded, unsummed, with_sum
from marrowscope.scoring.types import Cell, Score

ID = "moaks_bml"
UNIT = "1"


def estimate(objects: Objects) -> Score:
    """The score of one exam: cells ``REGION.size``, ``REGION.number`` and ``REGION.percent_not_cyst``."""
    definition = score(ID)
    cells = tuple(c for content in contents(objects, definition.regions) for c in _cells(definition, content))
    context = {"total": "sum of the size grades", "region depth": "follows the field of view"}
    sources = definition.scale("size").basis.sources
    return summed(unsummed(ID, definition, cells, unit=UNIT, context=context, sources=sources))


def summed(scored: Score) -> Score:
    """The score with total and statement recomputed from its cells."""
    return with_sum(scored, ".size", UNIT)


def _cells(definition: ScoreDefinition, content: RegionContent) -> tuple[Cell, ...]:
    ids = [f"{content.code}.{part}" for part in ("size", "number", "percent_not_cyst")]
    if content.reason:
        return tuple(graded(i, None, content.reason) for i in ids)
    grades = (
        definition.scale("size").grade(content.filled_percent),
        content.lesions,
        definition.scale("percent_not_cyst").grade(content.edema_share_percent),
    )
    return tuple(graded(i, float(g), "") for i, g in zip(ids, grades, strict=True))
