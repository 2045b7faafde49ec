"""SPARCC sacroiliac inflammation score (0-72): six slices, quadrants, intensity, depth. Numbers from knowledge."""

from __future__ import annotations

from dataclasses import replace

from marrowscope.knowledge.scores import ScoreDefinition, score
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement
from marrowscope.scoring.by_region import unsummed
from marrowscope.scoring.sij import QUADRANTS, SIDES, JointSlice, Scene, best_consecutive, scene
from marrowscope.scoring.types import Cell, Score

ID = "sparcc_sij"
DEFINITION = "sparcc_sij_inflammation"


def estimate(objects: Objects) -> Score:
    """The score of one exam."""
    return of_scene(scene(objects))


def of_scene(seen: Scene) -> Score:
    """The score of a scene: cells ``sliceN.SIDE.QUADRANT``, ``.intense`` and ``.deep`` (N from 1)."""
    definition = score(DEFINITION)
    chosen = [] if seen.reason else chosen_slices(seen, definition)
    cells = tuple(c for n, pair in enumerate(chosen, start=1) for s in pair for c in _cells(definition, n, s, seen.csf))
    context = {
        "intensity reference": "spinal fluid (csf): brightest tissue near the midline",
        "slices": ", ".join(str(pair[0].index + 1) for pair in chosen) or "none",
        "quadrant border": "half way up the joint seen on the slice",
    }
    basis = definition.range_basis
    blank = unsummed(
        ID,
        definition,
        cells,
        unit="{score}",
        context=context,
        sources=basis.sources if basis else (),
        reason=seen.reason,
    )
    return blank if seen.reason else summed(blank)


def chosen_slices(seen: Scene, definition: ScoreDefinition) -> list[tuple[JointSlice, JointSlice]]:
    """The six consecutive slices that show most of both joints; thinner slices than the score's are stepped over."""
    pairs = list(zip(seen.side(SIDES[0]), seen.side(SIDES[1]), strict=True))
    thinnest = score("asas_active_sacroiliitis").number("slice_thickness_low")
    step = max(1, round(thinnest / seen.spacing_mm)) if seen.spacing_mm < thinnest else 1
    pairs = pairs[::step]
    heights = [p[0].height_mm + p[1].height_mm for p in pairs]
    return [pairs[i] for i in best_consecutive(heights, int(definition.number("slices")))]


def _cells(definition: ScoreDefinition, number: int, part: JointSlice, csf: float | None) -> list[Cell]:
    name = f"slice{number}.{part.side}"
    upper_from, both_from = (definition.number(k) for k in ("height_upper_only_from", "height_both_from"))
    cells = []
    for quadrant in QUADRANTS:
        least = upper_from if quadrant.endswith("upper") else both_from
        exists = part.height_mm > upper_from and (quadrant.endswith("upper") or part.height_mm >= both_from)
        why = "" if exists else f"joint {part.height_mm:.0f} mm high here; scored from {least:.0f} mm"
        value = definition.number("points_per_quadrant") * part.lit(quadrant)
        cells.append(Cell(f"{name}.{quadrant}", value if exists else None, why))
    scored = any(c.value for c in cells)
    brightest = part.brightest()
    intense = (
        csf is not None and brightest is not None and brightest >= definition.number("intensity_fluid_fraction") * csf
    )
    no_fluid = "" if csf is not None else "spinal fluid not in view"
    points = definition.number("points_intense") * (scored and intense)
    cells.append(Cell(f"{name}.intense", None if no_fluid else points, no_fluid))
    deep = scored and part.reaches_from_joint_to(definition.number("depth"))
    cells.append(Cell(f"{name}.deep", definition.number("points_deep") * deep))
    return cells


def summed(scored: Score) -> Score:
    """The score with total and statement recomputed from its cells; quadrants that do not exist count nothing."""
    definition = score(DEFINITION)
    numbers = sorted({c.id.partition(".")[0] for c in scored.cells})
    missing = [c for c in scored.cells if c.value is None and c.id.endswith("intense")]
    wanted = int(definition.number("slices"))
    if len(numbers) < wanted:
        why = f"{len(numbers)} slices through the joints; the score needs {wanted}"
        return replace(scored, total=Measurement.not_assessable(ID, "{score}", why), statement=why)
    if missing:
        why = f"intensity not graded ({missing[0].reason})"
        return replace(scored, total=Measurement.not_assessable(ID, "{score}", why), statement=why)
    total = sum(c.value for c in scored.cells if c.value is not None)
    left_out = sum(c.value is None for c in scored.cells)
    extra = f"; {left_out} quadrants do not exist at this joint height" if left_out else ""
    words = f"{total:.0f} of {scored.maximum:.0f}, {scored.origin}; intense = as bright as spinal fluid{extra}"
    return replace(scored, total=Measurement.of(ID, float(total), "{score}"), statement=words)
