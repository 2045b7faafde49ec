"""Lesions of the sacroiliac joints by boosted trees on voxel features, with a cut-off that adapts to the exam.

The cut-off is the one that maximises the Dice expected from the probabilities themselves (Lipton 2014: the best cut
for F1 is half of the best attainable F1): where the trees are sure it is high, where lesions are faint it is low.
Nothing about it was fitted to a case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.anatomy.si_model import working
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.inference import load_card, load_model
from marrowscope.inference.card import ModelCard
from marrowscope.inference.slices import SliceStack, onto_grid
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion.crop import crops
from marrowscope.lesion.detect import detect as threshold
from marrowscope.lesion.objects import CONNECTIVITY
from marrowscope.lesion.reference import find_reference, reference_check, without_reference
from marrowscope.lesion.settings import setting
from marrowscope.lesion.si_features import FAR_MM, PIXEL_MM, Marrow, features
from marrowscope.lesion.types import LesionKind, LesionObject, Objects
from marrowscope.study import Role
from marrowscope.volume import Volume

MODEL = "si_lesion"
Float32 = npt.NDArray[np.float32]

FAINT = 0.02
"""Where one fold of the trees gives less than this the others are not asked: a tenth of any cut-off in use."""

SURE = 0.8
"""Nor where it gives this or more: the mean of all is 0.58 there at least, beyond any cut-off in use (six exams, five
of them seen in training by all folds but one: on a stranger's they may disagree more; then the sure one decides)."""

BONE_NUMBERS = {"sacrum": 1, "left_ilium": 2, "right_ilium": 2, "lumbar_body": 3}
"""The trees' numbers for the bones."""


def detect(exam: Exam, anatomy: Anatomy, fold: int | None = None) -> Objects:
    """Lesions in the bones that the segmenter found.

    Args:
        exam, anatomy: what is searched. fold: one fold of the trees only (benchmarks).

    Abstains (no objects, a REFUSE check) when there is no marrow or no reference marrow.
    """
    if anatomy.bones.codes and not set(anatomy.bones.codes) & set(BONE_NUMBERS):
        return threshold(exam, anatomy)  # a mask given without bone names: the trees need to know the bone
    reference = find_reference(exam, anatomy)
    if reference is None:
        return without_reference(exam, anatomy, MODEL)
    card = load_card(MODEL)
    dim = dimmer_than_muscle(exam.image, reference.muscle, card.settings["least_over_muscle"])
    probability = np.where(exam.unusable | dim, 0, probabilities(exam, anatomy, fold)).astype(np.float32)
    cutoff = expected_dice_cutoff(probability, *card.settings["cutoff_range"])
    spill = spilled(exam.image, probability >= cutoff, anatomy.bones.mask())
    lesions, objects = _objects(exam.image, np.where(spill, np.float32(0), probability), cutoff, card)
    low, high = card.settings["interval_factors"]
    return Objects(
        exam=exam,
        anatomy=anatomy,
        reference=reference,
        evidence=exam.image.with_array(probability),
        cutoff=cutoff,
        cutoff_low=cutoff * low,
        cutoff_high=min(cutoff * high, card.settings["cutoff_highest"]),
        lesions=lesions,
        objects=objects,
        kept_out=LabelMap.from_masks(exam.image, {"rim": spill}),
        method=card.id,
        qc=(reference_check(reference),),
    )


def dimmer_than_muscle(image: Volume, muscle: float | None, least: float) -> BoolArray:
    """Voxels not brighter than ``least`` times muscle: edema is (T2 of free water), joint cartilage is not.

    Where STIR nulls fat well, marrow is darker than muscle and the cartilage of a wide joint, which the search region
    holds, stands out against it. Nowhere, when muscle is not known.
    """
    if muscle is None:
        return np.zeros(image.shape, dtype=bool)
    sigma = [0.0 if axis == image.slice_axis else PIXEL_MM / mm for axis, mm in enumerate(image.spacing)]
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), sigma)
    return np.asarray(smooth < least * muscle)


def probabilities(exam: Exam, anatomy: Anatomy, fold: int | None = None) -> Float32:
    """Chance of edema of every voxel, on the exam's grid; 0 outside bone and in marrow darker than reference."""
    stack = working(exam.fluid.volume, PIXEL_MM)
    marrow = marrow_of(exam, anatomy, stack)
    answer = np.zeros(marrow.region.shape, dtype=np.float32)
    if marrow.region.any():
        rows, at = features(marrow)
        if len(rows):
            answer.ravel()[at] = _chances(rows, fold)
    return np.asarray(onto_grid(stack, np.moveaxis(answer, 2, 0)) * anatomy.bones.mask(), dtype=np.float32)


def _chances(rows: Float32, fold: int | None) -> Float32:
    """Chance of each row: the mean of all folds where the first is neither sure nor sees nothing, else what it says."""
    model = load_model(MODEL)
    first, *others = sorted(model.sessions) if fold is None else [fold]
    chance = model.run(rows, first)[:, 0]
    open_ = (chance >= FAINT) & (chance < SURE)
    if others and open_.any():
        part = rows[open_]
        total = chance[open_] + sum(model.run(part, other)[:, 0] for other in others)
        chance[open_] = total / (1 + len(others))
    return chance


def marrow_of(exam: Exam, anatomy: Anatomy, stack: SliceStack) -> Marrow:
    """The exam as the trees see it, on the working grid of ``stack``."""
    t1 = exam.companion(Role.T1)
    bone = np.zeros(stack.grid.shape, dtype=np.uint8)
    for code, number in BONE_NUMBERS.items():
        mask = anatomy.bones.mask(code)
        if mask.any():
            bone[turned(exam.image.with_array(mask.astype(np.float32))) > 0.5] = number
    covered = None if t1 is None else turned(t1.volume)
    return Marrow(np.moveaxis(stack.array, 0, 2), covered, bone > 0, bone, stack.grid.spacing[2])


def turned(volume: Volume) -> Float32:
    """A volume's array on the working grid, axes (to the left, to the head, slice)."""
    return np.moveaxis(working(volume, PIXEL_MM).array, 0, 2)


def expected_dice_cutoff(probability: Float32, lowest: float, highest: float) -> float:
    """The cut-off whose expected Dice, computed from the probabilities alone, is largest, within a range.

    Args:
        probability: any shape. lowest, highest: range; the lowest keeps exams without lesions clean.
    """
    ordered = np.sort(probability[probability > 0].astype(np.float64))[::-1]
    if not ordered.size:
        return highest
    expected = 2 * np.cumsum(ordered) / (np.arange(1, ordered.size + 1) + ordered.sum())
    return float(np.clip(ordered[int(np.argmax(expected))], lowest, highest))


def spilled(grid: Volume, edema: BoolArray, marrow: BoolArray) -> BoolArray:
    """Small objects at the border of the marrow beside something brighter outside it.

    Args:
        grid: the fluid image. edema: all objects on it. marrow: what was searched.
    """
    most, far = setting("si_joint", "spilled_volume"), setting("si_joint", "spilled_reach")
    reach = [0 if axis == grid.slice_axis else round(far / mm) for axis, mm in enumerate(grid.spacing)]
    spacing = [FAR_MM if axis == grid.slice_axis else mm for axis, mm in enumerate(grid.spacing)]
    labels, _ = ndimage.label(edema, structure=CONNECTIVITY)
    found = np.zeros(edema.shape, dtype=bool)
    for crop in crops(labels, max(reach) + 1).values():
        if crop.voxels * grid.voxel_volume_mm3 >= most:
            continue
        inside = marrow[crop.box]
        depth = ndimage.distance_transform_edt(inside, sampling=spacing)[crop.mask]
        outside = np.where(inside, 0, grid.array[crop.box])
        near = ndimage.maximum_filter(outside, size=[2 * n + 1 for n in reach], mode="constant")[crop.mask]
        if np.median(depth) <= far and np.median(near) > np.median(crop.values(grid.array)):
            found[crop.box] |= crop.mask
    return found


def _objects(
    grid: Volume, probability: Float32, cutoff: float, card: ModelCard
) -> tuple[LabelMap, tuple[LesionObject, ...]]:
    labels, count = ndimage.label(probability >= cutoff, structure=CONNECTIVITY)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_volume_mm3
    surest = ndimage.maximum(probability, labels, np.arange(count + 1))
    core, least = card.settings["core_probability"], setting("si_joint", "minimum_volume")
    kept = [n for n in range(1, count + 1) if sizes[n] >= least and surest[n] >= core]
    kept.sort(key=lambda n: (-sizes[n], n))
    new = np.zeros(count + 1, dtype=np.uint16)
    new[kept] = np.arange(1, len(kept) + 1)
    array = new[labels]
    numbers = range(1, len(kept) + 1)
    means = ndimage.mean(probability, array, list(numbers)) if kept else []
    objects = tuple(
        _object(label, float(mean), sizes[old], card) for label, mean, old in zip(numbers, means, kept, strict=True)
    )
    return LabelMap(grid.with_array(array), {o.label: f"lesion_{o.label}" for o in objects}), objects


def _object(label: int, mean: float, volume_mm3: float, card: ModelCard) -> LesionObject:
    """Confidence: logistic in mean probability and log volume, fitted on held-out patients (see the card)."""
    a, b, c = card.settings["confidence"]
    sure = 1 / (1 + np.exp(-(a + b * mean + c * np.log10(volume_mm3))))
    reasons = (f"mean voxel probability {mean:.2f}", f"{volume_mm3 / 1000:.2f} cm3")
    return LesionObject(label, LesionKind.EDEMA, float(sure), reasons)
