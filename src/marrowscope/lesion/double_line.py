"""The double line of osteonecrosis: the bright line inside its dark rim is granulation tissue, not edema.

Dead bone keeps its fat for long. It is walled off by a rim that is dark on every sequence, with a bright line along its
inner side on fluid-sensitive images (the double-line sign). Edema lies outside the rim. So, from the normal marrow
inwards, a slice shows dark (marrow), bright (edema), dark (rim), bright (line), dark (core): what is bright and reached
only through an enclosed dark rim is the line, if the core inside it is brighter on T1 than the rim. Where edema does
not surround the rim, the line is told by itself: a bright ring, or an arch that ends at the joint, whose core kept its
fat and whose surroundings did not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from marrowscope.labelmap import BoolArray, LabelMap, box_around
from marrowscope.lesion.crop import crops
from marrowscope.lesion.objects import CONNECTIVITY, within_reach
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionObject
from marrowscope.volume import AnyArray, Volume

DOUBLE_LINE = "double_line"
"""Code of the line among what was kept out."""

STRONG_PERCENTILE = 95.0
"""Percentile of a part's brightness that counts as its brightest."""

EIGHT = np.ones((3, 3), dtype=bool)

RING_MARGIN = 3
"""Voxels around a ring in which its rim is looked for: one for a cut bridge, two to the rim."""


@dataclass(frozen=True, eq=False)
class _Nest:
    """What one slice holds inside edema: dark marrow walled off by it, and what is bright in there."""

    walled: BoolArray
    line: BoolArray


def inner_line(bright: BoolArray, evidence: AnyArray, t1: Volume, bones: AnyArray) -> BoolArray:
    """Those voxels of ``bright`` that lie inside a dark rim around marrow that kept its fat.

    Args:
        bright: what may be edema. evidence: brightness over reference. t1: T1 brightness over that of normal marrow.
        bones: labels of the marrow searched, 0 = none. All on one grid.
    """
    axis = t1.slice_axis
    found, strong = np.zeros(bright.shape, dtype=bool), _strong(bright, evidence)
    lines, whole, peak, fat, marrow = (np.moveaxis(a, axis, 0) for a in (found, bright, strong, t1.array, bones))
    pixel = float(np.prod([t1.spacing[a] for a in t1.in_plane_axes]))
    nests = {int(n): _nest(whole[n], peak[n], marrow[n]) for n in np.flatnonzero(whole.any(axis=(1, 2)))}
    dead = {
        n: part
        for n, nest in nests.items()
        if (part := _dead(nest, fat[n], pixel) | _ringed(whole[n], peak[n], marrow[n], fat[n], pixel)).any()
    }
    for n, part in dead.items():
        lines[n] |= part & whole[n]
    waiting = sorted(dead)
    while waiting:  # further slices of the same dead bone, where the nest is open or only the cap of the line is seen
        n = waiting.pop()
        for beside in {n - 1, n + 1} & set(nests) - set(dead):
            part = _within(whole[beside], peak[beside], dead[n])
            if part.any():
                lines[beside] |= part
                dead[beside] = part | _between(part)
                waiting.append(beside)
    return found


def near_line(line: BoolArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Where the edema of the necrosis that a line belongs to lies, the line itself included."""
    return within_reach(line, spacing, setting("double_line", "edema_within_mm"))


def beside_line(objects: tuple[LesionObject, ...], lesions: LabelMap, line: BoolArray) -> tuple[LesionObject, ...]:
    """The objects, those around a double line with the reason why it is not counted with them."""
    if not line.any():
        return objects
    volume = float(line.sum()) * lesions.volume.voxel_volume_mm3 / 1000
    words = f"a bright line inside a dark rim (double-line sign, {volume:.2f} cm3) is not counted"
    mine = set(np.unique(lesions.volume.array[near_line(line, lesions.volume.spacing)]).tolist())
    return tuple(replace(o, reasons=(*o.reasons, words)) if o.label in mine else o for o in objects)


def _within(bright: BoolArray, strong: BoolArray, dead: BoolArray) -> BoolArray:
    """Parts of ``bright``, bridges cut, that lie in what is dead bone on the slice beside."""
    found, near = np.zeros_like(bright), ndimage.binary_dilation(dead)
    for seen, grown in _bridged(bright, strong)[1:]:
        parts, count = ndimage.label(seen, structure=EIGHT)
        if count:
            shares = np.asarray(ndimage.mean(near, parts, np.arange(1, count + 1)))
            mine = np.isin(parts, 1 + np.flatnonzero(shares >= setting("double_line", "share_of_cap")))
            found |= _regrown(mine, grown, bright)
    return found


def _strong(bright: BoolArray, evidence: AnyArray) -> BoolArray:
    """Of each connected part of ``bright`` what comes near its own brightest, as a blurred rim does not."""
    labels, _ = ndimage.label(bright, structure=CONNECTIVITY)
    strong = np.zeros_like(bright)
    for part in crops(labels, margin=0).values():
        values = evidence[part.box]
        least = setting("double_line", "strong_share") * float(np.percentile(values[part.mask], STRONG_PERCENTILE))
        strong[part.box] |= part.mask & (values >= least)
    return strong


def _nest(bright: BoolArray, strong: BoolArray, bones: AnyArray) -> _Nest:
    """The nesting of dark and bright on one slice, each bone by itself, with and without bridges."""
    walled, line = np.zeros_like(bright), np.zeros_like(bright)
    for bone in np.unique(bones[bright]):
        box = box_around(bones == bone, 1)
        own = bones[box] == bone
        whole = bright[box] & own
        for seen, grown in _bridged(whole, strong[box]):
            enclosed, inner = _enclosed(seen, own)
            walled[box] |= enclosed
            line[box] |= _regrown(inner, grown, whole)
    return _Nest(walled, line)


def _enclosed(bright: BoolArray, own: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Dark marrow of a bone that edema walls off from the rest, and what is bright beyond it.

    The rest is the largest dark part; channels of two voxels do not join it.
    """
    dark = own & ~bright
    wide, count = ndimage.label(ndimage.binary_erosion(dark, border_value=1))
    if not count:
        return np.zeros_like(own), np.zeros_like(own)
    largest = wide == 1 + int(np.bincount(wide.ravel())[1:].argmax())
    outside = dark & ndimage.binary_dilation(largest, EIGHT)
    edema = _touching(bright, outside)
    enclosed = dark & ~outside
    return enclosed, _touching(bright & ~edema, _touching(enclosed, edema))


def _touching(mask: BoolArray, other: BoolArray) -> BoolArray:
    """The connected parts of a mask that touch another."""
    parts, _ = ndimage.label(mask, structure=EIGHT)
    met = np.unique(parts[ndimage.binary_dilation(other, EIGHT) & mask])
    return np.isin(parts, met[met > 0])


def _dead(nest: _Nest, t1: AnyArray, pixel_mm2: float) -> BoolArray:
    """Lines with the cores they hold, where a core is large enough and brighter on T1 than the rim."""
    parts, count = ndimage.label(nest.line, structure=EIGHT)
    kept = np.zeros_like(nest.line)
    for number in range(1, count + 1):
        line = parts == number
        core = nest.walled & _between(line)
        rim = ndimage.binary_dilation(line, EIGHT, iterations=2) & nest.walled & ~core
        if core.sum() * pixel_mm2 < setting("double_line", "least_core_mm2") or not rim.any():
            continue
        if float(np.median(t1[core])) >= float(np.median(t1[rim])) + setting("double_line", "core_over_rim"):
            kept |= line | core
    return kept


def _ringed(bright: BoolArray, strong: BoolArray, bones: AnyArray, t1: AnyArray, pixel_mm2: float) -> BoolArray:
    """Bright rings and arches with their cores where the core is fat on T1 and what lies around is dark on it.

    Edema around an island of normal marrow is no such ring: beyond it lies normal marrow, as bright as the island.
    """
    kept = np.zeros_like(bright)
    for bone in np.unique(bones[bright]):
        own = bones == bone
        whole = bright & own
        for seen, grown in _bridged(whole, strong):
            parts, _ = ndimage.label(seen, structure=EIGHT)
            for part in crops(parts, RING_MARGIN).values():
                ring = _regrown(part.mask, grown, whole[part.box])
                if _half_width(ring) * np.sqrt(pixel_mm2) <= setting("double_line", "most_half_width_mm"):
                    kept[part.box] |= _ring_and_core(ring, whole[part.box], own[part.box], t1[part.box], pixel_mm2)
    return kept


def _ring_and_core(ring: BoolArray, bright: BoolArray, own: BoolArray, t1: AnyArray, pixel_mm2: float) -> BoolArray:
    """A ring, or an arch, with what it holds; nothing where that is not fat with none around it."""
    for filled in (ndimage.binary_fill_holes(ring), ring | _under(ring, own)):
        core = filled & own & ~bright
        near = ndimage.binary_dilation(filled, EIGHT)
        rim = ndimage.binary_dilation(near, EIGHT) & ~near & own & ~bright
        if _holds_fat(core, rim, t1, pixel_mm2):
            return np.asarray(ring | core)
    return np.zeros_like(ring)


def _half_width(line: BoolArray) -> float:
    """Pixels from the middle of the widest place of a line to its border."""
    return float(ndimage.distance_transform_edt(np.pad(line, 1)).max())


def _under(arch: BoolArray, own: BoolArray) -> BoolArray:
    """Marrow between the legs of an arch that it cuts off, together with the border of its bone, from all other."""
    left, count = ndimage.label(ndimage.binary_erosion(own & ~arch, border_value=1))
    if count < 2:
        return np.zeros_like(arch)
    between = np.asarray(ndimage.mean(_between(arch), left, np.arange(1, count + 1)))
    under = np.isin(left, 1 + np.flatnonzero(between >= setting("double_line", "share_under_arch")))
    return np.asarray(ndimage.binary_dilation(under, EIGHT) & own & ~arch)


def _holds_fat(core: BoolArray, rim: BoolArray, t1: AnyArray, pixel_mm2: float) -> bool:
    """Whether a core is large enough and much brighter on T1 than a rim that is dark on it."""
    if core.sum() * pixel_mm2 < setting("double_line", "ring_least_core_mm2") or not rim.any():
        return False
    around, over = float(np.median(t1[rim])), setting("double_line", "ring_core_over_rim")
    return around <= setting("double_line", "ring_rim_most") and float(np.median(t1[core])) >= around + over


def _bridged(whole: BoolArray, strong: BoolArray) -> tuple[tuple[BoolArray, int], ...]:
    """What is bright as it is, with bridges of a voxel cut, and with dim bridges cut; each with how far
    :func:`_regrown` has to grow it."""
    return (whole, 0), (ndimage.binary_erosion(whole), 1), (whole & strong, 2)


def _regrown(part: BoolArray, by: int, whole: BoolArray) -> BoolArray:
    """What is left of a part after bridges were cut, as wide again as it was in ``whole``."""
    return np.asarray(ndimage.binary_dilation(part, iterations=by) & whole) if by else part


def _between(line: BoolArray) -> BoolArray:
    """Voxels with the line on both sides, along rows or along columns."""
    between = np.zeros_like(line)
    for axis in (0, 1):
        before = np.logical_or.accumulate(line, axis)
        after = np.flip(np.logical_or.accumulate(np.flip(line, axis), axis), axis)
        between |= before & after
    return between & ~line
