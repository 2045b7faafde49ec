"""What each subregion holds: the raw facts that graded scores turn into grades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from marrowscope.knowledge.load import KnowledgeError
from marrowscope.knowledge.scores import ScoreDefinition
from marrowscope.lesion.types import LesionKind, Objects, Verdict
from marrowscope.measurement import Measurement
from marrowscope.scoring.types import Cell, Score

LARGEST_BLOCKED_SHARE = 0.5
"""A subregion of which more than half lies in failed suppression, metal or outside coverage is not graded."""


@dataclass(frozen=True)
class RegionContent:
    """One subregion.

    Attributes:
        code: region code. voxels: its usable voxels; 0 with ``reason`` when it cannot be graded.
        edema, cyst: voxels of objects nobody rejected. lesions: edema objects that reach into it.
        reason: why it cannot be graded, else empty.
    """

    code: str
    voxels: int
    edema: int = 0
    cyst: int = 0
    lesions: int = 0
    reason: str = ""

    @property
    def edema_percent(self) -> float:
        """Edema, % of the region."""
        return 100.0 * self.edema / self.voxels

    @property
    def filled_percent(self) -> float:
        """Edema and cyst together, % of the region."""
        return 100.0 * (self.edema + self.cyst) / self.voxels

    @property
    def edema_share_percent(self) -> float:
        """Share of the filled part that is edema and not cyst, %; 0 where nothing is filled."""
        filled = self.edema + self.cyst
        return 100.0 * self.edema / filled if filled else 0.0


def contents(objects: Objects, codes: Iterable[str]) -> tuple[RegionContent, ...]:
    """The content of each named subregion, in order."""
    kinds = {o.label: o.kind for o in objects.objects if o.verdict is not Verdict.REJECTED}
    if objects.reference is None:
        return tuple(RegionContent(code, 0, reason="no reference marrow") for code in codes)
    if not objects.anatomy.regions.names:
        why = "no subregions: side or bones could not be told"
        return tuple(RegionContent(code, 0, reason=why) for code in codes)
    totals, inside = _counts(objects)
    labels = {name: label for label, name in objects.anatomy.regions.names.items()}
    nothing = np.zeros(inside.shape[1], dtype=np.int64)
    return tuple(
        _content(code, int(totals[labels[code]]), inside[labels[code]], kinds)
        if code in labels
        else _content(code, 0, nothing, kinds)
        for code in codes
    )


def _counts(objects: Objects) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Voxels of each region (by label), and usable ones of each region and lesion (0 = no lesion)."""
    regions, lesions = objects.anatomy.regions.volume.array, objects.lesions.volume.array
    rows, columns = max(objects.anatomy.regions.names) + 1, int(lesions.max()) + 1
    within = regions > 0
    region = regions[within].astype(np.int64)
    usable = ~objects.exam.unusable[within]
    both = region[usable] * columns + lesions[within][usable]
    inside = np.bincount(both, minlength=rows * columns).reshape(rows, columns)
    return np.bincount(region, minlength=rows), inside


def _content(code: str, total: int, inside: npt.NDArray[np.int64], kinds: Mapping[int, LesionKind]) -> RegionContent:
    free = int(inside.sum())
    if not total:
        return RegionContent(code, 0, reason="not in view")
    if free < (1 - LARGEST_BLOCKED_SHARE) * total:
        return RegionContent(code, 0, reason="more than half of it lies in unusable image")
    found = {int(n): int(inside[n]) for n in np.flatnonzero(inside) if int(n) in kinds}
    edema = [n for n in found if kinds[n] is LesionKind.EDEMA]
    cyst = sum(c for n, c in found.items() if kinds[n] is LesionKind.CYST)
    return RegionContent(code, free, sum(found[n] for n in edema), cyst, len(edema))


def attainable(definition: ScoreDefinition) -> tuple[float, float]:
    """Lowest and highest total of a score.

    Raises:
        KnowledgeError: the definition states no range.
    """
    if definition.low is None or definition.high is None:
        raise KnowledgeError(f"score {definition.id!r} has no range", "a lowest and a highest total")
    return definition.low, definition.high


def unsummed(
    score_id: str,
    definition: ScoreDefinition,
    cells: tuple[Cell, ...],
    *,
    unit: str,
    context: Mapping[str, str],
    sources: tuple[str, ...],
    reason: str = "",
) -> Score:
    """A score with its cells and range, its total yet to be summed, or not assessable for the reason given."""
    lowest, highest = attainable(definition)
    total = Measurement.not_assessable(score_id, unit, reason or "not yet summed")
    return Score(score_id, definition.short, total, lowest, highest, cells, context=context, sources=sources)


def with_sum(score: Score, suffix: str, unit: str) -> Score:
    """The score with its total recomputed: the sum of cells ending in ``suffix``; all must have a grade."""
    counted = [c for c in score.cells if c.id.endswith(suffix)]
    missing = [c for c in counted if c.value is None]
    if missing:
        why = f"{len(missing)} of {len(counted)} parts not graded ({missing[0].reason})"
        return replace(score, total=Measurement.not_assessable(score.id, unit, why), statement=why)
    total = sum(c.value for c in counted if c.value is not None)
    return replace(score, total=Measurement.of(score.id, total, unit), statement="")


def graded(code: str, value: float | None, reason: str) -> Cell:
    """A cell with its grade, or with the reason there is none."""
    return Cell(code, None if reason else value, reason)
