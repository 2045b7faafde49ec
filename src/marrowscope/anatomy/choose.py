"""Which segmenter finds the bones of a site, in order of trust; each is imported only when it is asked."""

from __future__ import annotations

import importlib
from pathlib import Path

from marrowscope.anatomy.types import Anatomy, Exam, Segmenter
from marrowscope.measurement import Severity
from marrowscope.volume import Volume

SEGMENTERS: dict[str, tuple[str, ...]] = {
    "knee": ("marrowscope.anatomy.knee:segment",),
    "si_joint": ("marrowscope.anatomy.si_joint:segment",),
}
"""Site to segmenters, best first; the next is asked only when one abstains."""


def segment(exam: Exam, bones: Path | Volume | None = None) -> Anatomy:
    """Bones and regions of an exam.

    Args:
        exam: what ``prepare`` made.
        bones: a mask given by the user instead (label map file, or volume), which then is the search region.

    Returns:
        The first segmenter's result that does not abstain; else the last one's, empty, with its verdict.
    """
    from marrowscope.anatomy import given

    if bones is not None:
        return given.segment(exam, bones)
    result = given.abstain(exam, "no segmenter for this site", "give the bones with --bones FILE")
    for path in SEGMENTERS.get(exam.site, ()):
        result = _load(path)(exam)
        if all(check.severity is not Severity.REFUSE for check in result.qc):
            return result
    return result


def _load(path: str) -> Segmenter:
    module, attribute = path.split(":")
    segmenter: Segmenter = getattr(importlib.import_module(module), attribute)
    return segmenter
