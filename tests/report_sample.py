"""A small made-up exam for the report's tests: two bones, bright marrow, a cyst, in any orientation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowscope.anatomy.types import Anatomy, Companion, Exam
from marrowscope.assessment.pipeline import conclude
from marrowscope.assessment.types import Assessment
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Reference
from marrowscope.measurement import QcCheck, Severity
from marrowscope.study import Reason, Refusal, Role, Sequence, SequenceClass, Series, Study
from marrowscope.volume import FloatArray, Volume

SHAPE = (96, 112, 18)
SAGITTAL = np.array([[0.0, 0.0, 4.0, -30.0], [1.2, 0.0, 0.0, -60.0], [0.0, -1.2, 0.0, 70.0], [0.0, 0.0, 0.0, 1.0]])
"""Columns run to posterior, rows to the feet, slices to the patient's left; 1.2 x 1.2 x 4 mm."""


def ball(grid: Volume, centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """Where grid points lie within ``radius_mm`` of the voxel ``centre``."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    step = (index - np.array(centre)) * np.array(grid.spacing)
    return np.asarray(np.linalg.norm(step, axis=-1) <= radius_mm)


def box(grid: Volume, rows: slice, columns: slice = slice(20, 76)) -> np.ndarray:
    mask = np.zeros(grid.shape, dtype=bool)
    mask[columns, rows, 2:16] = True
    return mask


def sample_objects(affine: FloatArray = SAGITTAL, lesions: int = 2, flip: int | None = None) -> Objects:
    """Femur above tibia, with up to one edema and one cyst in the femur.

    Args:
        affine: of the grid. lesions: how many. flip: index axis along which every array runs backwards.
    """
    grid = Volume(np.zeros(SHAPE, dtype=np.float32), affine)
    femur, tibia = box(grid, slice(8, 50)), box(grid, slice(58, 104))
    noise = np.random.default_rng(5).normal(0, 6, SHAPE)
    edema, cyst = ball(grid, (40, 38, 9), 9.0), ball(grid, (62, 40, 6), 4.0)
    found = {"lesion_1": edema, "lesion_2": cyst}
    found = dict(list(found.items())[:lesions])
    fluid = np.where(femur | tibia, 90.0, 180.0) + noise
    fluid[box(grid, slice(50, 58))] = 320
    t1 = np.where(femur | tibia, 400.0, 150.0) + noise
    for mask in found.values():
        fluid[mask], t1[mask] = 300, 180
    bones = {"femur": femur, "tibia": tibia}
    if flip is not None:
        fluid, t1 = np.flip(fluid, flip), np.flip(t1, flip)
        bones, found = ({k: np.flip(v, flip) for k, v in masks.items()} for masks in (bones, found))
    return _objects(grid, fluid.astype(np.float32), t1.astype(np.float32), bones, found)


def series(uid: str, role: Role, kind: SequenceClass, volume: Volume, description: str) -> Series:
    reasons = (Reason("physics", "TE 40 ms, TR 3200 ms, fat suppressed"),)
    return Series(uid, len(uid), description, role, kind, reasons, Sequence(), volume)


def _objects(
    grid: Volume,
    fluid: np.ndarray,
    t1: np.ndarray,
    bones: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
) -> Objects:
    image = grid.with_array(fluid)
    first = series("1.2.3.1", Role.FLUID, SequenceClass.PD_FS, image, "PD FS <sag> & more")
    second = series("1.2.3.10", Role.T1, SequenceClass.T1, grid.with_array(t1), "T1")
    study = Study("nifti", (first, second), (Refusal("series 9", "localizer", "three orientations in one series"),))
    study = replace(study, study_date="2025-03-01", input_hash="ab" * 32)
    companion = Companion(second, second.volume, grid.with_array(t1), np.ones(SHAPE, dtype=bool), 1.08, 1.11, True)
    qc = (
        QcCheck(
            "fat_suppression", Severity.WARNING, "fat is bright at the edge", "those slices are left out", slices=(0, 1)
        ),
        QcCheck("motion", Severity.OK, "no ghosting"),
    )
    exam = Exam(study, first, image, {Role.T1: companion}, "knee", "left", qc, np.zeros(SHAPE, dtype=bool))
    labels = LabelMap.from_masks(grid, bones)
    anatomy = Anatomy(labels, LabelMap.empty(grid), None, np.zeros(SHAPE, dtype=bool), source="made up")
    normal = LabelMap.from_masks(grid, {"reference": bones["tibia"]})
    reference = Reference(90.0, 6.0, 180.0, True, "darker than muscle, brighter than fat", normal)
    kinds = (LesionKind.EDEMA, LesionKind.CYST)
    objects = tuple(
        LesionObject(n, kinds[n - 1], 0.9 / n, ("brightest part 2.1 times the cut-off",))
        for n in range(1, len(found) + 1)
    )
    evidence = grid.with_array(fluid / 90.0)
    lesions = LabelMap.from_masks(grid, found)
    empty = LabelMap.empty(grid)
    return Objects(exam, anatomy, reference, evidence, 1.6, 1.4, 1.8, lesions, objects, empty, "threshold")


def sample_assessment(objects: Objects | None = None) -> Assessment:
    """The assessment of the sample."""
    return conclude(objects or sample_objects())
