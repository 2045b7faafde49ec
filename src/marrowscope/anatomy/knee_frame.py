"""Knee slices as the bone model sees them: upright, at its pixel size, scaled in brightness; and back to the grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowscope.volume import AnyArray, Volume

Float32Array = npt.NDArray[np.float32]
Logits = Callable[[Float32Array], Float32Array]
"""The model: (n, 1, h, w) slices to (n, channels, h, w) logits; h and w are multiples of :data:`STRIDE`."""

PIXEL_MM = 0.9
"""Pixel size the model was trained at (``training/knee/images.py``)."""

STRIDE = 16
"""The model halves its input four times."""

TOP_PERCENTILE = 99.0
"""Percentile of a slice that is scaled to 1, as in training."""

LARGEST_INPUT = 1.5
"""Brightness is cut here, as in training."""

_POSTERIOR, _SUPERIOR, _LEFT = 1, 2, 0


@dataclass(frozen=True)
class Upright:
    """How to turn a volume into upright slices.

    Attributes:
        order: index axes in the order slice, row, column.
        flip: whether row and column run the other way in the volume.
        zoom: model pixels per row and column step.
    """

    order: tuple[int, int, int]
    flip: tuple[bool, bool]
    zoom: tuple[float, float]


def upright(grid: Volume) -> Upright:
    """Rows run to the feet (to the back on axial slices), columns to the back (to the patient's left)."""
    first, second = grid.in_plane_axes
    down = _SUPERIOR if grid.plane != "axial" else _POSTERIOR
    along = np.abs(grid.directions[down])
    row, column = (first, second) if along[first] >= along[second] else (second, first)
    across = _POSTERIOR if grid.plane == "sagittal" else _LEFT
    row_sign = -1.0 if down == _SUPERIOR else 1.0
    flip_row = bool(grid.directions[down, row] * row_sign < 0)
    flip_column = bool(grid.directions[across, column] < 0)
    zoom = (grid.spacing[row] / PIXEL_MM, grid.spacing[column] / PIXEL_MM)
    return Upright((grid.slice_axis, row, column), (flip_row, flip_column), zoom)


def turned(array: AnyArray, way: Upright) -> AnyArray:
    """The array as (slice, row, column), upright; a view."""
    moved = array.transpose(way.order)
    return moved[:, :: -1 if way.flip[0] else 1, :: -1 if way.flip[1] else 1]


def turned_back(array: AnyArray, way: Upright) -> AnyArray:
    """Inverse of :func:`turned`."""
    straight = array[:, :: -1 if way.flip[0] else 1, :: -1 if way.flip[1] else 1]
    return np.ascontiguousarray(straight.transpose(np.argsort(way.order)))


def probabilities(image: Volume, model: Logits, bones: int) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Bone labels, how sure they are, and the edema probability on the image's grid.

    Args:
        image: any plane, any in-plane spacing.
        model: see :data:`Logits`; its first ``bones + 1`` channels are background and bones, the next is edema.
        bones: number of bones.

    Returns:
        (label uint8 0..bones, probability of that label float32, edema probability float32), image's shape.
    """
    way = upright(image)
    slices = turned(image.array, way)
    label = np.zeros(slices.shape, np.uint8)
    sure = np.zeros(slices.shape, np.float32)
    edema = np.zeros(slices.shape, np.float32)
    for n, plane in enumerate(slices):
        chance = _one_slice(plane, model, way.zoom, bones)
        label[n] = chance[: bones + 1].argmax(0)
        sure[n] = chance[: bones + 1].max(0)
        edema[n] = chance[bones + 1]
    return turned_back(label, way), turned_back(sure, way), turned_back(edema, way)


def scaled(plane: AnyArray) -> Float32Array:
    """Brightness as in training: the 99th percentile becomes 1; an empty slice stays 0."""
    top = float(np.percentile(plane, TOP_PERCENTILE))
    if top <= 0:
        return np.zeros(plane.shape, np.float32)
    return np.clip(plane.astype(np.float32) / top, 0, LARGEST_INPUT)


def _one_slice(plane: AnyArray, model: Logits, zoom: tuple[float, float], bones: int) -> Float32Array:
    from scipy import ndimage

    small = ndimage.zoom(scaled(plane), zoom, order=1, mode="nearest", grid_mode=True)
    height, width = small.shape
    padded = np.zeros((1, 1, -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE), np.float32)
    padded[0, 0, :height, :width] = small
    logits = model(padded)[0, :, :height, :width]
    chance = np.concatenate([_softmax(logits[: bones + 1]), 1 / (1 + np.exp(-logits[bones + 1 : bones + 2]))])
    back = [plane.shape[0] / height, plane.shape[1] / width]
    return np.asarray(ndimage.zoom(chance, [1, *back], order=1, mode="nearest", grid_mode=True))


def _softmax(logits: Float32Array) -> Float32Array:
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))
