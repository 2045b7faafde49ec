"""One object of a label map in its own box, so that many objects cost no more than the voxels they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowscope.labelmap import BoolArray
from marrowscope.volume import AnyArray, FloatArray, Volume


@dataclass(frozen=True, eq=False)
class Crop:
    """An object's mask inside a box of the grid.

    Attributes:
        box: slices into the full grid, widened by the margin asked for.
        mask: bool array of the box's shape.
    """

    box: tuple[slice, ...]
    mask: BoolArray

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(self.mask.sum())

    def values(self, array: AnyArray) -> AnyArray:
        """The full-grid array's values in the object."""
        return np.asarray(array[self.box][self.mask])

    def indices(self) -> npt.NDArray[np.int64]:
        """(n, 3) full-grid indices of the voxels."""
        return np.asarray(np.argwhere(self.mask) + np.array([s.start for s in self.box]), dtype=np.int64)

    def world(self, grid: Volume) -> FloatArray:
        """(n, 3) LPS mm of the voxels."""
        return grid.to_world(self.indices())


def crops(labels: npt.NDArray[Any], margin: int) -> dict[int, Crop]:
    """Every labelled object, cropped with ``margin`` voxels around it."""
    found: dict[int, Crop] = {}
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            wide = tuple(
                slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, labels.shape, strict=True)
            )
            found[label] = Crop(wide, labels[wide] == label)
    return found
