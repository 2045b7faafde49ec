"""Simulated examinations of real knee label maps, under contrasts and faults the model was not trained on."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from marrowscope.labelmap import BoolArray
from marrowscope.simulate.limb.scan import Limb, grow, scan, tissue_map, truth_on
from marrowscope.simulate.limb.source import load
from marrowscope.simulate.protocols import SeriesProtocol, load_protocol
from marrowscope.simulate.scanner import Imperfections
from marrowscope.simulate.signal import Sequence as Timing
from marrowscope.simulate.tissues import TissueTable, load_tissues
from marrowscope.study import Guess, Role, Sequence, SequenceClass, Series, Study
from marrowscope.volume import Volume

T1_PROTOCOL = "t1_cor"
CENTRE_MM = (0.0, 1.0, 2.0)
"""Middle of the stacks, LPS mm from the middle of the joint."""


@dataclass(frozen=True)
class Condition:
    """How a case is scanned.

    Attributes:
        name: words for the table. protocol: series of ``simulate/data/protocols.yaml`` it starts from.
        field_t: field of the tissue table. te_ms: echo time; None keeps the protocol's.
        matrix, thickness_mm: in-plane matrix and slice thickness.
        faults: what the scanner gets wrong. t1_factor: T1 of all water against the table, as at another field.
    """

    name: str
    protocol: str
    field_t: float
    te_ms: float | None
    matrix: tuple[int, int]
    thickness_mm: float
    faults: Imperfections
    t1_factor: float = 1.0

    @property
    def sequence_class(self) -> SequenceClass:
        """Contrast class of the fluid series."""
        return SequenceClass(self.protocol.removesuffix("_sag").removesuffix("_cor"))


_PLAIN = Imperfections(noise=0.05, residual=0.05, shim_ppm=0.3, flip=0.04, shading=0.3)

CONDITIONS = (
    Condition("PD-FS sagittal 3 T, TE 10, 512 pixels", "pd_fs_sag", 3.0, 10.0, (512, 512), 3.0, _PLAIN),
    Condition("T2-FS sagittal 1.5 T, TE 98, 5 mm", "t2_fs_sag", 1.5, 98.0, (256, 256), 5.0, _PLAIN),
    Condition(
        "STIR sagittal 1.5 T, TE 85, motion ghosts",
        "stir_sag", 1.5, 85.0, (256, 192), 3.5, replace(_PLAIN, motion_px=0.8),
    ),
    Condition("PD-FS coronal 3 T, TE 55", "pd_fs_cor", 3.0, 55.0, (320, 256), 3.5, _PLAIN),
    Condition(
        "PD-FS sagittal, T1 as at 1 T, noise 15 % of muscle, strong shading",
        "pd_fs_sag", 1.5, None, (256, 256), 4.0, replace(_PLAIN, noise=0.15, shading=0.8), 0.85,
    ),
)  # fmt: skip
"""Echo times, thickness and faults outside what ``training/knee/images.py`` draws."""


@dataclass(frozen=True, eq=False)
class Case:
    """One simulated examination with its truth on the fluid grid.

    Attributes:
        name: map and condition. study: what the program is shown.
        bones: true outlines by name. lesions: true edema. limb: where both came from.
    """

    name: str
    condition: Condition
    study: Study
    bones: Mapping[str, BoolArray]
    lesions: BoolArray
    limb: Limb


def subject_of(path: Path) -> str:
    """Whose knee a map is: its name up to the first underscore; visits share it."""
    return path.name.removesuffix(".gz").removesuffix(".nii").split("_")[0]


def simulate_case(path: Path, condition: Condition, seed: int) -> Case:
    """Grow a limb around a map, scan fluid and T1 series, and keep the truth.

    Raises:
        StudyError: the file is no knee label map.
    """
    rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
    side = str(rng.choice(["left", "right"]))
    limb = grow(load(path), side, rng)
    return scan_case(path.name, limb, condition, rng)


def scan_case(name: str, limb: Limb, condition: Condition, rng: np.random.Generator) -> Case:
    """Scan a limb under a condition."""
    table = _table(condition)
    tissues = tissue_map(limb, table, rng)
    fluid = _protocol(condition)
    t1 = load_protocol(T1_PROTOCOL, condition.field_t)
    images = [scan(tissues, table, p, condition.faults, p.grid(CENTRE_MM), rng) for p in (fluid, t1)]
    bones, lesions = truth_on(limb, images[0])
    return Case(f"{name} | {condition.name}", condition, _study(images, condition, limb.side), bones, lesions, limb)


def _table(condition: Condition) -> TissueTable:
    table = load_tissues(condition.field_t)
    if condition.t1_factor == 1.0:
        return table
    return table.scaled({t.name: {"t1_ms": condition.t1_factor} for t in table.tissues[1:] if t.t1_ms > 2 * t.t2_ms})


def _protocol(condition: Condition) -> SeriesProtocol:
    base = load_protocol(condition.protocol, condition.field_t)
    timing: Timing = base.sequence
    if condition.te_ms is not None:
        timing = replace(timing, te_ms=condition.te_ms)
    thinner = base.thickness_mm / condition.thickness_mm
    return replace(
        base,
        sequence=timing,
        matrix=condition.matrix,
        thickness_mm=condition.thickness_mm,
        slices=round(base.slices * thinner),
    )


def _study(images: list[Volume], condition: Condition, side: str) -> Study:
    kinds = ((Role.FLUID, condition.sequence_class), (Role.T1, SequenceClass.T1))
    series = tuple(
        Series(role.value, number, role.value, role, kind, (), Sequence(modality="MR"), image)
        for number, ((role, kind), image) in enumerate(zip(kinds, images, strict=True), start=1)
    )
    return Study("nifti", series, site=Guess("knee"), side=Guess(side), input_hash="0" * 64)
