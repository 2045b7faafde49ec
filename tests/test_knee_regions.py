"""Side and subregions from bone geometry: on real knee maps, mirrored, shifted, and with the side withheld."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.anatomy.knee import clean, implausible, joint_depth, tapered, within
from marrowscope.anatomy.knee_model import BONES
from marrowscope.anatomy.knee_regions import subregions
from marrowscope.anatomy.knee_side import lateral_direction
from marrowscope.knowledge.scores import score
from marrowscope.labelmap import BoolArray
from marrowscope.measurement import Severity
from marrowscope.simulate.limb.scan import grow, truth_on
from marrowscope.simulate.limb.source import load
from marrowscope.simulate.protocols import load_protocol
from marrowscope.volume import Volume
from needs import shared_root

MAP = "9007827.nii.gz"
pytestmark = pytest.mark.needs("shared:data/knee_labels")


@cache
def knee(side: str) -> tuple[dict[str, BoolArray], Volume]:
    """True bones of one real knee map, as a knee of that side, on sagittal slices; a right one is the mirror image."""
    if side == "right":
        bones, grid = knee("left")
        return bones, Volume(grid.array, np.diag([-1.0, 1, 1, 1]) @ grid.affine)
    root = shared_root()
    assert root is not None
    limb = grow(load(root / "data" / "knee_labels" / MAP), "left", np.random.default_rng(5), most_lesions=0)
    grid = load_protocol("t2_fs_sag", 1.5).grid((0, 1, 2))
    bones, _ = truth_on(limb, grid)
    return dict(bones), grid


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_fibula_and_header_tell_the_same_side(side: str, sign: float) -> None:
    bones, grid = knee(side)
    assert lateral_direction(bones, grid, "")[0] == sign
    assert lateral_direction(bones, grid, side)[0] == sign


def test_a_header_against_the_fibula_leaves_the_side_open() -> None:
    bones, grid = knee("left")
    sign, check = lateral_direction(bones, grid, "right")
    assert sign is None
    assert check.severity is Severity.WARNING
    assert "said to be right" in check.message, "a side that was given is not the header's"
    assert "not assessable" in check.consequence


def test_a_given_side_against_the_header_counts_only_where_the_fibula_agrees() -> None:
    bones, grid = knee("left")
    assert lateral_direction(bones, grid, "left", "right")[0] == 1.0
    sign, check = lateral_direction({**bones, "fibula": np.zeros(grid.shape, bool)}, grid, "left", "right")
    assert sign is None
    assert check.severity is Severity.WARNING
    assert "given as left, the header says right" in check.message


def test_without_header_and_fibula_there_are_no_regions() -> None:
    bones, grid = knee("left")
    sign, _ = lateral_direction({**bones, "fibula": np.zeros(grid.shape, bool)}, grid, "")
    assert sign is None
    assert not subregions(bones, grid, sign).names


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_subregion_is_there_and_lies_where_its_name_says(side: str) -> None:
    bones, grid = knee(side)
    lateral = {"left": 1.0, "right": -1.0}[side]
    regions = subregions(bones, grid, lateral)
    assert set(regions.codes) == set(score("moaks_bml").regions)
    centre = {code: grid.to_world(np.argwhere(regions.mask(code)).mean(0)) for code in regions.codes}
    for part in ("patella", "femur_trochlea", "femur_central", "femur_posterior", "tibia_central"):
        assert (centre[f"{part}_lateral"][0] - centre[f"{part}_medial"][0]) * lateral > 10
    for part in ("medial", "lateral"):
        y = [centre[f"femur_{p}_{part}"][1] for p in ("trochlea", "central", "posterior")]
        assert y == sorted(y)
        y = [centre[f"tibia_{p}_{part}"][1] for p in ("anterior", "central", "posterior")]
        assert y == sorted(y)
    x = [centre[f"tibia_central_{p}"][0] for p in ("medial", "lateral")]
    assert min(x) < centre["tibia_subspinous"][0] < max(x)


def test_subregions_stay_inside_their_bone_and_do_not_overlap() -> None:
    bones, grid = knee("left")
    regions = subregions(bones, grid, 1.0)
    for code in regions.codes:
        assert not (regions.mask(code) & ~bones[code.split("_")[0]]).any()
    voxels = sum(int(regions.mask(code).sum()) for code in regions.codes)
    assert voxels == int(regions.mask().sum())


@settings(max_examples=3)
@given(shift=st.tuples(*[st.floats(-60, 60)] * 3), flip=st.booleans())
def test_regions_follow_the_patient_not_the_grid(shift: tuple[float, float, float], flip: bool) -> None:
    bones, grid = knee("left")
    before = subregions(bones, grid, 1.0)
    affine = np.array(grid.affine)
    affine[:3, 3] += shift
    moved, masks = Volume(grid.array, affine), bones
    if flip:  # slices numbered from the other end
        affine[:3, 3] += affine[:3, 2] * (grid.shape[2] - 1)
        affine[:3, 2] *= -1
        moved, masks = Volume(grid.array, affine), {n: m[:, :, ::-1] for n, m in bones.items()}
    after = subregions(masks, moved, 1.0)
    for code in before.codes:
        mask = after.mask(code)[:, :, ::-1] if flip else after.mask(code)
        changed = int((mask ^ before.mask(code)).sum())
        assert changed <= 0.06 * before.mask(code).sum()  # rounding at a border may move one row of voxels


def test_depth_is_nought_at_the_joint_and_grows_into_the_shaft() -> None:
    bones, grid = knee("left")
    depth = joint_depth(bones, grid)
    assert depth is not None
    for name, sign in (("femur", 1.0), ("tibia", -1.0)):
        heights = sign * grid.to_world(np.argwhere(bones[name]))[:, 2]
        values = depth.array[bones[name]]
        assert values.min() == 0
        assert np.median(values[heights < heights.min() + 8]) < 8
        assert np.median(values[heights > heights.max() - 8]) > 15
    assert not depth.array[~np.any(list(bones.values()), axis=0)].any()


def test_marrow_lies_within_the_cortex_and_the_image_edge_is_no_cortex() -> None:
    bones, grid = knee("left")
    marrow = within(bones["femur"], grid, 1.0)
    assert not (marrow & ~bones["femur"]).any()
    assert 0.75 < marrow.sum() / bones["femur"].sum() < 0.99
    assert (marrow[:, 0] == (marrow[:, 1] & bones["femur"][:, 0])).mean() > 0.99


def test_what_is_no_knee_is_refused() -> None:
    bones, grid = knee("left")
    swapped = {**bones, "femur": bones["tibia"], "tibia": bones["femur"]}
    assert "above" in implausible(swapped, grid)
    assert "femur" in implausible({**bones, "femur": np.zeros(grid.shape, bool)}, grid)
    specks = clean(np.zeros(grid.shape, np.uint8), grid)
    assert "femur" in implausible(specks, grid)


def test_a_slice_spoilt_by_motion_does_not_cut_a_bone_in_two() -> None:
    bones, grid = knee("left")
    label = np.zeros(grid.shape, np.uint8)
    for number, name in enumerate(BONES, start=1):
        label[bones[name]] = number
    axis = grid.slice_axis
    across = np.flatnonzero(bones["tibia"].any(axis=tuple(a for a in range(3) if a != axis)))
    spoilt = int(across[len(across) // 2])
    label[tuple(spoilt if a == axis else slice(None) for a in range(3))] = 0
    whole = clean(label, grid)
    assert all(np.array_equal(whole[name], label == n) for n, name in enumerate(BONES, 1) if name != "fibula")


def test_muscle_at_the_end_of_the_stack_is_no_bone() -> None:
    bones, grid = knee("left")
    for name in ("femur", "tibia"):
        bone = bones[name]
        assert np.array_equal(tapered(bone, grid), bone)
        wrong = np.moveaxis(bone.copy(), grid.slice_axis, 0)
        outer = int(np.flatnonzero(wrong.any(axis=(1, 2)))[0])
        wrong[outer : outer + 2, :30, :30] = True
        assert wrong.sum() > bone.sum()
        assert np.array_equal(tapered(np.moveaxis(wrong, 0, grid.slice_axis), grid), bone)


def test_a_condyle_beyond_a_notch_drawn_too_narrow_stays() -> None:
    bones, grid = knee("left")
    slices = np.moveaxis(bones["femur"].copy(), grid.slice_axis, 0)
    areas = slices.sum(axis=(1, 2))
    notch = int(areas.argmax()) - 1
    assert areas[notch - 1] > 0.8 * areas.max()
    columns = np.nonzero(slices[notch])[1]
    slices[notch, :, np.unique(columns)[3:]] = False  # a sliver at the front is all that is seen of it
    before = slices.sum()
    kept = tapered(np.moveaxis(slices, 0, grid.slice_axis), grid)
    assert kept.sum() == before
