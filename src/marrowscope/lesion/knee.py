"""Edema of the knee: the model says where, the threshold rules say how far.

What is brighter than normal marrow may be fat that was not suppressed, a slice that grazes cartilage, or red marrow. An
object is therefore believed only where the knee model (``anatomy/knee_model.py``) sees edema with some marrow well
inside its bone, or where much marrow is plainly bright. The model does not draw outlines: it marks the brightest part,
while half the height between reference and plateau held the volume of simulated lesions. See docs/decisions/0013, 0020.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from marrowscope.anatomy.knee import within
from marrowscope.anatomy.knee_model import EDEMA, MODEL, OUTLINES
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.labelmap import BoolArray, LabelMap, box_around
from marrowscope.lesion import detect as threshold
from marrowscope.lesion.objects import CONNECTIVITY, End, candidates, opened_in_slices, within_reach
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Reference
from marrowscope.volume import AnyArray, Volume

SMALL_BONES = ("patella", "fibula")
"""Bones of few slices: one neighbouring slice must show them too, not both."""


def detect(exam: Exam, anatomy: Anatomy) -> Objects:
    """Objects of an exam; the plain threshold where the bones came without a probability."""
    chance = anatomy.extras.get(EDEMA)
    if chance is None:
        return threshold.detect(exam, anatomy)

    def believed(bright: BoolArray, evidence: AnyArray, image: Volume, reference: Reference) -> BoolArray:
        inner = deep(anatomy)
        sure = bright & inner & (chance.array > 0)  # nothing is carried to slices where the model doubts the bone
        thick = plain(sure, evidence, anatomy.bones.volume)
        found = seeds(exam, anatomy, inner, evidence, chance.array, reference.median)
        found |= large(thick, image, reference.muscle)
        near = reach(carried(found, thick, exam.image.spacing), exam.image.spacing)
        te_ms = exam.fluid.sequence.te_ms
        return near & ~unlikely(bright & near, image, chance.array, grazed(anatomy), reference, te_ms)

    rules = threshold.detect(exam, anatomy, believed, chance.array)
    if rules.reference is None:
        return rules
    array, objects = rules.lesions.volume.array.copy(), []
    beside = np.asarray(ndimage.binary_dilation(exam.unusable)) if exam.unusable.any() else exam.unusable
    for found in rules.objects:
        if found.kind is LesionKind.EDEMA:
            box, added = to_the_plate(rules, array == found.label)
            array[box][added & (array[box] == 0)] = found.label
        objects.append(_judged(found, rules.lesions.volume.array == found.label, chance.array, beside))
    return replace(
        rules,
        lesions=LabelMap(exam.image.with_array(array), rules.lesions.names),
        objects=tuple(objects),
        method=f"{rules.method}, where the {MODEL} model sees edema or much marrow is plainly bright",
    )


def seeds(
    exam: Exam, anatomy: Anatomy, inner: BoolArray, evidence: AnyArray, chance: AnyArray, reference: float
) -> BoolArray:
    """Where the model sees edema: likely, brighter than normal marrow, and partly well inside the bone.

    Args:
        exam, anatomy: what is searched. inner: :func:`deep` of it. evidence: brightness over reference.
        chance: the model's probability of edema. reference: brightness of normal marrow.
    """
    searched = anatomy.bones.mask() & ~exam.unusable & ~anatomy.uncertain
    cutoffs = setting("knee", "cutoff"), setting("knee", "cutoff_patella")
    likely = chance >= np.where(anatomy.bones.mask("patella"), cutoffs[1], cutoffs[0])
    marked = np.asarray(searched & likely & (evidence >= setting("knee", "least_contrast")))
    sure = cores(anatomy, inner) & (evidence >= setting("knee", "core_contrast"))
    found = np.zeros(marked.shape, dtype=bool)
    for candidate in candidates(marked, exam.image, reference, anatomy.uncertain):
        if candidate.crop.values(sure).any():
            found[candidate.crop.box] |= candidate.crop.mask
    return found


def large(thick: BoolArray, image: Volume, muscle: float | None) -> BoolArray:
    """The connected parts of :func:`plain` marrow that are too large for anything but edema, whatever the model says.

    Evenly bright, a whole condyle shows the model little but a border. Muscle taken for bone is as bright as muscle;
    edema of that size is brighter. None where muscle is not known.
    """
    parts, count = ndimage.label(thick, structure=CONNECTIVITY)
    kept = np.zeros(count + 1, dtype=bool)
    if muscle is not None and count:
        numbers = np.arange(1, count + 1)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * image.voxel_volume_mm3
        brighter = (
            np.asarray(ndimage.median(image.array, parts, numbers)) >= setting("knee", "plain_over_muscle") * muscle
        )
        kept[1:] = brighter & (sizes >= setting("knee", "plain_volume"))
    return np.asarray(kept[parts])


def unlikely(
    bright: BoolArray,
    image: Volume,
    chance: AnyArray,
    grazing: BoolArray,
    reference: Reference,
    te_ms: float | None = None,
) -> BoolArray:
    """Objects of ``bright`` that are no edema by the model's word or by their place.

    Those that lie almost whole on slices where it doubts the bone (joint fluid taken for bone), those hardly brighter
    than muscle of which it is not sure and darker ones of which it is not very sure (red marrow; none where muscle is
    not known), and large ones that no slice further in shows (cartilage and fluid on a slice that grazes the bone):
    edema so wide is thicker than a slice.

    Args:
        bright: what may be edema. image: level brightness. chance: the model's. grazing: :func:`grazed`.
        reference: normal marrow and muscle. te_ms: echo time, if known; early, edema is no brighter than muscle.
    """
    found = np.zeros(bright.shape, dtype=bool)
    muscle = reference.muscle or 0.0
    dim, dark = (setting("knee", name) * muscle for name in ("over_muscle", "under_muscle"))
    if te_ms is None or te_ms < setting("knee", "under_muscle", "from_te_ms"):
        dark = 0.0
    for candidate in candidates(bright, image, reference.median, found):
        chances = candidate.crop.values(chance)
        least = setting("knee", "sure_though_dark" if candidate.plateau < dark else "sure_though_dim")
        doubted = (chances == 0).mean() > setting("knee", "most_doubted")
        wide = candidate.crop.voxels * image.voxel_volume_mm3 >= setting("knee", "grazing_volume")
        outermost = wide and candidate.crop.values(grazing).mean() > setting("knee", "most_grazing")
        if doubted or outermost or (chances.mean() < least and candidate.plateau < dim):
            found[candidate.crop.box] |= candidate.crop.mask
    return found


def reach(found: BoolArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Everything within the reach of a seed; nothing where there is none."""
    return within_reach(found, spacing, setting("knee", "reach_mm"))


def carried(found: BoolArray, thick: BoolArray, spacing: tuple[float, float, float]) -> BoolArray:
    """The seeds, and the plainly bright marrow that goes on from them.

    A whole condyle full of water is one lesion, though the model marks a part of it only.

    Args:
        found: the seeds. thick: :func:`plain` marrow. spacing: mm.
    """
    start = thick & reach(found, spacing)
    if not start.any():
        return found
    return np.asarray(found | ndimage.binary_propagation(start, structure=CONNECTIVITY, mask=thick))


def plain(bright: BoolArray, evidence: AnyArray, grid: Volume) -> BoolArray:
    """Marrow much brighter than normal, deep in the bone and thick: cartilage, physis and vessels are not.

    Args:
        bright: deep marrow over the threshold. evidence: brightness over reference. grid: of them.
    """
    much = bright & (ndimage.uniform_filter(evidence, size=3) >= setting("knee", "plain_contrast"))
    return opened_in_slices(much, grid, setting("knee", "plain_thickness"))


def to_the_plate(rules: Objects, lesion: BoolArray) -> tuple[tuple[slice, ...], BoolArray]:
    """What belongs to a lesion in the rim that was left out of the search, and the box it lies in.

    The search stays away from the cortex, where cartilage and fluid shine in. A lesion that was found further inside
    goes on to the plate as far as the rim is as bright as the lesion: neither darker (cortex) nor brighter (fluid).
    """
    exam, anatomy, evidence = rules.exam, rules.anatomy, rules.evidence.array
    far, spacing = setting("knee", "rim_reach_mm"), np.array(exam.image.spacing)
    box = box_around(lesion, int(np.ceil(far / spacing.min())))
    values = evidence[lesion]
    most, end = np.percentile(values, 98), End("lesion")
    level = max(rules.cutoff, end.share * end.plateau(values))
    spacing[exam.image.slice_axis] = 1e3
    outlines = anatomy.extras.get(OUTLINES, anatomy.bones.volume).array[box] > 0
    rim = outlines & ~(anatomy.bones.mask()[box] & ~anatomy.uncertain[box]) & ~exam.unusable[box]
    near = ndimage.distance_transform_edt(~lesion[box], sampling=spacing) <= far
    return box, np.asarray(rim & near & (evidence[box] >= level) & (evidence[box] <= most))


def _judged(found: LesionObject, mask: BoolArray, chance: AnyArray, beside: BoolArray) -> LesionObject:
    """The object with what the model says of it, and less confidence where it touches what is left out (``beside``)."""
    reasons, sure = list(found.reasons), found.confidence
    if found.kind is LesionKind.EDEMA:
        likely = float(np.percentile(chance[mask], 90))
        reasons.append(f"probability of edema up to {likely:.2f} by the {MODEL} model")
    if beside[mask].any():
        sure *= setting("knee", "beside_left_out")
        reasons.append(
            "reaches the part left out for failed suppression or metal: its size is uncertain, it may be artefact"
        )
    return replace(found, confidence=sure, reasons=tuple(reasons))


def grazed(anatomy: Anatomy) -> BoolArray:
    """Marrow with none of its bone on the slice before or on the slice after, where there is one.

    Bones of few slices are left out.
    """
    size = [3 if axis == anatomy.bones.volume.slice_axis else 1 for axis in range(3)]
    outermost = np.zeros(anatomy.bones.volume.shape, dtype=bool)
    for code in set(anatomy.bones.codes) - set(SMALL_BONES):
        bone = anatomy.bones.mask(code)
        outermost |= bone & ~ndimage.minimum_filter(bone, size, mode="nearest")
    return outermost


def cores(anatomy: Anatomy, inner: BoolArray) -> BoolArray:
    """Marrow well inside its bone: a lesion needs some of it. ``inner`` is what :func:`deep` leaves.

    Cartilage and fluid beside the bone shine into its outermost millimetres, and a slice that only grazes a bone
    mixes it with what lies beside it.
    """
    axis = anatomy.bones.volume.slice_axis
    inside = inner.copy()
    for code in anatomy.bones.codes:
        bone = anatomy.bones.mask(code)
        before, after = _neighbour(bone, axis, 1), _neighbour(bone, axis, -1)
        inside &= ~bone | ((before | after) if code in SMALL_BONES else (before & after))
    return inside


def deep(anatomy: Anatomy) -> BoolArray:
    """Marrow beyond the reach of partial volume with what lies beside its bone, judged inside each slice."""
    grid = anatomy.bones.volume
    inside = np.zeros(grid.shape, dtype=bool)
    for code in anatomy.bones.codes:
        inside |= within(anatomy.bones.mask(code), grid, setting("knee", "core_depth"))
    return inside


def _neighbour(mask: BoolArray, axis: int, step: int) -> BoolArray:
    """The mask of the next slice at each slice; beyond the stack there is none."""
    moved = np.roll(mask, step, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, 1) if step > 0 else slice(-1, None)
    moved[tuple(edge)] = False
    return moved
