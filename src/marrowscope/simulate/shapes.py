"""Smooth closed shapes as signed distances (negative inside), read from plain data.

Lengths are millimetres in a knee's own frame: u to lateral, v to the back, w to the head. Distances are exact for
half-spaces and tubes and right to first order near the surface for the rest, which is all a border of one voxel
needs (Hart, Vis Comput 1996;12:527-545; smooth minimum after Quilez).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import numpy as np

from marrowscope.simulate.signal import Float32Array
from marrowscope.volume import FloatArray

TINY = np.float32(1e-4)
"""Keeps ratios finite at a shape's very centre; far below any length that matters (mm)."""

LOFT_STEP_MM = 0.5
"""Spacing of the table a loft's cross-sections are read from."""

Bounds = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Points:
    """Coordinates of a block of voxels: three float32 arrays of one shape, mm."""

    u: Float32Array
    v: Float32Array
    w: Float32Array


class Shape(Protocol):
    """A closed shape."""

    @property
    def bounds(self) -> Bounds:
        """Lowest and highest corner of a box that holds the shape, mm."""

    def distance(self, points: Points) -> Float32Array:
        """Signed distance in mm, negative inside."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid with axes along the frame."""

    centre: FloatArray
    radii: FloatArray

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        return self.centre - self.radii, self.centre + self.radii

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        once = [
            (x - np.float32(c)) / np.float32(r) for x, c, r in zip(_uvw(points), self.centre, self.radii, strict=True)
        ]
        k0 = np.sqrt(sum(a * a for a in once))
        k1 = np.sqrt(sum((a / np.float32(r)) ** 2 for a, r in zip(once, self.radii, strict=True)))
        at_centre = np.float32(-np.min(self.radii))  # the formula is 0/0 there
        return np.asarray(np.where(k1 > TINY, k0 * (k0 - 1) / np.maximum(k1, TINY), at_centre), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Loft:
    """Stacked (super)ellipses along w: a shaft, a muscle, a limb.

    Attributes:
        rows: one cross-section a row: w, centre u, centre v, half-width along u, half-width along v.
        power: 2 = ellipse, more = squarer.
    """

    rows: FloatArray
    power: float

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        low = [(self.rows[:, 1] - self.rows[:, 3]).min(), (self.rows[:, 2] - self.rows[:, 4]).min()]
        high = [(self.rows[:, 1] + self.rows[:, 3]).max(), (self.rows[:, 2] + self.rows[:, 4]).max()]
        w = self.rows[:, 0]
        return np.array([*low, w.min()]), np.array([*high, w.max()])

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        from scipy.interpolate import PchipInterpolator

        rows = self.rows[np.argsort(self.rows[:, 0])]
        first, last = rows[0, 0], rows[-1, 0]
        nodes = np.arange(first, last + LOFT_STEP_MM, LOFT_STEP_MM)
        table = PchipInterpolator(rows[:, 0], rows[:, 1:])(np.minimum(nodes, last)).astype(np.float32)
        at = np.clip((points.w - np.float32(first)) / np.float32(LOFT_STEP_MM), 0, len(nodes) - 1).astype(np.int32)
        du, dv = points.u - table[at, 0], points.v - table[at, 1]
        p = np.float32(self.power)
        ratio = ((np.abs(du) / table[at, 2]) ** p + (np.abs(dv) / table[at, 3]) ** p) ** (1 / p)
        radial = np.hypot(du, dv) * (1 - 1 / np.maximum(ratio, TINY))
        side = np.where(ratio < np.float32(0.05), -np.minimum(table[at, 2], table[at, 3]), radial)
        ends = np.maximum(np.float32(first) - points.w, points.w - np.float32(last))
        return np.asarray(np.maximum(side, ends), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Tube:
    """A round or flat band along a chain of points: vessel, tendon, ligament.

    Attributes:
        points: (n, 3) the chain.
        radius: half-thickness.
        flat: unit vector along which the band is wider; None = round.
        width: half-width along ``flat``.
    """

    points: FloatArray
    radius: float
    flat: FloatArray | None = None
    width: float = 0.0

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        reach = max(self.radius, self.width)
        return self.points.min(axis=0) - reach, self.points.max(axis=0) + reach

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        pairs = zip(self.points[:-1], self.points[1:], strict=True)
        return reduce(np.minimum, [self._segment(points, a, b) for a, b in pairs])

    def _segment(self, points: Points, start: FloatArray, end: FloatArray) -> Float32Array:
        along = end - start
        offset = [x - np.float32(s) for x, s in zip(_uvw(points), start, strict=True)]
        share = np.clip(_dot(offset, along) / np.float32(along @ along), 0, 1)
        offset = [o - share * np.float32(a) for o, a in zip(offset, along, strict=True)]
        square = sum(o * o for o in offset)
        if self.flat is None:
            return np.asarray(np.sqrt(square) - np.float32(self.radius), dtype=np.float32)
        wide = _dot(offset, self.flat)
        excess = np.maximum(np.abs(wide) - np.float32(self.width - self.radius), 0)
        thin = np.maximum(square - wide * wide, 0)
        return np.asarray(np.sqrt(thin + excess * excess) - np.float32(self.radius), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Half:
    """Everything on the side of a plane that its normal points away from."""

    point: FloatArray
    normal: FloatArray

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`; a half-space has none, so it must be met with something."""
        return np.full(3, -np.inf), np.full(3, np.inf)

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        unit = self.normal / np.linalg.norm(self.normal)
        offset = [x - np.float32(p) for x, p in zip(_uvw(points), self.point, strict=True)]
        return np.asarray(_dot(offset, unit), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Union:
    """Several shapes as one, corners filled over ``blend`` mm."""

    parts: tuple[Shape, ...]
    blend: float

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        low, high = zip(*[p.bounds for p in self.parts], strict=True)
        bulge = self.blend / 2  # a quarter where two parts meet, more where several do
        return np.min(low, axis=0) - bulge, np.max(high, axis=0) + bulge

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        return reduce(lambda a, b: _smooth_min(a, b, self.blend), [p.distance(points) for p in self.parts])


@dataclass(frozen=True, eq=False)
class Meet:
    """What all parts share, less what is cut away, edges rounded over ``blend`` mm."""

    parts: tuple[Shape, ...]
    cuts: tuple[Shape, ...]
    blend: float

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        low, high = zip(*[p.bounds for p in self.parts], strict=True)
        return np.max(low, axis=0), np.min(high, axis=0)

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        inverse = [-p.distance(points) for p in self.parts] + [c.distance(points) for c in self.cuts]
        return np.asarray(-reduce(lambda a, b: _smooth_min(a, b, self.blend), inverse))


@dataclass(frozen=True, eq=False)
class Grow:
    """A shape grown (or, negative, shrunk) by a margin that may change along w.

    Attributes:
        shape: what grows.
        rows: (n, 2) w and margin in mm; between rows linear, beyond them constant.
    """

    shape: Shape
    rows: FloatArray

    @property
    def bounds(self) -> Bounds:
        """See :class:`Shape`."""
        low, high = self.shape.bounds
        margin = max(0.0, float(self.rows[:, 1].max()))
        return low - margin, high + margin

    def distance(self, points: Points) -> Float32Array:
        """See :class:`Shape`."""
        margin = np.interp(points.w, self.rows[:, 0], self.rows[:, 1]) if len(self.rows) > 1 else self.rows[0, 1]
        return np.asarray(self.shape.distance(points) - margin, dtype=np.float32)


def read_shape(data: Mapping[str, Any], named: Mapping[str, Shape]) -> Shape:
    """A shape from plain data.

    Args:
        data: one of ``{ellipsoid: {centre, radii}}``, ``{loft: rows, power}``,
            ``{tube: points, radius[, flat, width]}``,
            ``{half: {point, normal}}``, ``{union: [...], blend}``, ``{meet: [...], cut: [...], blend}``,
            ``{grow: shape, by: number or rows}``, ``{ref: name}``.
        named: shapes that ``ref`` may name.

    Raises:
        ValueError: none of these.
    """

    def many(key: str) -> tuple[Shape, ...]:
        return tuple(read_shape(part, named) for part in data.get(key, ()))

    shape: Shape
    match data:
        case {"ref": name}:
            shape = named[name]
        case {"ellipsoid": {"centre": centre, "radii": radii}}:
            shape = Ellipsoid(_array(centre), _array(radii))
        case {"loft": rows, **rest}:
            shape = Loft(_array(rows), float(rest.get("power", 2.0)))
        case {"tube": points, "radius": radius, **rest}:
            shape = Tube(
                _array(points), radius, _array(rest["flat"]) if "flat" in rest else None, rest.get("width", 0.0)
            )
        case {"half": {"point": point, "normal": normal}}:
            shape = Half(_array(point), _array(normal))
        case {"union": _}:
            shape = Union(many("union"), data.get("blend", 0.0))
        case {"meet": _}:
            shape = Meet(many("meet"), many("cut"), data.get("blend", 0.0))
        case {"grow": inner, "by": by}:
            shape = Grow(read_shape(inner, named), _array(by if isinstance(by, list) else [[0.0, by]]))
        case _:
            raise ValueError(f"not a shape: {sorted(data)}")
    return shape


def _array(value: object) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _uvw(points: Points) -> tuple[Float32Array, Float32Array, Float32Array]:
    return points.u, points.v, points.w


def _dot(offset: list[Float32Array], vector: FloatArray) -> Float32Array:
    return np.asarray(sum(o * np.float32(x) for o, x in zip(offset, vector, strict=True)))


def _smooth_min(a: Float32Array, b: Float32Array, blend: float) -> Float32Array:
    if blend <= 0:
        return np.minimum(a, b)
    share = np.maximum(blend - np.abs(a - b), 0) / np.float32(blend)
    return np.asarray(np.minimum(a, b) - share * share * np.float32(blend / 4))
