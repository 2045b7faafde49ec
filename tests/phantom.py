"""A phantom exam: two marrow blocks in muscle and fat, with edema of known voxels. Not a simulated study."""

from __future__ import annotations

import numpy as np

from marrowscope.anatomy.prepare import prepare_exam
from marrowscope.anatomy.types import Exam
from marrowscope.labelmap import LabelMap
from marrowscope.progress import silent
from marrowscope.study import Guess, Role, Sequence, SequenceClass, Series, Study
from marrowscope.volume import Volume

SHAPE = (72, 72, 12)
MARROW, MUSCLE, FAT, EDEMA = (60.0, 300.0), (100.0, 90.0), (25.0, 400.0), (240.0, 110.0)
"""Brightness of each tissue on the fluid and on the T1 image."""

BONES = {"femur": np.s_[16:56, 8:32, 2:10], "tibia": np.s_[16:56, 40:64, 2:10]}
LESION = np.s_[24:36, 14:26, 4:8]


def grid(affine: np.ndarray | None = None) -> Volume:
    """The phantom's grid: 1 x 1 x 3 mm."""
    return Volume(np.zeros(SHAPE, dtype=np.float32), np.diag([1.0, 1.0, 3.0, 1.0]) if affine is None else affine)


def study(
    *, lesion: bool = True, seed: int = 1, noise: float = 4.0, affine: np.ndarray | None = None, t1: bool = True
) -> Study:
    """A NIfTI-like study of the phantom."""
    tissue = np.full(SHAPE, 1)
    tissue[:6], tissue[-6:] = 2, 2
    for box in BONES.values():
        tissue[box] = 0
    if lesion:
        tissue[LESION] = 3
    rng = np.random.default_rng(seed)
    table = np.array([MARROW, MUSCLE, FAT, EDEMA])
    images = [table[tissue, n] + rng.normal(0, noise, SHAPE) for n in (0, 1)]
    on = grid(affine)
    fluid, t1_image = (on.with_array(np.abs(i).astype(np.float32)) for i in images)
    series = [Series("fluid", 1, "fluid", Role.FLUID, SequenceClass.STIR, (), Sequence(modality="MR"), fluid)]
    if t1:
        series.append(Series("t1", 2, "t1", Role.T1, SequenceClass.T1, (), Sequence(modality="MR"), t1_image))
    return Study("nifti", tuple(series), site=Guess("knee"), side=Guess("left"), input_hash="0" * 64)


def exam(**choices: object) -> Exam:
    """The phantom, prepared."""
    return prepare_exam(study(**choices), None, None, silent)  # type: ignore[arg-type]


def bones(on: Volume) -> LabelMap:
    """The phantom's bones."""
    masks = {}
    for name, box in BONES.items():
        masks[name] = np.zeros(SHAPE, dtype=bool)
        masks[name][box] = True
    return LabelMap.from_masks(on, masks)


def lesion_mask() -> np.ndarray:
    """True voxels of the edema."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[LESION] = True
    return mask
