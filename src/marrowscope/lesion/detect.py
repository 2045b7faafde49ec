"""Lesions by a robust threshold over automatic reference marrow: the method for sites without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap
from marrowscope.lesion.background import drift, t1_ratio
from marrowscope.lesion.crop import crops
from marrowscope.lesion.double_line import DOUBLE_LINE, beside_line, inner_line, near_line
from marrowscope.lesion.growth_plate import GROWTH_PLATE, without_plates
from marrowscope.lesion.objects import (
    CONNECTIVITY,
    Candidate,
    End,
    candidates,
    confidence,
    kind_of,
)
from marrowscope.lesion.reference import find_reference, interior_marrow, reference_check, without_reference
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import THRESHOLD, LesionKind, LesionObject, Objects, Reference
from marrowscope.robust import spread
from marrowscope.study import Role
from marrowscope.study.qc.extent import maybe_growing
from marrowscope.volume import AnyArray, Volume

FLUID_PERCENTILE = 99.5
"""Brightness of free fluid: this percentile of all tissue near the bones (joint fluid, vessels)."""

EDGE_ROUNDS = 3
"""Rounds in which an object's edge settles; further ones move no voxel of simulated lesions."""

HALF_MUSCLE = 0.5
"""Share of muscle's brightness below which reference marrow is no stable unit (fully suppressed fat)."""


@dataclass(frozen=True)
class Cutoff:
    """Relative brightness limits: (I - reference) / scale."""

    reference: float
    scale: float
    value: float
    low: float
    high: float


Narrowing = Callable[[BoolArray, AnyArray, Volume, Reference], BoolArray]
"""(bright marrow, evidence, the image they came from, reference marrow) to where edema is believed: what a site's model
adds to the threshold."""


def detect(exam: Exam, anatomy: Anatomy, narrow: Narrowing | None = None, chance: AnyArray | None = None) -> Objects:
    """Objects brighter than normal marrow by more than its noise and the class's minimum contrast.

    Args:
        exam, anatomy: what is searched. narrow: where edema is believed; everywhere by default. It is asked before
            objects are judged: a lesion in bright red marrow is not thrown out together with it.
        chance: a model's probability of edema on the exam's grid, if one looked.

    Abstains (no objects, a REFUSE check) when there is no marrow to search or no reference in it.
    """
    original, marrow = exam, interior_marrow(exam, anatomy)
    exam, t1 = _levelled(exam, anatomy, marrow)
    reference = find_reference(exam, anatomy, marrow)
    if reference is None:
        return without_reference(original, anatomy, THRESHOLD)
    smooth = smoothed(exam.image)
    noise_sd = spread(smooth[reference.mask.mask()])
    cutoff = _cutoff(exam, reference, noise_sd)
    relative = ((smooth - cutoff.reference) / cutoff.scale).astype(np.float32)
    searched = anatomy.bones.mask() & ~exam.unusable & ~anatomy.uncertain
    bright = _without_fat(_grown(relative, searched, cutoff.value, exam.image.spacing), relative, t1)
    plates, line = np.zeros_like(bright), np.zeros_like(bright)
    if maybe_growing(exam.study.patient):
        bright, plates = without_plates(bright, anatomy)
    if t1 is not None:
        line = inner_line(bright, relative, t1, np.where(searched, anatomy.bones.volume.array, 0))
    narrowed = narrow and _Narrow(
        narrow, relative, searched, near_line(line, exam.image.spacing), noise_sd / cutoff.scale
    )
    kept = _kept(exam, anatomy, bright & ~line, reference, narrowed)
    near_failure = ndimage.binary_dilation(exam.unusable) if exam.unusable.any() else exam.unusable
    kept = [(c, kind) for c, kind in kept if not _fat(c, t1, cutoff, near_failure, chance)]
    lesions, objects = _objects(exam, kept, cutoff)
    rim = anatomy.uncertain & (relative > cutoff.value)
    return Objects(
        exam=original,
        anatomy=anatomy,
        reference=reference,
        evidence=exam.image.with_array(relative),
        cutoff=cutoff.value,
        cutoff_low=cutoff.low,
        cutoff_high=cutoff.high,
        lesions=lesions,
        objects=beside_line(objects, lesions, line),
        kept_out=_kept_out(exam.image, rim, _of_kind(kept, None, bright.shape), plates, line),
        method=THRESHOLD,
        qc=(reference_check(reference),),
    )


def _kept_out(image: Volume, rim: BoolArray, vessels: BoolArray, plates: BoolArray, line: BoolArray) -> LabelMap:
    """What was left out, under the name of the first reason that holds for a voxel."""
    out = {"rim": rim, "vessel": vessels}
    for code, mask in ((GROWTH_PLATE, plates), (DOUBLE_LINE, line)):
        out[code] = mask & ~np.logical_or.reduce(list(out.values()))
    return LabelMap.from_masks(image, out)


def _levelled(exam: Exam, anatomy: Anatomy, marrow: BoolArray) -> tuple[Exam, Volume | None]:
    """The exam without the slow drift of its marrow, and T1 over normal marrow's, None where none may judge objects."""
    t1 = t1_ratio(exam, anatomy, marrow)
    fatty = marrow if t1 is None else t1.array >= setting("reference", "t1_share")
    level = exam.image.array - drift(exam, anatomy, marrow, fatty).array
    exam = replace(exam, image=exam.image.with_array(level))
    # One that shows the bones elsewhere served as a rough guide to where fat is; no object is judged by it.
    return exam, None if anatomy.misplaced(Role.T1) else t1


@dataclass(frozen=True, eq=False)
class _Narrow:
    """What narrows the search, and what it is asked about; ``noise`` is of ``relative``."""

    rule: Narrowing
    relative: AnyArray
    searched: BoolArray
    near_line: BoolArray
    noise: float


def _kept(
    exam: Exam, anatomy: Anatomy, bright: BoolArray, reference: Reference, narrow: _Narrow | None
) -> list[tuple[Candidate, LesionKind | None]]:
    """Objects of the bright marrow and what each is (None = vessel)."""
    fluid, level = fluid_brightness(exam, anatomy, reference), reference.median
    kept = [(c, kind_of(c, level, fluid)) for c in candidates(bright, exam.image, level, anatomy.uncertain)]
    if narrow is None:
        return kept
    believed = narrow.rule(bright, narrow.relative, exam.image, reference) & _of_kind(
        kept, LesionKind.EDEMA, bright.shape
    )
    believed = _ended(believed, narrow, exam.image.spacing)
    parts = candidates(believed, exam.image, level, anatomy.uncertain)
    return [*((c, LesionKind.EDEMA) for c in parts), *((c, k) for c, k in kept if k is not LesionKind.EDEMA)]


def _of_kind(
    kept: list[tuple[Candidate, LesionKind | None]], wanted: LesionKind | None, shape: tuple[int, ...]
) -> BoolArray:
    """All voxels of the candidates of one kind; None = vessels."""
    mask = np.zeros(shape, dtype=bool)
    for candidate, kind in kept:
        if kind is wanted:
            mask[candidate.crop.box] |= candidate.crop.mask
    return mask


def _fat(
    candidate: Candidate, t1: Volume | None, cutoff: Cutoff, near_failure: BoolArray, chance: AnyArray | None
) -> bool:
    """Whether an object is fat that was not suppressed: only a little brighter, and no darker on T1 than marrow.

    Beside a part left out for failed suppression (``near_failure``) fat may be as bright as it likes. What a model
    (``chance``) is not sure of must be darker on T1: it may be red marrow.
    """
    if t1 is None:
        return False
    unsure = chance is not None and float(candidate.crop.values(chance).mean()) < setting("threshold", "unsure")
    limit = setting("threshold", "t1_kept_unsure" if unsure else "t1_kept")
    if float(np.median(candidate.crop.values(t1.array))) < limit:
        return False
    if candidate.crop.values(near_failure).any():
        return True
    contrast = (candidate.plateau - cutoff.reference) / cutoff.scale / cutoff.value
    return bool(contrast < setting("threshold", "t1_kept_contrast" if chance is None else "t1_kept_contrast_looked"))


def smoothed(image: Volume) -> AnyArray:
    """The image (its shape, float32) after a small in-plane Gaussian, so that noise frays no object's edge."""
    sigma = [setting("threshold", "smoothing_mm") / s for s in image.spacing]
    sigma[image.slice_axis] = 0.0
    return np.asarray(ndimage.gaussian_filter(image.array.astype(np.float32), sigma))


def _cutoff(exam: Exam, reference: Reference, noise_sd: float) -> Cutoff:
    muscle = reference.muscle or reference.median
    scale = max(reference.median, HALF_MUSCLE * muscle)
    noise = setting("threshold", "noise_factor") * noise_sd / scale
    value = max(noise, setting("threshold", "minimum_contrast", _class(exam)))
    share = setting("threshold", "interval_share")
    return Cutoff(reference.median, scale, value, value * (1 - share), value * (1 + share))


def _class(exam: Exam) -> str:
    name = exam.fluid.sequence_class.value
    return name if name in {"stir", "t2_fs", "dixon_water", "pd_fs"} else "unknown"


def _grown(relative: AnyArray, bright: BoolArray, cutoff: float, spacing: tuple[float, float, float]) -> BoolArray:
    """Bright parts with a core above the seed level, each ended part of the way from the marrow around to its plateau.

    Args:
        relative: brightness over reference. bright: where they may be. cutoff: their least brightness. spacing: in mm.
    """
    labels, _ = ndimage.label(bright & (relative >= cutoff), structure=CONNECTIVITY)
    kept = np.zeros_like(bright)
    smooth = ndimage.uniform_filter(relative, size=3)
    for crop in crops(labels, _margin(spacing)).values():
        if crop.values(smooth).max() < setting("threshold", "seed_factor") * cutoff:
            continue
        values, end = relative[crop.box], End("bright_part")
        kept[crop.box] |= crop.mask & (values >= _edge(values, crop.mask, bright[crop.box], cutoff, spacing, end))
    return kept


def _ended(believed: BoolArray, narrow: _Narrow, spacing: tuple[float, float, float]) -> BoolArray:
    """Lesions, each ended by its own plateau: it may have been cut out of a larger bright part."""
    labels, _ = ndimage.label(believed & (narrow.relative > 0), structure=CONNECTIVITY)
    kept = np.zeros_like(believed)
    for crop in crops(labels, _margin(spacing)).values():
        values, box = narrow.relative[crop.box], crop.box
        end = End("necrosis" if crop.values(narrow.near_line).any() else "lesion", narrow.noise)
        kept[box] |= crop.mask & (values >= _edge(values, crop.mask, narrow.searched[box], 0.0, spacing, end))
    return kept


def _margin(spacing: tuple[float, float, float]) -> int:
    return int(np.ceil(setting("threshold", "around_to_mm") / min(spacing)))


def _edge(
    values: AnyArray,
    mask: BoolArray,
    searched: BoolArray,
    cutoff: float,
    spacing: tuple[float, float, float],
    end: End,
) -> float:
    """Relative brightness at which an object ends: found in rounds, as what lies around it depends on where it ends."""
    plateau, around = end.plateau(values[mask]), 0.0
    near, far = setting("threshold", "around_from_mm"), setting("threshold", "around_to_mm")
    level = cutoff
    for _ in range(EDGE_ROUNDS):
        level = max(cutoff, around + end.share * (plateau - around))
        kept = mask & (values >= level)
        if 0 < kept.sum() < setting("threshold", "mostly_around") * mask.sum():
            plateau = end.plateau(values[kept])
        away = ndimage.distance_transform_edt(~kept, sampling=spacing)
        shell = values[searched & (away > near) & (away < far)]
        around = max(0.0, float(np.median(shell))) if shell.size else 0.0
    return level


def _without_fat(bright: BoolArray, relative: AnyArray, t1: Volume | None) -> BoolArray:
    """Objects cut down to their strong part where most of the rest is no darker on T1 than marrow.

    A lesion in a part of the bone where suppression is weak otherwise takes the whole part with it.
    """
    if t1 is None:
        return bright
    labels, _ = ndimage.label(bright, structure=CONNECTIVITY)
    kept = bright.copy()
    for crop in crops(labels, margin=0).values():
        peak = float(np.percentile(crop.values(relative), 98))
        strong = crop.mask & (relative[crop.box] >= End("bright_part").share * peak)
        rest = crop.mask & ~strong
        fatty = rest.sum() > strong.sum() and np.median(t1.array[crop.box][rest]) >= setting("threshold", "t1_kept")
        if fatty:
            kept[crop.box] &= ~rest
    return kept


def fluid_brightness(exam: Exam, anatomy: Anatomy, reference: Reference) -> float | None:
    """Brightness of free fluid near the bones, or None when nothing there is bright enough to be fluid."""
    near = ndimage.binary_dilation(anatomy.bones.mask(), iterations=4) & ~anatomy.bones.mask()
    if not near.any():
        return None
    brightest = float(np.percentile(exam.image.array[near], FLUID_PERCENTILE))
    tissue = max(reference.median, reference.muscle or 0.0)
    return brightest if brightest >= setting("cyst", "fluid_over_tissue") * tissue else None


def _objects(
    exam: Exam, kept: list[tuple[Candidate, LesionKind | None]], cutoff: Cutoff
) -> tuple[LabelMap, tuple[LesionObject, ...]]:
    array = np.zeros(exam.image.shape, dtype=np.uint16)
    objects: list[LesionObject] = []
    for candidate, kind in kept:
        if kind is None:
            continue
        label = len(objects) + 1
        array[candidate.crop.box][candidate.crop.mask] = label
        sure, reasons = confidence(candidate, cutoff.value, cutoff.reference, cutoff.scale)
        objects.append(LesionObject(label, kind, sure, reasons))
    names = {o.label: f"lesion_{o.label}" for o in objects}
    return LabelMap(exam.image.with_array(array), names), tuple(objects)
