"""Bring another series onto the fluid grid: header geometry first, rigid registration only where it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marrowscope.anatomy.types import Companion
from marrowscope.study import Series
from marrowscope.volume import AnyArray, Volume, covered, resample

if TYPE_CHECKING:
    import SimpleITK as sitk

HISTOGRAM_BINS = 48
"""Bins of the joint histogram of the similarity (Studholme 1999 used 32-64 for MR-MR)."""

PERCENTILE_SAMPLE = 100_000
"""Voxels enough for stable percentiles."""

MINIMUM_GAIN = 0.005
"""Registration is kept only when normalised mutual information rises by this much: below it is noise."""

MAXIMUM_SHIFT_MM = 12.0
"""A larger shift of the grid's centre inside one examination is taken for a failed registration."""

MAXIMUM_TURN_DEG = 8.0
"""Likewise for the turn."""

MINIMUM_OVERLAP = 0.2
"""Share of the fluid grid the other series must cover to be used at all."""

WORKING_PIXEL_MM = 2.0
"""In-plane pixel that both images are averaged to: finds known shifts as well as full pixels do, ten times sooner."""

SAMPLING_SEED = 7
_SAMPLING_SHARE = 0.1
_LEVELS = ((2, 2.0), (1, 0.0))
"""Shrink factor and smoothing in mm of each level, coarse to fine."""

_FIRST_STEP_MM, _LAST_STEP_MM, _MOST_STEPS, _STEP_SHORTENED = 1.0, 0.05, 20, 0.6
"""The descent on each level: first step, step it stops at, how many at most, what a step shrinks to at each turn."""


def align(series: Series, grid: Volume, *, register: bool = True) -> Companion | None:
    """``series`` on ``grid``, or None when it covers too little of it.

    Args:
        series: the other series, any plane and spacing.
        grid: the fluid volume (its intensities are what is registered to).
        register: False keeps header geometry.

    Returns:
        The companion with normalised mutual information (Studholme et al. 1999, (H(a)+H(b))/H(a,b), 1-2)
        before and after.
    """
    few = _thinned(grid)
    before, overlap = _similarity(series.volume, few)
    if overlap < MINIMUM_OVERLAP:
        return None
    moved = _registered(series.volume, grid) if register else None
    if moved is not None:
        after, overlap = _similarity(moved, few)
        if after - before >= MINIMUM_GAIN and overlap >= MINIMUM_OVERLAP:
            return _companion(series, moved, grid, before, after, True)
    return _companion(series, series.volume, grid, before, before, False)


def _companion(series: Series, moved: Volume, grid: Volume, before: float, after: float, registered: bool) -> Companion:
    image = resample(moved, grid, order=1)
    return Companion(series, moved, image, covered(moved, grid), before, after, registered)


def _similarity(moving: Volume, grid: Volume) -> tuple[float, float]:
    """Normalised mutual information of two images where both have data, and that share of the grid."""
    seen = covered(moving, grid)
    if not seen.any():
        return 0.0, 0.0
    image = resample(moving, grid, order=1).array
    return normalised_mutual_information(grid.array[seen], image[seen]), float(seen.mean())


def _steps(volume: Volume) -> list[int]:
    """Pixels of each axis that make one of ``WORKING_PIXEL_MM``; slices stay apart."""
    return [1 if a == volume.slice_axis else max(1, round(WORKING_PIXEL_MM / volume.spacing[a])) for a in range(3)]


def _thinned(grid: Volume) -> Volume:
    """Every n-th pixel of each slice."""
    steps = _steps(grid)
    affine = grid.affine.copy()
    affine[:3, :3] *= steps
    return Volume(grid.array[tuple(slice(None, None, s) for s in steps)], affine, grid.slice_axis)


def normalised_mutual_information(a: AnyArray, b: AnyArray) -> float:
    """(H(a) + H(b)) / H(a, b) of two equally long samples; 1 = independent, 2 = identical."""
    code = _bins(a) * HISTOGRAM_BINS + _bins(b)
    joint = np.bincount(code, minlength=HISTOGRAM_BINS**2).reshape(HISTOGRAM_BINS, HISTOGRAM_BINS) / code.size
    marginal = _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))
    together = _entropy(joint)
    return float(marginal / together) if together > 0 else 1.0


def _bins(values: AnyArray) -> AnyArray:
    """Bin number of each value between the 1st and 99th percentile."""
    low, high = np.percentile(values[:: max(1, values.size // PERCENTILE_SAMPLE)], (1, 99))
    scaled = (values - low) * ((HISTOGRAM_BINS - 1) / max(high - low, 1e-6))
    return np.asarray(np.clip(scaled, 0, HISTOGRAM_BINS - 1).astype(np.int32))


def _entropy(p: AnyArray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _registered(moving: Volume, grid: Volume) -> Volume | None:
    """The moving volume with a rigidly corrected affine, or None when the transform is implausible."""
    import SimpleITK as sitk

    fixed_image, moving_image = _averaged(grid), _averaged(moving)
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    start = sitk.Euler3DTransform()
    start.SetCenter([float(c) for c in centre])
    method = _method(start)
    try:
        found = method.Execute(fixed_image, moving_image)
    except RuntimeError:  # SimpleITK raises it when samples leave the overlap: not registrable
        return None
    rigid = sitk.Euler3DTransform(sitk.CompositeTransform(found).GetBackTransform())
    turn = np.degrees(np.abs((rigid.GetAngleX(), rigid.GetAngleY(), rigid.GetAngleZ()))).max()
    shift = float(np.linalg.norm(np.array(rigid.TransformPoint([float(c) for c in centre])) - centre))
    if turn > MAXIMUM_TURN_DEG or shift > MAXIMUM_SHIFT_MM:
        return None
    return Volume(moving.array, np.linalg.inv(_matrix(rigid)) @ moving.affine, moving.slice_axis)


def _averaged(volume: Volume) -> sitk.Image:
    """Each n x n pixels of a slice as one, their mean."""
    import SimpleITK as sitk

    return sitk.BinShrink(to_sitk(volume), _steps(volume))


def _method(start: sitk.Euler3DTransform) -> sitk.ImageRegistrationMethod:
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # Mattes with threads differs at every run
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLING_SHARE, SAMPLING_SEED)
    method.MetricUseFixedImageGradientFilterOff()  # gradients at the samples alone
    method.MetricUseMovingImageGradientFilterOff()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        _FIRST_STEP_MM, _LAST_STEP_MM, _MOST_STEPS, relaxationFactor=_STEP_SHORTENED
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    method.SetShrinkFactorsPerLevel([s for s, _ in _LEVELS])
    method.SetSmoothingSigmasPerLevel([s for _, s in _LEVELS])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _matrix(rigid: sitk.Euler3DTransform) -> AnyArray:
    """4x4 of a SimpleITK rigid transform (fixed to moving, LPS mm)."""
    turn = np.array(rigid.GetMatrix()).reshape(3, 3)
    centre = np.array(rigid.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(rigid.GetTranslation()) + centre - turn @ centre
    return matrix


def to_sitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image (LPS, like ours) of a volume, as float32; filters then run on one thread."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # filters inside filters add up by thread: bytes would differ
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T.astype(np.float32)))
    image.SetSpacing(volume.spacing)
    image.SetOrigin([float(x) for x in volume.affine[:3, 3]])
    image.SetDirection([float(x) for x in volume.directions.ravel()])
    return image
