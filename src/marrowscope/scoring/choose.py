"""Which scores apply to a site; each scorer is imported only when it is asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from marrowscope.lesion.types import Objects
from marrowscope.scoring.types import Score

Scorer = Callable[[Objects], Score]
"""A pure function of objects: no clock, no files, no randomness."""

SCORERS: dict[str, str] = {
    "moaks_bml": "marrowscope.scoring.moaks_bml:estimate",
    "worms_bml": "marrowscope.scoring.worms_bml:estimate",
    "kimriss_bml": "marrowscope.scoring.cell_count:estimate",
    "sparcc_sij": "marrowscope.scoring.sparcc_sij:estimate",
    "berlin_sij": "marrowscope.scoring.berlin_sij:estimate",
    "asas_sij": "marrowscope.scoring.asas_sij:estimate",
}
"""Score id (as in the site's data file) to ``module:function``."""


def estimate_scores(objects: Objects, ids: tuple[str, ...]) -> tuple[Score, ...]:
    """The scores of a site, estimated from the objects; ids without a scorer are left to a reader's form."""
    return tuple(_load(SCORERS[i])(objects) for i in ids if i in SCORERS)


def _load(path: str) -> Scorer:
    module, attribute = path.split(":")
    scorer: Scorer = getattr(importlib.import_module(module), attribute)
    return scorer
