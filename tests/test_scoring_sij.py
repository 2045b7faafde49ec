"""SPARCC, Berlin and ASAS extent on hand-made joints whose scores can be counted by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.anatomy.si_joint import _depth, _joint, quadrants
from marrowscope.knowledge.scores import score
from marrowscope.scoring import asas_sij, berlin_sij, sparcc_sij
from marrowscope.scoring.grades import highest_grade
from marrowscope.scoring.sij import Scene, best_consecutive, make_scene
from marrowscope.volume import Volume

SLICES, HIGH = 8, 60
AFFINE = np.array([[1.0, 0, 0, -50], [0, 0, 4.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])  # i left, j head, k back
GRID = Volume(np.zeros((100, 80, SLICES), np.float32), AFFINE)
CSF = 100.0


def bones(high: int = HIGH) -> dict[str, np.ndarray]:
    """A sacrum of 50 mm between two ilia of 20 mm, joints straight up, ``high`` mm tall, on every slice."""
    masks = {name: np.zeros(GRID.shape, bool) for name in ("sacrum", "left_ilium", "right_ilium")}
    masks["sacrum"][25:75, 10 : 10 + high] = True
    masks["left_ilium"][75:95, 10 : 10 + high] = True
    masks["right_ilium"][5:25, 10 : 10 + high] = True
    return masks


def scene_of(edema: np.ndarray, brightness: float = 50.0, high: int = HIGH, csf: float | None = CSF) -> Scene:
    parts = bones(high)
    joint = {side: _joint(GRID, parts["sacrum"], parts[f"{side}_ilium"]) for side in ("left", "right")}
    depth = _depth(GRID, joint["left"] | joint["right"])
    assert depth is not None
    regions = quadrants(GRID, parts, joint)
    masks = {code: regions.mask(code) for code in regions.codes}
    image = np.full(GRID.shape, 10.0, np.float32)
    image[edema] = brightness
    return make_scene(GRID, masks, joint, edema, depth.array, image, csf)


def blank() -> np.ndarray:
    return np.zeros(GRID.shape, bool)


def test_quadrants_follow_geometry_left_is_left_and_upper_is_headward() -> None:
    parts = bones()
    joint = {side: _joint(GRID, parts["sacrum"], parts[f"{side}_ilium"]) for side in ("left", "right")}
    regions = quadrants(GRID, parts, joint)
    left_up = np.argwhere(regions.mask("left_ilium_upper"))
    assert GRID.to_world(left_up)[:, 0].min() > 0
    assert left_up[:, 1].min() > np.argwhere(regions.mask("left_ilium_lower"))[:, 1].max()
    whole = sum(regions.mask(c).sum() for c in regions.codes)
    assert whole == sum(m.sum() for m in parts.values())


def test_no_edema_scores_zero_everywhere() -> None:
    seen = scene_of(blank())
    assert sparcc_sij.of_scene(seen).total.value == 0
    assert berlin_sij.of_scene(seen).total.value == 0
    extent = asas_sij.of_scene(seen)
    assert extent.total.value == 0
    assert "reader's judgement required" in extent.statement


def test_sparcc_counts_quadrants_intensity_and_depth_once_a_joint_and_slice() -> None:
    edema = blank()
    edema[76:82, 50:60, 3] = True  # left upper ilium, 1-7 mm from the joint line, one slice
    assert sparcc_sij.of_scene(scene_of(edema)).total.value == 1
    assert sparcc_sij.of_scene(scene_of(edema, brightness=CSF)).total.value == 2
    edema[76:92, 50:60, 3] = True  # now it reaches beyond 1 cm
    assert sparcc_sij.of_scene(scene_of(edema, brightness=CSF)).total.value == 3
    edema[60:74, 15:20, 3] = True  # left lower sacrum as well: one more quadrant, no second depth point
    assert sparcc_sij.of_scene(scene_of(edema, brightness=CSF)).total.value == 4


def test_sparcc_full_joints_reach_the_maximum_of_72() -> None:
    parts = bones()
    edema = parts["sacrum"] | parts["left_ilium"] | parts["right_ilium"]
    result = sparcc_sij.of_scene(scene_of(edema, brightness=CSF + 1))
    assert result.total.value == result.maximum == 72
    assert result.context["intensity reference"].startswith("spinal fluid")


def test_sparcc_low_joints_have_only_upper_quadrants() -> None:
    parts = bones(high=20)
    edema = parts["sacrum"] | parts["left_ilium"] | parts["right_ilium"]
    result = sparcc_sij.of_scene(scene_of(edema, brightness=CSF + 1, high=20))
    assert result.total.value == 72 - 6 * 2 * 2
    assert "do not exist" in result.statement
    lower = [c for c in result.cells if c.id.endswith("lower")]
    assert lower and all(c.value is None and c.reason for c in lower)


def test_sparcc_without_spinal_fluid_is_not_assessable_and_says_why() -> None:
    result = sparcc_sij.of_scene(scene_of(blank(), csf=None))
    assert not result.total.measured
    assert "spinal fluid" in result.total.reason


def test_a_readers_cell_changes_the_sum_by_the_same_rule() -> None:
    from dataclasses import replace

    result = sparcc_sij.of_scene(scene_of(blank()))
    cells = tuple(replace(c, value=1.0, by="reader") if c.id == "slice1.left.ilium_upper" else c for c in result.cells)
    assert sparcc_sij.summed(replace(result, cells=cells)).total.value == 1


def test_every_sacroiliac_cell_has_its_highest_grade() -> None:
    scene = scene_of(blank())
    highest = {
        cell.id.rpartition(".")[2]: highest_grade(scored, cell.id)
        for scored in (sparcc_sij.of_scene(scene), asas_sij.of_scene(scene))
        for cell in scored.cells
    }
    assert {highest.pop(name) for name in ("ilium_upper", "sacrum_lower", "intense", "deep")} == {1.0}
    assert math.isinf(highest.pop("edema_cm3")), "a volume is no grade"
    assert {highest_grade(berlin_sij.of_scene(scene), c.id) for c in berlin_sij.of_scene(scene).cells} == {3.0}


@pytest.mark.parametrize(("rows", "grade"), [(0, 0), (9, 1), (12, 2), (24, 3)])
def test_berlin_grades_the_share_of_a_quadrant(rows: int, grade: int) -> None:
    edema = blank()
    edema[75:95, 41 : 41 + rows] = True  # of the about 30 rows of the left upper ilium, all slices
    result = berlin_sij.of_scene(scene_of(edema))
    cells = {c.id: c.value for c in result.cells}
    assert cells["left.ilium_upper"] == grade
    assert result.total.value == grade


def test_asas_extent_needs_two_slices_or_two_lesions_of_one_slice() -> None:
    edema = blank()
    edema[76:80, 50:55, 3] = True
    assert asas_sij.of_scene(scene_of(edema)).total.value == 0
    two_slices = edema.copy()
    two_slices[76:80, 50:55, 4] = True
    assert asas_sij.of_scene(scene_of(two_slices)).total.value == 1
    two_lesions = edema.copy()
    two_lesions[10:14, 20:25, 3] = True
    assert asas_sij.of_scene(scene_of(two_lesions)).total.value == 1
    cells = {c.id: c.value for c in asas_sij.of_scene(scene_of(two_slices)).cells}
    assert cells[asas_sij.RULE_2021] == 0
    three = two_slices.copy()
    three[76:80, 50:55, 5] = True
    cells = {c.id: c.value for c in asas_sij.of_scene(scene_of(three)).cells}
    assert cells[asas_sij.RULE_2021] == 1
    assert cells[asas_sij.VOLUME] == pytest.approx(3 * 4 * 5 * 4 / 1000)


@given(st.floats(0.4, 6.0), st.integers(1, 4))
def test_thin_slices_must_span_what_the_rule_means_in_millimetres(spacing: float, slices: int) -> None:
    definition = score(asas_sij.DEFINITION)
    needed = asas_sij.needed_slices(definition, slices, spacing)
    assert needed >= slices
    assert needed == slices or needed * spacing >= slices * definition.number("slice_thickness_low") - 1e-3


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30), st.integers(1, 8))
def test_best_consecutive_run_is_a_run_and_none_is_better(heights: list[float], count: int) -> None:
    run = best_consecutive(heights, count)
    assert run == list(range(run[0], run[0] + min(count, len(heights))))
    best = sum(heights[i] for i in run)
    sums = [sum(heights[i : i + count]) for i in range(max(1, len(heights) - count + 1))]
    assert best >= max(sums) - 1e-9


def test_caveats_with_figures_are_stored_with_the_extent() -> None:
    context = asas_sij.of_scene(scene_of(blank())).context
    text = " ".join(context.values())
    assert "birth" in text and "runners" in text and "healthy" in text
