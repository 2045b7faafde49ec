"""Coil shading: a smooth multiplicative field, removed before brightness is compared across the image."""

from __future__ import annotations

import numpy as np

from marrowscope.anatomy.align import to_sitk
from marrowscope.volume import AnyArray, Volume

N4_SHRINK = 4
"""In-plane shrink of the fit; the field is smooth over centimetres (Tustison et al. 2010 use 4)."""

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
    log_field = sitk.GetArrayFromImage(fit.GetLogBiasFieldAsImage(image)).T
    field = np.clip(np.exp(log_field - np.median(log_field)), 1 / LARGEST_GAIN, LARGEST_GAIN)
    return volume.with_array(_divide(volume.array, field))


def _divide(array: AnyArray, field: AnyArray) -> AnyArray:
    return np.asarray(array.astype(np.float32) / field.astype(np.float32))
