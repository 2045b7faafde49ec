"""Tissue on a fine grid: two tissues a voxel, so that borders are not staircases, and layers that replace marrow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from marrowscope.errors import GeometryError
from marrowscope.simulate.signal import Float32Array
from marrowscope.volume import FloatArray, Volume

LabelArray = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

WHOLE: Box = (slice(None), slice(None), slice(None))

EDGE = 1e-3
"""Occupancy below this, or within this of one, is taken as none or whole (share of a voxel)."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A tissue that takes part of another's place in some voxels, e.g. edema in marrow.

    Attributes:
        tissue: label of the tissue that comes in.
        replaces: label of the tissue whose share is given up.
        index: flat (C order) indices of the voxels concerned.
        amount: share of the whole voxel that changes tissue, 0 to 1. Several layers that replace one tissue add up
            to at most its share; the caller sees to it.
    """

    tissue: int
    replaces: int
    index: npt.NDArray[np.int64]
    amount: Float32Array


@dataclass(frozen=True, eq=False)
class TissueMap:
    """What fills each voxel of a fine grid.

    Attributes:
        labels: (ni, nj, nk) uint8, the main tissue of each voxel (label = place in a :class:`TissueTable`).
        affine: 4x4, index to LPS mm.
        second: the other tissue of a border voxel; meaningless where ``share`` is 1.
        share: float32, part of the voxel taken by ``labels``, 0.5 to 1.
        layers: tissues that replace part of another.
        texture: factor on all signal (1 = none), for trabeculae and septa.
    """

    labels: LabelArray
    affine: FloatArray
    second: LabelArray
    share: Float32Array
    layers: tuple[Layer, ...] = ()
    texture: Float32Array | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.labels.shape == self.second.shape == self.share.shape:
            raise GeometryError("tissue arrays of different shapes", "one shape for labels, second and share")
        for name in ("labels", "second", "share"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    @classmethod
    def from_labels(cls, labels: LabelArray, affine: FloatArray, layers: tuple[Layer, ...] = ()) -> Self:
        """A map with one tissue a voxel, for label maps drawn elsewhere."""
        return cls(labels, affine, labels, np.ones(labels.shape, np.float32), layers)

    @property
    def grid(self) -> Volume:
        """The main labels as a volume: the fine grid itself."""
        return Volume(self.labels, self.affine)

    def with_layers(self, *layers: Layer) -> TissueMap:
        """The same map with further layers on top."""
        return replace(self, layers=self.layers + layers)

    def layer(self, tissue: int, replaces: int, fraction: Float32Array, box: Box = WHOLE) -> Layer:
        """A layer of ``tissue`` that takes ``fraction`` (0 to 1, shape of the box) of the share of another tissue."""
        amount = self.share_of(replaces, box) * fraction
        inside = np.nonzero(amount > EDGE)
        first = [axis.indices(n)[0] for axis, n in zip(box, self.labels.shape, strict=True)]
        index = np.ravel_multi_index([i + f for i, f in zip(inside, first, strict=True)], self.labels.shape)
        return Layer(tissue, replaces, index, amount[inside])

    @cached_property
    def border(self) -> npt.NDArray[np.int64]:
        """Flat indices of the voxels that hold two tissues."""
        return np.flatnonzero(self.share < 1)

    def share_of(self, label: int, box: Box = WHOLE) -> Float32Array:
        """Part of each voxel taken by one tissue, before layers."""
        share = self.share[box]
        main = np.where(self.labels[box] == label, share, np.float32(0))
        return np.asarray(main + np.where(self.second[box] == label, np.float32(1) - share, np.float32(0)))


def pools(tissues: TissueMap, signals: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Signed water and fat signal on the fine grid.

    Args:
        tissues: what fills each voxel.
        signals: (number of tissues, 2) from :func:`marrowscope.simulate.signal.signal_table`.

    Returns:
        Two float32 arrays of the grid's shape.
    """
    water, fat = (_mix(tissues, np.ascontiguousarray(signals[:, pool])) for pool in (0, 1))
    return water, fat


def _mix(tissues: TissueMap, value: Float32Array) -> Float32Array:
    mixed = value[tissues.labels]
    flat, border = mixed.reshape(-1), tissues.border
    share = tissues.share.reshape(-1)[border]
    flat[border] = flat[border] * share + value[tissues.second.reshape(-1)[border]] * (1 - share)
    for layer in tissues.layers:
        flat[layer.index] += layer.amount * (value[layer.tissue] - value[layer.replaces])
    if tissues.texture is not None:
        mixed *= tissues.texture
    return mixed


class Canvas:
    """A tissue map being painted, shape by shape; later shapes cover earlier ones.

    Attributes:
        labels, second, share: as in :class:`TissueMap`.
    """

    def __init__(self, shape: tuple[int, int, int], background: int = 0) -> None:
        self.labels: LabelArray = np.full(shape, background, np.uint8)
        self.second: LabelArray = np.full(shape, background, np.uint8)
        self.share: Float32Array = np.ones(shape, np.float32)

    def paint(self, box: Box, occupancy: Float32Array, label: int) -> None:
        """Cover part of the canvas with one tissue; the two largest shares of a border voxel are kept.

        Args:
            box: where.
            occupancy: share of each voxel of the box taken by the shape, 0 to 1.
            label: the tissue.
        """
        labels, second, share = self.labels[box], self.second[box], self.share[box]
        whole = occupancy >= 1 - EDGE
        edge = (occupancy > EDGE) & ~whole
        labels[whole], share[whole] = label, 1.0
        taken, main, other, part = occupancy[edge], labels[edge], second[edge], share[edge]
        rest_main, rest_other = (1 - taken) * part, (1 - taken) * (1 - part)
        mine = taken + np.where(main == label, rest_main, 0) + np.where(other == label, rest_other, 0)
        rest_main, rest_other = np.where(main == label, 0, rest_main), np.where(other == label, 0, rest_other)
        neighbour = np.where(rest_main >= rest_other, main, other)
        mine = mine / (mine + np.maximum(rest_main, rest_other))
        first = mine >= 0.5
        labels[edge] = np.where(first, label, neighbour)
        second[edge] = np.where(first, neighbour, label)
        share[edge] = np.where(first, mine, 1 - mine)

    def finish(self, affine: FloatArray, texture: Float32Array | None = None) -> TissueMap:
        """The painted map."""
        return TissueMap(self.labels, affine, self.second, self.share, (), texture)
