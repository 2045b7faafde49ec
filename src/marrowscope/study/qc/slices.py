"""A volume as slices on a coarse even grid, the body in them, and depth under the skin: what pixel checks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

import numpy as np

from marrowscope.study.qc.morphology import grown, shrunk
from marrowscope.study.qc.tissues import Tissues, fat_and_muscle
from marrowscope.volume import AnyArray, Volume

T = TypeVar("T")

GRID_MM: Final = 1.0
"""In-plane step of the coarse grid: checks look at structures of 3 mm and more."""

_CORNER_MM: Final = 12.0
_CORNER_MARGIN_MM: Final = 4.0
_BODY_SHARE: Final = 0.06
"""The body is brighter than this share of the 95th percentile, well suppressed fat included."""

_CLOSED_PIXELS: Final = 3
_STRIDE: Final = 2
_PAD: Final = 30
_AIR_SHARE: Final = 0.2
"""Corners brighter than this share of the 95th percentile hold tissue (a trunk fills the field of view)."""

_FILLED_SHARE: Final = 0.7
_FRAME_PIXELS: Final = 3
_SURROUNDED_SHARE: Final = 0.6
"""A limb covers less than this share of the image's frame (knees 0.23 to 0.52), a trunk more (pelves 0.66 to 0.97)."""

_AIR_SPREAD: Final = 0.06
"""Corners that vary by more than this share of the 95th percentile hold tissue or ghosts, not air."""


class once(Generic[T]):  # noqa: N801 - reads like the property it is
    """A property worked out once. Before Python 3.12 ``functools.cached_property`` holds one lock over all instances,
    so that series judged in two threads would wait for each other."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        if instance is None:
            return self
        value = self._work_out(instance)
        instance.__dict__[self._work_out.__name__] = value
        return value


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices first, in-plane at about :data:`GRID_MM`.

    Attributes:
        values: shape (slices, a, b), float32, air level taken off.
        noise: standard deviation of the air, in the same units; None when no air is in view.
        step_mm: actual in-plane steps of the coarse grid.
        trunk: the study says that a trunk is shown, whatever the air looks like.
    """

    values: AnyArray
    noise: float | None
    step_mm: tuple[float, float]
    trunk: bool = False

    def percentile(self, q: float) -> float:
        """A percentile of all values, from every third pixel."""
        return float(np.percentile(self.values[:, ::3, ::3], q))

    @once
    def bright(self) -> float:
        """The 99th percentile of all values."""
        return self.percentile(99)

    @once
    def body(self) -> AnyArray:
        """Where the patient is, shape of ``values``, bool."""
        return self._masks(max(3 * (self.noise or 0.0), _BODY_SHARE * self.percentile(95)))

    def _masks(self, level: float) -> AnyArray:
        from scipy import ndimage

        bright = np.stack([ndimage.gaussian_filter(plane, 1.5) > level for plane in self.values])
        closed = shrunk(grown(bright, _CLOSED_PIXELS), _CLOSED_PIXELS)
        return np.stack([_largest(_without_holes(_closed_at_frame(mask))) for mask in closed])

    @once
    def depth_mm(self) -> AnyArray:
        """Distance to the skin in mm inside the body; the field of view's edge is not skin."""
        from scipy import ndimage

        depth = np.zeros(self.values.shape, dtype=np.float32)
        steps = [_STRIDE * step for step in self.step_mm]
        rows, columns = depth[0].shape[0], depth[0].shape[1]
        for k, mask in enumerate(self.body):
            if mask.any() and not mask.all():
                padded = np.pad(mask[::_STRIDE, ::_STRIDE], _PAD, mode="edge")
                far = ndimage.distance_transform_edt(padded, sampling=steps)[_PAD:-_PAD, _PAD:-_PAD]
                depth[k] = far.repeat(_STRIDE, axis=0).repeat(_STRIDE, axis=1)[:rows, :columns]
        return np.where(self.body, depth, 0)

    @once
    def surrounded(self) -> bool:
        """Whether air surrounds the body, as it does a limb: only then do air and depth mean anything."""
        if self.trunk or self.noise is None or not len(self.filled):
            return False
        n = _FRAME_PIXELS
        frames = [np.concatenate([b[n], b[-n - 1], b[:, n], b[:, -n - 1]]) for b in self.body[self.filled]]
        return float(np.median([frame.mean() for frame in frames])) < _SURROUNDED_SHARE

    @once
    def fat_and_muscle(self) -> tuple[Tissues | None, ...]:
        """Fat and muscle of each slice of a T1 series; None for a slice with too little of either."""
        return tuple(fat_and_muscle(*one, self.step_mm) for one in zip(self.values, self.body, strict=True))

    @once
    def filled(self) -> AnyArray:
        """Indices of slices whose body area is near the largest: the ends of a stack tell little."""
        area = self.body.sum(axis=(1, 2))
        return np.flatnonzero(area >= _FILLED_SHARE * area.max()) if area.max() > 0 else np.array([], dtype=np.int64)


def coarse(volume: Volume) -> Slices:
    """The slices of a volume on the coarse grid."""
    from scipy import ndimage

    planes = np.moveaxis(volume.array, volume.slice_axis, 0)
    steps = [volume.spacing[a] for a in volume.in_plane_axes]
    factors = [min(1.0, max(step / GRID_MM, 1 / n)) for step, n in zip(steps, planes.shape[1:], strict=True)]
    first = ndimage.zoom(planes[0].astype(np.float32), factors, order=1)
    values = np.empty((len(planes), *first.shape), dtype=np.float32)
    sigmas = [max(0.0, 0.4 * (1 / f - 1)) for f in factors]
    for k, plane in enumerate(planes):
        values[k] = ndimage.zoom(ndimage.gaussian_filter(plane.astype(np.float32), sigmas), factors, order=1)
    air, noise = _air(values)
    step = (steps[0] / factors[0], steps[1] / factors[1])
    return Slices(values - air, noise, step)


def _air(values: AnyArray) -> tuple[float, float | None]:
    """Level and standard deviation of the air, from the darkest corners; None when corners hold tissue."""
    m, n = int(_CORNER_MARGIN_MM), int(_CORNER_MARGIN_MM + _CORNER_MM)
    if min(values.shape[1:]) < 2 * n:
        return 0.0, None
    corners = np.concatenate(
        [
            values[:, a, b].reshape(len(values), -1)
            for a in (slice(m, n), slice(-n, -m))
            for b in (slice(m, n), slice(-n, -m))
        ]
    )
    levels = np.median(corners, axis=1)
    darkest = np.argsort(levels, kind="stable")[: max(2, len(levels) // 4)]
    air = float(np.median(levels[darkest]))
    upper = float(np.percentile(values[:, ::3, ::3], 95))
    if air > _AIR_SHARE * upper:
        return 0.0, None
    noise = float(np.median(corners[darkest].std(axis=1)))
    return (0.0, None) if noise > _AIR_SPREAD * upper else (air, noise)


def _closed_at_frame(mask: AnyArray) -> AnyArray:
    """The mask with each edge line filled between its ends: dark marrow that leaves the image is body too."""
    closed = mask.copy()
    for line in (closed[0], closed[-1], closed[:, 0], closed[:, -1]):
        inside = np.flatnonzero(line)
        if len(inside):
            line[inside[0] : inside[-1] + 1] = True
    return np.asarray(closed)


def _without_holes(mask: AnyArray) -> AnyArray:
    """The mask with every hole that does not reach the image's edge filled (as ``binary_fill_holes``, in one pass)."""
    from scipy import ndimage

    labels, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, dtype=bool)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[line] = True
    outside[0] = False
    return np.asarray(~outside[labels])


def _largest(mask: AnyArray) -> AnyArray:
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == int(sizes.argmax()) + 1)
