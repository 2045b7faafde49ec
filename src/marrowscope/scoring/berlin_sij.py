"""Berlin sacroiliac score (0-24): share of edema in eight quadrants, pooled over the slices. Numbers from knowledge."""

from __future__ import annotations

from dataclasses import replace

from marrowscope.knowledge.scores import score
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement
from marrowscope.scoring.by_region import unsummed
from marrowscope.scoring.sij import QUADRANTS, SIDES, Scene, scene
from marrowscope.scoring.types import Cell, Score

ID = "berlin_sij"


def estimate(objects: Objects) -> Score:
    """The score of one exam."""
    return of_scene(scene(objects))


def of_scene(seen: Scene) -> Score:
    """The score of a scene: cells ``SIDE.QUADRANT``."""
    definition = score(ID)
    blank = unsummed(
        ID,
        definition,
        () if seen.reason else tuple(_cell(seen, side, q) for side in SIDES for q in QUADRANTS),
        unit="{score}",
        context={"pooling": "share of the whole quadrant over all slices that show the joint"},
        sources=definition.scale("extent").basis.sources,
        reason=seen.reason,
    )
    return blank if seen.reason else summed(blank)


def _cell(seen: Scene, side: str, quadrant: str) -> Cell:
    total = sum(int(s.quadrants[quadrant].sum()) for s in seen.side(side))
    if not total:
        return Cell(f"{side}.{quadrant}", None, "quadrant not in view")
    lit = sum(int((s.quadrants[quadrant] & s.edema).sum()) for s in seen.side(side))
    return Cell(f"{side}.{quadrant}", float(score(ID).scale("extent").grade(100.0 * lit / total)))


def summed(scored: Score) -> Score:
    """The score with total and statement recomputed from its cells; all eight must have a grade."""
    missing = [c for c in scored.cells if c.value is None]
    if missing:
        why = f"{len(missing)} of {len(scored.cells)} quadrants not graded ({missing[0].reason})"
        return replace(scored, total=Measurement.not_assessable(ID, "{score}", why), statement=why)
    total = sum(c.value for c in scored.cells if c.value is not None)
    words = f"{total:.0f} of {scored.maximum:.0f}, {scored.origin}"
    return replace(scored, total=Measurement.of(ID, float(total), "{score}"), statement=words)
