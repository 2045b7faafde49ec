"""Coil shading: a smooth multiplicative field, removed before brightness is compared across the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marrowscope.anatomy.align import to_sitk
from marrowscope.volume import AnyArray, Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

N4_SHRINK = 8
"""In-plane shrink of the fit. Tustison et al. 2010 use 4 in all three axes; ours keeps the slices, and its field is
within 1 % of that at 4 on a simulated knee and on real sacroiliac exams."""

FIELD_NODES = 33
"""Places along each in-plane axis at which the field, a spline of two spans, is worked out; linear between them."""

N4_ITERATIONS = (30, 20)
"""Iterations a fitting level; few and coarse, so that edema itself is not flattened."""

LARGEST_GAIN = 4.0
"""The field is clipped to [1/4, 4]: beyond it is noise outside the coil's reach."""


def corrected(volume: Volume) -> Volume:
    """The volume with N4 (Tustison et al. 2010) coil shading removed, float32, median brightness kept.

    Args:
        volume: any MR volume with non-negative intensities.
    """
    import SimpleITK as sitk

    image = to_sitk(volume)
    if float(volume.array.max()) <= float(volume.array.min()):
        return volume.with_array(volume.array.astype(np.float32))
    shrink = [N4_SHRINK if axis != volume.slice_axis else 1 for axis in range(3)]
    shrink = [max(1, min(s, n // 16)) for s, n in zip(shrink, volume.shape, strict=True)]
    small = sitk.Shrink(sitk.Cast(image, sitk.sitkFloat32), shrink) + 1.0
    body = sitk.OtsuThreshold(small, 0, 1, 128)
    fit = sitk.N4BiasFieldCorrectionImageFilter()
    fit.SetNumberOfThreads(1)
    fit.SetMaximumNumberOfIterations(list(N4_ITERATIONS))
    fit.SetNumberOfControlPoints([4, 4, 4])
    fit.Execute(small, body)
    log_field = _log_field(fit, volume)
    field = np.clip(np.exp(log_field - np.median(log_field)), 1 / LARGEST_GAIN, LARGEST_GAIN)
    return volume.with_array(np.asarray(volume.array.astype(np.float32) / field))


def _log_field(fit: sitk.N4BiasFieldCorrectionImageFilter, volume: Volume) -> AnyArray:
    """The fitted field's logarithm, float32 on the volume's grid."""
    import SimpleITK as sitk

    counts = [n if axis == volume.slice_axis else min(n, FIELD_NODES) for axis, n in enumerate(volume.shape)]
    steps = [(n - 1) / max(1, k - 1) for n, k in zip(volume.shape, counts, strict=True)]
    nodes = sitk.Image(counts, sitk.sitkFloat32)
    nodes.SetSpacing([s * step if step else s for s, step in zip(volume.spacing, steps, strict=True)])
    nodes.SetOrigin([float(x) for x in volume.affine[:3, 3]])
    nodes.SetDirection([float(x) for x in volume.directions.ravel()])
    field: AnyArray = sitk.GetArrayFromImage(fit.GetLogBiasFieldAsImage(nodes)).T
    for axis in volume.in_plane_axes:
        field = _stretched(field, axis, volume.shape[axis])
    return field


def _stretched(array: AnyArray, axis: int, count: int) -> AnyArray:
    """``count`` places along an axis, linear between those of the array, ends on ends."""
    last = array.shape[axis] - 1
    position = np.linspace(0, last, count)
    low = np.minimum(position.astype(int), max(0, last - 1))
    share = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    high = np.minimum(low + 1, last)
    return np.asarray(np.take(array, low, axis) * (1 - share) + np.take(array, high, axis) * share, dtype=np.float32)
