"""What a voxel of sacroiliac marrow looks like: brightness, contrast, place. Training and product share this file.

Every figure is relative to the exam itself (reference marrow, its noise, its own shading), so that scanner and
intensity type do not matter. Without T1 its columns are NaN, which the trees were trained to meet.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.inference.slices import linear_along
from marrowscope.labelmap import BoolArray
from marrowscope.robust import half_sample_mode, lower_spread

Float32 = npt.NDArray[np.float32]

PIXEL_MM = 0.6
"""In-plane pixel of the working grid, the training data's own."""

CANDIDATE_RATIO = 1.0
"""Marrow darker than the reference (after smoothing) is never called edema."""

INTERIOR_MM = 4.0
"""Reference marrow is sought this deep inside bone, away from partial volume with cortex."""

BRIGHT_RATIO = 1.4
"""Marrow above this is left out when the coil's shading is estimated, so that edema does not look like shading."""

SHADING_MM = 25.0
"""Reach of the slow brightness field that is divided out first: wider than lesions, narrower than a coil's fall-off."""

SHADING_RANGE = (0.5, 1.5)
"""Marrow outside this range of the reference says nothing about shading: cortex, or edema."""

OBJECT_RATIOS, FLAT_OBJECT_RATIO = (1.25, 1.6), 1.35
"""Brightness over reference (and over the flattened field) whose connected objects give the size columns."""

FLAT_FIELDS = ((0.0, 19.0), (0.6, 10.0))
"""The two smooth fields of marrow: least brightness that counts as quiet, and sigma in mm."""

LEAST_FIELD, LEAST_T1, LEAST_WEIGHT = 0.2, 0.1, 0.05
"""Least field, T1 over reference, and weight of neighbours that something is divided by. As in training."""

ENOUGH_VOXELS = 200
"""Fewer deep voxels than this make no mode; then all marrow is used."""

POOL = 4
"""Wide averages are taken on pixels pooled 4 x 4: as good for a smooth field, sixteen times cheaper."""

FAR_MM = 60.0
"""Distances are cut off here."""

AT_ONCE = 2
"""Groups of columns worked out at a time: the two cores of a small machine."""

# fmt: off
COLUMNS = (
    "s", "s1", "s2", "s4", "max3", "max9", "min5", "mean5", "near5", "near10", "contrast10",
    "flat", "flat10", "kmin", "kmax", "s3d", "z", "rank", "vol125", "vol160", "volflat", "grad",
    "std", "edge", "joint", "signed", "bone", "across", "height", "mirror", "bonemed", "bone90", "outside",
    "t1", "t2", "t4", "tmin", "tcontrast", "st", "tgrad",
)
# fmt: on
"""Names of the feature columns, in the order the trees were trained on."""


@dataclass(frozen=True, eq=False)
class Marrow:
    """An exam on the working grid: axes (to the left, to the head, slice), in-plane pixel PIXEL_MM.

    Attributes:
        stir: fluid series. t1: T1 on the same grid, or None.
        region: marrow to search. bone: 1 sacrum, 2 ilium, 3 lumbar vertebra, 0 outside.
        slice_mm: distance between slices.
    """

    stir: Float32
    t1: Float32 | None
    region: BoolArray
    bone: npt.NDArray[np.uint8]
    slice_mm: float = 3.3


def reference_of(image: Float32, region: BoolArray) -> tuple[float, float]:
    """Main mode of marrow brightness away from the cortex, and its spread from the side edema does not touch."""
    half = round(INTERIOR_MM / PIXEL_MM)
    deep = ndimage.minimum_filter(region, (2 * half + 1, 2 * half + 1, 1))
    values = image[deep] if deep.sum() > ENOUGH_VOXELS else image[region]
    mode = half_sample_mode(values)
    return mode, lower_spread(values, mode)


def features(marrow: Marrow) -> tuple[Float32, npt.NDArray[np.intp]]:
    """One row a candidate voxel.

    Returns:
        (rows, len(COLUMNS)) float32, and the rows' flat indices into the working grid.
    """
    flat_image = unshaded(marrow.stir, marrow.region, marrow.slice_mm)
    mode, spread = reference_of(flat_image, marrow.region)
    box = _box(marrow.region)
    m = Marrow(
        (flat_image[box] / mode).astype(np.float32),
        None if marrow.t1 is None else marrow.t1[box],
        marrow.region[box],
        marrow.bone[box],
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:  # the filters run without the interpreter lock
        s1, s2, s4 = pool.map(lambda sigma: _blur(m.stir, sigma), (1, 2, 4))
        candidate = m.region & (s1 > CANDIDATE_RATIO)
        flat = _flattened(s1, m.region)
        parts = [
            pool.submit(_brightness, m, s1, s2, s4, candidate),
            pool.submit(_context, m, s1, s2, flat, candidate, spread / mode),
            pool.submit(_place, m, s1, s4, candidate),
            pool.submit(_fat, m, s1, candidate),
        ]
        rows = np.stack([column for part in parts for column in part.result()], axis=1).astype(np.float32)
    assert rows.shape[1] == len(COLUMNS)
    inside = np.argwhere(candidate) + [b.start for b in box]
    return rows, np.ravel_multi_index(tuple(inside.T), marrow.region.shape)


def unshaded(image: Float32, region: BoolArray, slice_mm: float) -> Float32:
    """The image over the slow brightness field of its own quiet marrow (1 = as bright as marrow around).

    A surface coil makes posterior marrow bright on one side; without this step whole ilia were marked on such exams.
    """
    mode, _ = reference_of(image, region)
    s1 = _blur(np.asarray(image / mode, dtype=np.float32), 1)
    inner = ndimage.minimum_filter(region, (5, 5, 1))
    quiet = (inner & (s1 > SHADING_RANGE[0]) & (s1 < SHADING_RANGE[1])).astype(np.float32)
    sigma = SHADING_MM / PIXEL_MM / POOL
    across = SHADING_MM / slice_mm
    over, under = _blur(_pooled(s1 * quiet), sigma, across), _blur(_pooled(quiet), sigma, across)
    field = _unpooled(np.asarray((over + 0.01) / (under + 0.01), dtype=np.float32), image.shape)
    return np.asarray(image / (mode * np.maximum(field, LEAST_FIELD)), dtype=np.float32)


def _brightness(m: Marrow, s1: Float32, s2: Float32, s4: Float32, at: BoolArray) -> list[Float32]:
    """Columns s .. contrast10."""
    near5, near10 = _masked_mean(m.stir, m.region, 5 / PIXEL_MM), _masked_mean(m.stir, m.region, 10 / PIXEL_MM)
    volumes = [
        m.stir,
        s1,
        s2,
        s4,
        ndimage.maximum_filter(s1, (3, 3, 1)),
        ndimage.maximum_filter(s1, (9, 9, 1)),
        ndimage.minimum_filter(s1, (5, 5, 1)),
        ndimage.uniform_filter(m.stir, (5, 5, 1)),
        near5,
        near10,
        s1 - near10,
    ]
    return [np.asarray(v[at], dtype=np.float32) for v in volumes]


def _context(
    m: Marrow, s1: Float32, s2: Float32, flat: tuple[Float32, Float32], at: BoolArray, noise: float
) -> list[Float32]:
    """Columns flat .. std."""
    before = np.concatenate([s2[:, :, :1], s2[:, :, :-1]], axis=2)
    after = np.concatenate([s2[:, :, 1:], s2[:, :, -1:]], axis=2)
    order = np.sort(s1[m.region])
    rank = np.searchsorted(order, s1[at]) / max(1, order.size)
    volumes = [flat[0], flat[1], np.minimum(before, after), np.maximum(before, after), _blur(m.stir, 3, 1)]
    out = [v[at] for v in volumes]
    out += [(s1[at] - 1) / noise, rank]
    bright = (*(s1 > ratio for ratio in OBJECT_RATIOS), flat[0] > FLAT_OBJECT_RATIO)
    out += [_object_size(m.region & mask)[at] for mask in bright]
    out += [np.hypot(ndimage.sobel(s1, 0), ndimage.sobel(s1, 1))[at]]
    out += [np.sqrt(np.maximum(_blur(m.stir**2, 2) - s2**2, 0))[at]]
    return out


def _place(m: Marrow, s1: Float32, s4: Float32, at: BoolArray) -> list[Float32]:
    """Columns edge .. outside."""
    sacrum, ilium = m.bone == 1, m.bone == 2
    to_sacrum, to_ilium = _distance_to(sacrum), _distance_to(ilium)
    joint = np.where(sacrum, to_ilium, np.where(ilium, to_sacrum, FAR_MM))
    signed = np.where(sacrum, joint, np.where(ilium, -joint, FAR_MM + 20))
    across, height, middle = _axes(m)
    other = np.clip(np.round(2 * middle - np.arange(at.shape[0])).astype(int), 0, at.shape[0] - 1)
    medians, tops = _per_bone(m, s1, across)
    outside = _masked_mean_small(m.stir, ~m.region)
    volumes = [_per_slice_depth(m.region) * PIXEL_MM, joint, signed, m.bone, np.abs(across), height]
    volumes += [s4 - s4[other], medians, tops, outside]
    return [np.broadcast_to(v, at.shape)[at].astype(np.float32) for v in volumes]


def _fat(m: Marrow, s1: Float32, at: BoolArray) -> list[Float32]:
    """Columns t1 .. tgrad, NaN without T1."""
    if m.t1 is None:
        return [np.full(int(at.sum()), np.nan, dtype=np.float32)] * 7
    mode, _ = reference_of(m.t1, m.region)
    t = np.asarray(m.t1 / max(mode, 1e-6), dtype=np.float32)
    t1, around = _blur(t, 1), _masked_mean(t, m.region, 10 / PIXEL_MM)
    volumes = [t1, _blur(t, 2), _blur(t, 4), ndimage.minimum_filter(t1, (7, 7, 1)), t1 - around]
    volumes += [s1 / np.maximum(t1, LEAST_T1), np.hypot(ndimage.sobel(t1, 0), ndimage.sobel(t1, 1))]
    return [np.asarray(v[at], dtype=np.float32) for v in volumes]


def _box(region: BoolArray, margin: int = 12) -> tuple[slice, slice, slice]:
    out = []
    for axis in range(3):
        used = np.nonzero(region.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        pad = margin if axis < 2 else 1
        low, high = max(0, int(used[0]) - pad), min(region.shape[axis], int(used[-1]) + pad + 1)
        out.append(slice(low, high))
    return out[0], out[1], out[2]


def _blur(a: Float32, sigma: float, across: float = 0.0) -> Float32:
    return np.asarray(ndimage.gaussian_filter(a, (sigma, sigma, across), truncate=3.0), dtype=np.float32)


def _pooled(a: Float32) -> Float32:
    x, y = (-(-n // POOL) * POOL for n in a.shape[:2])
    p = np.pad(a, ((0, x - a.shape[0]), (0, y - a.shape[1]), (0, 0)), mode="edge")
    pooled = p.reshape(x // POOL, POOL, y // POOL, POOL, -1).mean(axis=(1, 3))
    return np.asarray(pooled, dtype=np.float32)


def _unpooled(a: Float32, shape: tuple[int, ...]) -> Float32:
    """Back to full size, linear between the centres of the pools."""
    big = a
    for axis in (0, 1):
        big = linear_along(big, axis, (np.arange(shape[axis]) + 0.5) / POOL - 0.5)
    return big


def _masked_mean(a: Float32, mask: BoolArray, sigma: float) -> Float32:
    """Gaussian mean over the mask only, in plane, by pooled pixels."""
    weight = mask.astype(np.float32)
    over, under = _blur(_pooled(a * weight), sigma / POOL), _blur(_pooled(weight), sigma / POOL)
    return _unpooled(np.asarray(over / np.maximum(under, 1e-3), dtype=np.float32), a.shape)


def _masked_mean_small(a: Float32, mask: BoolArray) -> Float32:
    weight = mask.astype(np.float32)
    under = _blur(weight, 2)
    return np.where(under > LEAST_WEIGHT, _blur(a * weight, 2) / np.maximum(under, 1e-3), 0).astype(np.float32)


def _flattened(s1: Float32, region: BoolArray) -> tuple[Float32, Float32]:
    """Brightness over the marrow's own smooth fields (:data:`FLAT_FIELDS`), bright marrow left out of them."""
    out = []
    for low, sigma_mm in FLAT_FIELDS:
        quiet = (region & (s1 < BRIGHT_RATIO) & (s1 > low)).astype(np.float32)
        sigma = sigma_mm / PIXEL_MM / POOL
        field = (_blur(_pooled(s1 * quiet), sigma) + 0.02) / (_blur(_pooled(quiet), sigma) + 0.02)
        out.append(np.asarray(s1 / np.maximum(_unpooled(field, s1.shape), LEAST_FIELD), dtype=np.float32))
    return out[0], out[1]


def _object_size(mask: BoolArray) -> Float32:
    """log10 of the voxel count of the connected object each voxel lies in; 0 outside."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 1
    return np.asarray(np.log10(sizes)[labels], dtype=np.float32)


def _per_slice_depth(mask: BoolArray) -> Float32:
    """Pixels (chessboard metric, ten times cheaper than Euclid's) from the mask's voxels to the outside, in plane."""
    slices = [ndimage.distance_transform_cdt(mask[:, :, k], metric="chessboard") for k in range(mask.shape[2])]
    depth = np.stack(slices, axis=2).astype(np.float32)
    return np.asarray(np.where(depth < 0, FAR_MM / PIXEL_MM, depth), dtype=np.float32)


def _distance_to(mask: BoolArray) -> Float32:
    if not mask.any():
        return np.full(mask.shape, FAR_MM, dtype=np.float32)
    return np.asarray(np.minimum(_per_slice_depth(~mask) * PIXEL_MM, FAR_MM), dtype=np.float32)


def _axes(m: Marrow) -> tuple[Float32, Float32, float]:
    """mm to the left of the sacrum's middle, mm above its top, and the middle's index."""
    bone = m.bone == 1 if (m.bone == 1).any() else m.region
    xs, ys = np.nonzero(bone.any(axis=(1, 2)))[0], np.nonzero(bone.any(axis=(0, 2)))[0]
    middle = (xs[0] + xs[-1]) / 2
    across = ((np.arange(bone.shape[0]) - middle) * PIXEL_MM).astype(np.float32)[:, None, None]
    height = ((np.arange(bone.shape[1]) - ys[-1]) * PIXEL_MM).astype(np.float32)[None, :, None]
    return across, height, float(middle)


def _per_bone(m: Marrow, s1: Float32, across: Float32) -> tuple[Float32, Float32]:
    """Median and 90th percentile of the bone and side that each voxel belongs to."""
    medians, tops = np.zeros_like(s1), np.zeros_like(s1)
    left = np.broadcast_to(across > 0, s1.shape)
    for code in (1, 2, 3):
        for side in (left, ~left):
            part = (m.bone == code) & side
            if part.any():
                medians[part], tops[part] = np.percentile(s1[part], (50, 90))
    return medians, tops
