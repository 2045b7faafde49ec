"""Extent of active sacroiliitis by the ASAS 2009/2016 rule and the 2021 data-driven cut-offs: met or not met.

Software tests extent only: whether a lesion looks highly suggestive is a reader's judgement. The rules speak of
slices; on slices thinner than conventional ones they are turned into millimetres (our conversion).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from marrowscope.knowledge.scores import ScoreDefinition, score
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement
from marrowscope.scoring.sij import QUADRANTS, SIDES, JointSlice, Scene, scene
from marrowscope.scoring.types import Cell, Score

ID = "asas_sij"
DEFINITION = "asas_active_sacroiliitis"
RULE_2009, RULE_2021, DEEP, VOLUME = "extent_2009_2016", "extent_2021", "deep", "edema_cm3"


def estimate(objects: Objects) -> Score:
    """The extent rules of one exam."""
    return of_scene(scene(objects))


def of_scene(seen: Scene) -> Score:
    """Cells: both rules (0 or 1), a deep lesion (0 or 1), volume of edema in the joints' quadrants (cm3)."""
    definition = score(DEFINITION)
    cells = () if seen.reason else _cells(definition, seen)
    thickness = f"{seen.spacing_mm:.1f} mm between slices"
    conversion = "; rules in slices turned into mm (our conversion)" if _converted(definition, seen) else ""
    basis = definition.numbers["single_lesion_slices"].basis
    blank = Score(
        id=ID,
        label=definition.short,
        total=Measurement.not_assessable(ID, "1", seen.reason or "not yet judged"),
        minimum=0.0,
        maximum=1.0,
        cells=cells,
        context={"slices": thickness + conversion, **_caveats(definition)},
        sources=basis.sources,
    )
    return blank if seen.reason else summed(blank)


def summed(scored: Score) -> Score:
    """The verdict of the 2009/2016 extent rule with its sentence."""
    values = {c.id: c.value for c in scored.cells}
    met = values[RULE_2009]
    if met is None:
        return replace(scored, total=Measurement.not_assessable(ID, "1", "extent not graded"), statement="")
    words = [f"ASAS 2009/2016 extent {'met' if met else 'not met'}"]
    words.append(f"2021 extent {'met' if values[RULE_2021] else 'not met'}")
    words.append("a lesion reaches 1 cm from the joint" if values[DEEP] else "no deep lesion")
    statement = "; ".join(words) + "; reader's judgement required"
    return replace(scored, total=Measurement.of(ID, float(bool(met)), "1"), statement=statement)


def _caveats(definition: ScoreDefinition) -> dict[str, str]:
    return {f"caveat {n}": c.text for n, c in enumerate(definition.claims.get("validity", ()), start=1)}


def _converted(definition: ScoreDefinition, seen: Scene) -> bool:
    return seen.spacing_mm < definition.number("slice_thickness_low")


def needed_slices(definition: ScoreDefinition, slices: float, spacing_mm: float) -> int:
    """How many of the exam's slices span as many millimetres as the rule's conventional slices; never fewer."""
    return max(int(slices), math.ceil(slices * definition.number("slice_thickness_low") / spacing_mm - 1e-6))


def _cells(definition: ScoreDefinition, seen: Scene) -> tuple[Cell, ...]:
    lit = sum(s.lit(q) for s in seen.slices for q in QUADRANTS)
    most = max((patches(s) for s in merged_sides(seen)), default=0)
    run = max((longest_run(seen, side) for side in SIDES), default=0)
    two = needed_slices(definition, definition.number("single_lesion_slices"), seen.spacing_mm)
    three = needed_slices(definition, definition.number("slices_2021"), seen.spacing_mm)
    rule_2009 = run >= two or most >= definition.number("lesions_on_one_slice")
    rule_2021 = run >= three or lit >= definition.number("quadrants_2021")
    deep = any(s.reaches_from_joint_to(definition.number("fat_depth_2021")) for s in seen.slices)
    volume = sum(int(s.own_edema.sum()) for s in seen.slices) * seen.voxel_mm3 / 1000
    return (
        Cell(RULE_2009, float(rule_2009)),
        Cell(RULE_2021, float(rule_2021)),
        Cell(DEEP, float(deep)),
        Cell(VOLUME, round(volume, 3)),
    )


def merged_sides(seen: Scene) -> list[tuple[JointSlice, JointSlice]]:
    """Right and left of each slice."""
    return list(zip(seen.side(SIDES[0]), seen.side(SIDES[1]), strict=True))


def patches(pair: tuple[JointSlice, JointSlice]) -> int:
    """Separate edema patches of one slice inside the joints' quadrants."""
    joined = pair[0].own_edema | pair[1].own_edema
    return int(ndimage.label(joined, structure=np.ones((3, 3)))[1])


def longest_run(seen: Scene, side: str) -> int:
    """Most consecutive slices that one connected lesion of a side is seen on."""
    planes = [s.own_edema for s in seen.side(side)]
    if not planes:
        return 0
    labels, count = ndimage.label(np.stack(planes), structure=np.ones((3, 3, 3)))
    spans = ndimage.find_objects(labels)
    return max((box[0].stop - box[0].start for box in spans[:count]), default=0)
