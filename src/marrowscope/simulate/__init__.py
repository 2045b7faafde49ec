"""MR physics on label maps: studies with known truth.

Tissues (:mod:`.tissues`) fill a fine grid (:mod:`.tissue_map`); a sequence (:mod:`.signal`) gives each its water and
fat signal; slices are averaged out of the grid (:mod:`.sampling`) and spoilt as scanners spoil them
(:mod:`.artefacts`, put in order by :mod:`.scanner`). The built-in knee (:mod:`.anatomy`, :mod:`.marrow`,
:mod:`.lesions`) is put together by :func:`knee` and written by :func:`write_dicom` and :func:`write_truth`.
"""

from __future__ import annotations

from marrowscope.simulate.dicom import write_dicom
from marrowscope.simulate.lesions import LesionRequest, LesionTruth
from marrowscope.simulate.marrow import Mimics
from marrowscope.simulate.study import Fault, KneeOptions, SimulatedSeries, SimulatedStudy, Truth, knee
from marrowscope.simulate.truth import truth_data, write_truth

__all__ = [
    "Fault",
    "KneeOptions",
    "LesionRequest",
    "LesionTruth",
    "Mimics",
    "SimulatedSeries",
    "SimulatedStudy",
    "Truth",
    "knee",
    "truth_data",
    "write_dicom",
    "write_truth",
]
