"""WORMS bone marrow abnormality (Peterfy 2004): a grade of 0 to 3 in 15 regions, cysts apart, estimated.

Numbers and bands come from ``knowledge/data/scores/knee.yaml``. WORMS calls the trochlea the anterior femur.
"""

from __future__ import annotations

from dataclasses import replace

from marrowscope.knowledge.scores import score
from marrowscope.lesion.types import Objects
from marrowscope.scoring.by_region import contents, graded, unsummed, with_sum
from marrowscope.scoring.types import Score

ID = "worms_bml"
UNIT = "1"


def estimate(objects: Objects) -> Score:
    """The score of one exam: one cell a region, named by the region."""
    definition = score(ID)
    bands = definition.scale("size")
    found = contents(objects, [region.replace("femur_anterior", "femur_trochlea") for region in definition.regions])
    named = [replace(c, code=region) for c, region in zip(found, definition.regions, strict=True)]
    cells = tuple(graded(c.code, None if c.reason else float(bands.grade(c.edema_percent)), c.reason) for c in named)
    context = {"cysts": "left out of the grade"}
    return summed(unsummed(ID, definition, cells, unit=UNIT, context=context, sources=bands.basis.sources))


def summed(scored: Score) -> Score:
    """The score with total and statement recomputed from its cells."""
    return with_sum(scored, "", UNIT)
