"""What lies between a study and its lesions: the exam on one grid, and the bones found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.measurement import QcCheck
from marrowscope.study import Role, Series, Study
from marrowscope.volume import Volume


@dataclass(frozen=True, eq=False)
class Companion:
    """Another series, sampled on the fluid grid.

    Attributes:
        series: where it came from, on its own grid.
        placed: the series' own slices, where header or registration put them.
        volume: float32 on the fluid grid; meaningful only where ``covered``.
        covered: bool array on the fluid grid.
        similarity_before, similarity_after: normalised mutual information against the fluid series with
            header geometry alone and after rigid registration.
        registered: whether the rigid registration was kept.
    """

    series: Series
    placed: Volume
    volume: Volume
    covered: BoolArray
    similarity_before: float
    similarity_after: float
    registered: bool


@dataclass(frozen=True, eq=False)
class Exam:
    """A study made ready: one fluid series, its companions on its grid, site, side and quality.

    Attributes:
        study: where everything came from.
        fluid: the series that lesions are sized on.
        image: its intensities, float32, coil shading corrected; same grid as ``fluid.volume``.
        companions: other roles on the same grid.
        site: site name. side: ``left``, ``right``, ``both`` or empty when it cannot be told.
        qc: every check made so far.
        unusable: bool array on the grid: metal void with margin, failed suppression, outside coverage.
    """

    study: Study
    fluid: Series
    image: Volume
    companions: Mapping[Role, Companion]
    site: str
    side: str
    qc: tuple[QcCheck, ...]
    unusable: BoolArray

    def companion(self, role: Role) -> Companion | None:
        """The companion in that role, if the study has one."""
        return self.companions.get(role)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Bones and regions found in an exam.

    Attributes:
        bones: marrow of each bone on the fluid grid (cortex left out).
        regions: score subregions on the same grid; may be empty.
        depth_mm: distance of each voxel from the joint surface in mm (float32), or None.
        uncertain: the one-voxel rim at the cortex and chemical-shift side: never lesion.
        qc: verdicts of the segmenter.
        source: ``given mask``, ``classical`` or the model's id.
    """

    bones: LabelMap
    regions: LabelMap
    depth_mm: Volume | None
    uncertain: BoolArray
    qc: tuple[QcCheck, ...] = ()
    source: str = ""
    extras: Mapping[str, Volume] = field(default_factory=dict)

    def misplaced(self, role: Role) -> bool:
        """Whether the segmenter saw the bones elsewhere on that companion: it is not to be read voxel by voxel."""
        return any(check.code == elsewhere_code(role) for check in self.qc)


def elsewhere_code(role: Role) -> str:
    """Code of the check that says so."""
    return f"{role.value}_elsewhere"


class Segmenter(Protocol):
    """Finds the bones of one site. Abstains with a QcCheck of severity REFUSE, never by guessing."""

    def __call__(self, exam: Exam) -> Anatomy:
        """Bones and regions on the exam's grid; empty label maps when it abstains."""
        ...
