"""Shapes: signed distances judged by brute force over their surface."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.simulate.anatomy import knee_data
from marrowscope.simulate.shapes import Ellipsoid, Grow, Half, Loft, Meet, Points, Shape, Tube, Union, read_shape

INDEX = np.stack(np.meshgrid(*[np.linspace(-14, 14, 29)] * 3, indexing="ij")).astype(np.float32)
POINTS = Points(*INDEX)

radius = st.floats(3, 9)
small = st.floats(-4, 4)


@settings(max_examples=20)
@given(r=st.tuples(radius, radius, radius), c=st.tuples(small, small, small))
def test_ellipsoid_sign_is_membership_and_distance_is_near_at_the_surface(
    r: tuple[float, ...], c: tuple[float, ...]
) -> None:
    distance = Ellipsoid(np.array(c), np.array(r)).distance(POINTS)
    centre, radii = np.reshape(c, (3, 1, 1, 1)), np.reshape(r, (3, 1, 1, 1))
    inside = (np.square((INDEX - centre) / radii).sum(axis=0)) < 1
    clear = np.abs(distance) > 1e-3
    assert ((distance < 0) == inside)[clear].all()
    # Brute force: distance to a dense cloud of surface points, for voxels within 1 mm of the surface.
    angle = np.stack(np.meshgrid(np.linspace(0, np.pi, 120), np.linspace(0, 2 * np.pi, 240))).reshape(2, -1)
    unit = np.stack([np.sin(angle[0]) * np.cos(angle[1]), np.sin(angle[0]) * np.sin(angle[1]), np.cos(angle[0])])
    surface = unit.T * np.array(r) + np.array(c)
    near = np.argwhere(np.abs(distance) < 1)[::40]
    for i in near:
        true = np.linalg.norm(surface - INDEX[:, i[0], i[1], i[2]], axis=1).min()
        assert abs(abs(distance[tuple(i)]) - true) < 0.5


@settings(max_examples=20)
@given(end=st.tuples(small, small, st.floats(5, 9)), r=st.floats(0.5, 3))
def test_round_tube_distance_is_exact(end: tuple[float, float, float], r: float) -> None:
    distance = Tube(np.array([[0.0, 0, 0], end]), r).distance(POINTS)
    share = np.linspace(0, 1, 400)[:, None] * np.array(end)
    for i in ((3, 4, 5), (14, 14, 16), (20, 10, 28)):
        true = np.linalg.norm(share - INDEX[:, i[0], i[1], i[2]], axis=1).min() - r
        assert distance[i] == pytest.approx(true, abs=0.05)


def test_flat_band_is_wide_along_its_axis_only() -> None:
    band = Tube(np.array([[0.0, 0, -10], [0, 0, 10]]), 1.0, np.array([1.0, 0, 0]), 5.0)
    distance = band.distance(POINTS)
    middle = 14
    inside_u, inside_v = (distance[:, middle, middle] < 0).sum(), (distance[middle, :, middle] < 0).sum()
    assert inside_u == 9 and inside_v == 1


def test_loft_follows_its_rows() -> None:
    loft = Loft(np.array([[-10.0, 0, 0, 4, 4], [10, 6, 0, 8, 8]]), 2.0)
    distance = loft.distance(POINTS)
    assert (distance[:, 14, 5] < 0).sum() == pytest.approx(8, abs=1)  # w = -9: half-width just over 4
    assert INDEX[0, :, 14, 23][distance[:, 14, 23] < 0].min() == pytest.approx(-2, abs=1)  # w = 9
    assert (distance[:, :, 28] > 0).all()  # beyond its end


def test_blend_fills_corners_and_never_removes() -> None:
    parts: tuple[Shape, ...] = (
        Ellipsoid(np.array([-4.0, 0, 0]), np.full(3, 5.0)),
        Ellipsoid(np.array([4.0, 0, 0]), np.full(3, 5.0)),
    )
    plain, blended = Union(parts, 0).distance(POINTS), Union(parts, 4).distance(POINTS)
    assert (blended <= plain + 1e-5).all() and (blended < plain - 0.1).any()
    met = Meet(parts, (Half(np.zeros(3), np.array([0.0, 0, 1])),), 0).distance(POINTS)
    assert (met[:, :, :14] > 0).all()  # the lower half is cut away


def test_growing_moves_the_surface() -> None:
    ball = Ellipsoid(np.zeros(3), np.full(3, 6.0))
    grown = Grow(ball, np.array([[-5.0, 0.0], [5.0, 2.0]]))
    assert np.allclose(ball.distance(POINTS)[:, :, 28] - grown.distance(POINTS)[:, :, 28], 2.0)
    low, high = grown.bounds
    assert (low <= -8).all() and (high >= 8).all()


def test_shape_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="cube"):
        read_shape({"cube": 3}, {})


def test_every_shape_of_the_knee_lies_in_its_bounds() -> None:
    named: dict[str, Shape] = {}
    for name, data in knee_data()["shapes"].items():
        named[name] = read_shape(data, named)
        low, high = named[name].bounds
        steps = [np.arange(a - 6, b + 6, 4, dtype=np.float32) for a, b in zip(low, high, strict=True)]
        grid = Points(*(g.astype(np.float32) for g in np.meshgrid(*steps, indexing="ij")))
        inside = named[name].distance(grid) < -0.5
        assert inside.any(), name
        for axis, a, b in zip((grid.u, grid.v, grid.w), low, high, strict=True):
            assert a - 1 <= axis[inside].min() and axis[inside].max() <= b + 1, name
