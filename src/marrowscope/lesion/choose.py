"""Which detector looks for lesions at a site; imported only when it is asked."""

from __future__ import annotations

import importlib

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.lesion.types import Detector, Objects

DETECTORS: dict[str, str] = {
    "knee": "marrowscope.lesion.knee:detect",
    "si_joint": "marrowscope.lesion.si_joint:detect",
}
"""Site to learned detector; every other site uses the robust threshold."""

THRESHOLD = "marrowscope.lesion.detect:detect"


def detect_lesions(exam: Exam, anatomy: Anatomy) -> Objects:
    """The lesions of an exam by its site's detector."""
    module, attribute = DETECTORS.get(exam.site, THRESHOLD).split(":")
    detector: Detector = getattr(importlib.import_module(module), attribute)
    return detector(exam, anatomy)
