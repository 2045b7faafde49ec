"""A label map: integer labels on a grid, each with the code of what it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from marrowscope.errors import GeometryError
from marrowscope.volume import Volume

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels on a grid.

    Attributes:
        volume: integer array, 0 = none of the named things.
        names: label value to code, e.g. ``{1: "femur", 2: "tibia"}``; every non-zero value is named.

    Raises:
        GeometryError: a label in the array has no name.
    """

    volume: Volume
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        unnamed = values_in(self.volume.array) - {0} - set(self.names)
        if unnamed:
            raise GeometryError(f"labels without a name: {sorted(unnamed)[:5]}", "a code for every label value")

    @classmethod
    def from_masks(cls, grid: Volume, masks: Mapping[str, BoolArray]) -> Self:
        """One label a mask, numbered from 1 in the order given; a later mask wins where two overlap."""
        array = np.zeros(grid.shape, dtype=np.uint16)
        for label, mask in enumerate(masks.values(), start=1):
            array[mask] = label
        return cls(grid.with_array(array), dict(enumerate(masks, start=1)))

    @classmethod
    def empty(cls, grid: Volume) -> Self:
        """No label anywhere."""
        return cls(grid.with_array(np.zeros(grid.shape, dtype=np.uint16)), {})

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes, in label order."""
        return tuple(self.names[k] for k in sorted(self.names))

    def label_of(self, code: str) -> int:
        """The label value of a code.

        Raises:
            KeyError: the code is not in this map.
        """
        for label, name in self.names.items():
            if name == code:
                return label
        raise KeyError(f"no label for {code!r}; there are {self.codes}")

    def mask(self, codes: str | Iterable[str] | None = None) -> BoolArray:
        """Where any of the codes is (all labels when None); codes that the map lacks add nothing."""
        if codes is None:
            return np.asarray(self.volume.array > 0)
        wanted = {codes} if isinstance(codes, str) else set(codes)
        labels = [k for k, name in self.names.items() if name in wanted]
        if len(labels) == 1:
            return np.asarray(self.volume.array == labels[0])
        return np.isin(self.volume.array, labels)


def values_in(labels: npt.NDArray[Any]) -> set[int]:
    """The values that occur in an integer array; counted where they are small, for sorting a volume costs more."""
    if labels.dtype not in (np.uint8, np.uint16):
        return set(np.unique(labels).tolist())
    return set(np.flatnonzero(np.bincount(labels.ravel(order="K"))).tolist())


def box_around(mask: BoolArray, margin: int) -> tuple[slice, ...]:
    """The smallest box that holds a mask with at least one voxel, widened by ``margin`` inside the array.

    What lies beyond a margin of one is farther from every voxel of the mask than the margin is, so a distance to the
    background, an erosion or a dilation inside the box equals the one over the whole array.
    """
    box = []
    for axis, count in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(max(0, int(where[0]) - margin), min(count, int(where[-1]) + 1 + margin)))
    return tuple(box)
