"""The double line of osteonecrosis on nested shells of known size: what is taken for it, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.assessment.findings import measured_findings
from marrowscope.assessment.types import LesionRecord, Outcome
from marrowscope.findings import State
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.double_line import beside_line, inner_line
from marrowscope.lesion.types import LesionKind, LesionObject, Verdict
from marrowscope.volume import Volume

SPACING = (0.5, 0.5, 3.0)
SHAPE = (80, 80, 9)
CENTRE = (40.0, 40.0, 4.0)
CORE, LINE, RIM, EDEMA = 5.0, 6.5, 8.5, 12.0
"""Outer radii of the shells, mm."""


def radius(centre: tuple[float, float, float] = CENTRE) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    return np.sqrt(sum(((a - c) * s) ** 2 for a, c, s in zip(axes, centre, SPACING, strict=True)))


def shells(far: np.ndarray, *, rim: bool = True, fat: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bright voxels, T1 over normal marrow, and the true line."""
    line = (far > CORE) & (far <= LINE)
    edema = (far > (RIM if rim else CORE)) & (far <= EDEMA)
    t1 = np.ones(SHAPE, dtype=np.float32)
    t1[far <= EDEMA] = 0.6
    t1[(far > LINE) & (far <= RIM)] = 0.3 if rim else 0.6
    t1[far <= CORE] = 0.95 if fat else 0.3
    return line | edema, t1, line & rim


def volume(array: np.ndarray, axis: int = 2) -> Volume:
    """The array with its slices along another axis."""
    spacing = list(SPACING)
    spacing.insert(axis, spacing.pop(2))
    return Volume(np.moveaxis(array, 2, axis), np.diag([*spacing, 1.0]), axis)


def found(
    bright: np.ndarray, t1: np.ndarray, bones: np.ndarray, axis: int = 2, evidence: np.ndarray | None = None
) -> np.ndarray:
    evidence = bright.astype(np.float32) if evidence is None else evidence
    moved = [np.moveaxis(a, 2, axis) for a in (bright, evidence, bones)]
    line = inner_line(moved[0], moved[1], volume(t1, axis), moved[2])
    return np.moveaxis(line, axis, 2)


BONE = np.ones(SHAPE, dtype=np.uint8)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_line_inside_the_rim_is_found_and_no_edema_with_it(axis: int) -> None:
    bright, t1, line = shells(radius())
    got = found(bright, t1, BONE, axis)
    assert got[line].mean() > 0.95
    assert not (got & ~line).any()


@settings(max_examples=25, deadline=None)
@given(st.floats(25, 55), st.floats(25, 55), st.floats(3, 5))
def test_wherever_it_lies(x: float, y: float, z: float) -> None:
    bright, t1, line = shells(radius((x, y, z)))
    got = found(bright, t1, BONE)
    assert got[line].mean() > 0.9
    assert not (got & ~line).any()


def test_a_ring_that_the_joint_cuts_open_is_one_too() -> None:
    bright, t1, line = shells(radius((36.0, 14.0, 4.0)))
    bones = BONE.copy()
    bones[:, :10] = 0  # the joint, 2 mm into the core
    inside = bones > 0
    got = found(bright & inside, t1, bones)
    assert got[line & inside].mean() > 0.9
    assert not (got & ~line).any()


@pytest.mark.parametrize("cut", [14, 20, 26])
def test_an_arch_against_the_joint_is_one_too_though_edema_does_not_close_around_it(cut: int) -> None:
    bright, t1, line = shells(radius((36.0, 20.0, 4.0)))
    bones = BONE.copy()
    bones[:, :cut] = 0  # the joint
    inside = bones > 0
    one_side = line | (np.arange(SHAPE[0])[:, None, None] < 36)
    normal = ~one_side & (radius((36.0, 20.0, 4.0)) > RIM)
    got = found(bright & inside & one_side, np.where(normal, np.float32(1.0), t1), bones)
    assert got[line & inside].mean() > 0.9
    assert not (got & ~line).any()


def test_an_arch_of_edema_over_normal_marrow_is_edema() -> None:
    far = radius((36.0, 20.0, 4.0))
    arch = (far > CORE) & (far <= EDEMA)
    bones = BONE.copy()
    bones[:, :20] = 0
    assert not found(arch & (bones > 0), np.where(arch, np.float32(0.6), np.float32(1.0)), bones).any()


def test_a_dim_bridge_across_the_rim_does_not_hide_the_line() -> None:
    bright, t1, line = shells(radius())
    bridge = (radius() > LINE) & (radius() <= RIM) & (np.arange(SHAPE[0])[:, None, None] > CENTRE[0] + 6)
    evidence = np.where(bridge, 0.4, bright).astype(np.float32)
    got = found(bright | bridge, t1, BONE, evidence=evidence)
    assert got[line].mean() > 0.9
    assert (got & ~line & ~bridge).sum() < 0.02 * line.sum()


@pytest.mark.parametrize(("rim", "fat"), [(False, True), (True, False)])
def test_edema_around_an_island_of_fat_and_a_ring_without_fat_are_edema(*, rim: bool, fat: bool) -> None:
    bright, t1, _ = shells(radius(), rim=rim, fat=fat)
    assert not found(bright, t1, BONE).any()


def test_edema_that_a_fracture_line_cuts_in_two_is_edema() -> None:
    far = radius()
    bright, t1 = far <= EDEMA, np.where(far <= EDEMA, 0.6, 1.0).astype(np.float32)
    bright[38:41], t1[38:41] = False, 0.3
    assert not found(bright, t1, BONE).any()


def test_what_lies_around_the_line_says_why_it_is_not_counted() -> None:
    bright, t1, line = shells(radius())
    far = radius((70.0, 70.0, 4.0)) < 4
    grid = volume(np.zeros(SHAPE, dtype=np.float32))
    lesions = LabelMap.from_masks(grid, {"lesion_1": bright & ~line, "lesion_2": far & ~bright})
    objects = tuple(LesionObject(n, LesionKind.EDEMA, 0.9) for n in (1, 2))
    near, away = beside_line(objects, lesions, found(bright, t1, BONE))
    assert "double-line sign" in near.reasons[0]
    assert not away.reasons


def test_it_is_a_finding_where_it_is_seen_and_unknown_where_not() -> None:
    record = LesionRecord(
        1, "lesion_1", LesionKind.EDEMA, "femur", "left", (), "femur", 0.9, (), Verdict.AUTOMATIC, (), (0, 0, 0), 4
    )
    seen = {f.code: f.state for f in measured_findings((record,), Outcome.LESIONS, "left", double_line=True)}
    assert seen["double_line"] is State.PRESENT
    assert "double_line" not in {f.code for f in measured_findings((record,), Outcome.LESIONS, "left")}


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [0.0, 1.0, 4.0])
def test_the_line_is_told_though_edema_does_not_surround_it(width: float, axis: int) -> None:
    bright, t1, line = shells(radius())
    beside = line | (np.arange(SHAPE[1])[None, :, None] < CENTRE[1] + width)  # edema on one side only
    normal = ~beside & (radius() > RIM)
    t1[normal] = 1.0
    got = found(bright & beside, t1, BONE, axis)
    assert got[line].mean() > 0.9
    assert not (got & ~line).any()


def test_a_ring_of_edema_around_normal_marrow_is_edema() -> None:
    far = radius()
    ring = (far > CORE) & (far <= EDEMA)
    t1 = np.where(ring, np.float32(0.6), np.float32(1.0))
    assert not found(ring, t1, BONE).any()
