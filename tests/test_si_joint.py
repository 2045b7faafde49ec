"""Sacroiliac segmentation and detection: rules that hold without the data, and one real case end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.errors import ModelError
from marrowscope.inference import load_card, load_model
from marrowscope.lesion import si_joint
from marrowscope.lesion.si_features import COLUMNS, Marrow, features
from marrowscope.lesion.si_joint import FAINT, MODEL, _chances, dimmer_than_muscle, expected_dice_cutoff, spilled
from marrowscope.validation.agreement import icc_2_1
from marrowscope.validation.si_cases import CHANGES, Case, load_case
from marrowscope.validation.si_joint import fold_for, judge, matched, readers_dice
from marrowscope.volume import Volume

MODELS = ("si_region", "si_bones", "si_lesion")


@given(st.lists(st.floats(0.0078125, 0.9921875, width=32), min_size=1, max_size=60))
def test_the_cutoff_has_the_largest_expected_dice(values: list[float]) -> None:
    p = np.array(values, np.float32)
    cut = expected_dice_cutoff(p, 0.0, 1.0)

    def expected(t: float) -> float:
        return float(2 * p[p >= t].sum() / ((p >= t).sum() + p.sum()))

    assert expected(cut) >= max(expected(float(t)) for t in p) - 1e-5


def test_the_cutoff_stays_in_its_range_and_is_high_without_candidates() -> None:
    assert expected_dice_cutoff(np.zeros(5, np.float32), 0.2, 0.5) == 0.5
    assert expected_dice_cutoff(np.full(5, 0.01, np.float32), 0.2, 0.5) == 0.2


def test_what_is_no_brighter_than_muscle_is_left_out_on_any_slice_axis() -> None:
    image = Volume(np.full((20, 20, 5), 100.0, np.float32), np.diag([0.6, 0.6, 3.3, 1]), 2)
    bright = image.array.copy()
    bright[5:12, 5:12, 2] = 200
    dim = dimmer_than_muscle(image.with_array(bright), 100.0, 1.3)
    assert not dim[7:10, 7:10, 2].any() and dim[:, :, [0, 1, 3, 4]].all(), "slices are not blurred into each other"
    turned = Volume(np.moveaxis(bright, 2, 0), np.diag([3.3, 0.6, 0.6, 1]), 0)
    np.testing.assert_array_equal(np.moveaxis(dimmer_than_muscle(turned, 100.0, 1.3), 0, 2), dim)
    assert not dimmer_than_muscle(image, None, 1.3).any(), "muscle not known: nothing is left out"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_small_marks_beside_something_brighter_outside_the_marrow_are_told(axis: int) -> None:
    marrow, image, edema = (np.zeros((60, 60, 6), dtype=kind) for kind in (bool, np.float32, bool))
    marrow[5:55, 5:55] = True
    image[marrow] = 100
    image[:5, 10:52] = 400  # outside: bright here, dark elsewhere
    marks = {
        "beside bright": np.s_[5:9, 12:18, 2],
        "beside dark": np.s_[51:55, 12:18, 2],
        "deep": np.s_[20:24, 12:18, 2],
        "large": np.s_[5:10, 22:50, 2:6],
    }
    for place in marks.values():
        image[place], edema[place] = 300, True
    spacing = np.insert([0.6, 0.6], axis, 3.3)
    grid = Volume(np.moveaxis(image, 2, axis), np.diag([*spacing, 1.0]), axis)
    found = np.moveaxis(spilled(grid, np.moveaxis(edema, 2, axis), np.moveaxis(marrow, 2, axis)), axis, 2)
    shares = {name: found[place].mean() for name, place in marks.items()}
    assert shares == {"beside bright": 1, "beside dark": 0, "deep": 0, "large": 0}
    assert not (found & ~edema).any()


def test_folds_that_are_not_asked_would_have_changed_nothing_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = features(small_marrow())
    mean, first = load_model(MODEL).run(rows)[:, 0], load_model(MODEL).run(rows, 0)[:, 0]
    faint = first < FAINT
    assert faint.any() and not faint.all() and mean[faint].max() < 0.1
    assert (_chances(rows, None)[faint] == first[faint]).all()
    np.testing.assert_allclose(_chances(rows, None)[~faint], mean[~faint], atol=1e-6)
    monkeypatch.setattr(si_joint, "SURE", float(np.median(first[~faint])))  # the small picture makes no fold that sure
    chance, sure = _chances(rows, None), first >= si_joint.SURE
    assert (chance[sure] == first[sure]).all()
    np.testing.assert_allclose(chance[~faint & ~sure], mean[~faint & ~sure], atol=1e-6)


def small_marrow(gain: float = 1.0, with_t1: bool = True) -> Marrow:
    rng = np.random.default_rng(1)
    stir = (100 + rng.normal(0, 5, (48, 60, 4))).astype(np.float32)
    stir[20:26, 20:40, 1:3] = 200
    region = np.zeros(stir.shape, bool)
    region[4:44, 6:54] = True
    bone = np.where(np.arange(48)[:, None, None] < 24, 1, 2).astype(np.uint8) * region
    t1 = (300 + rng.normal(0, 9, stir.shape)).astype(np.float32)
    return Marrow(gain * stir, 3 * gain * t1 if with_t1 else None, region, bone.astype(np.uint8))


def test_features_do_not_depend_on_the_intensity_scale() -> None:
    first, at = features(small_marrow())
    second, same = features(small_marrow(gain=0.004))
    np.testing.assert_array_equal(at, same)
    np.testing.assert_allclose(first, second, rtol=2e-3, atol=2e-3)
    assert first.shape == (len(at), len(COLUMNS)) and np.isfinite(first).all()


def test_without_t1_only_its_columns_are_missing() -> None:
    rows, _ = features(small_marrow(with_t1=False))
    missing = {COLUMNS[i] for i in np.nonzero(np.isnan(rows).any(axis=0))[0]}
    assert missing == {"t1", "t2", "t4", "tmin", "tcontrast", "st", "tgrad"}


@pytest.mark.parametrize("name", MODELS)
def test_every_card_says_data_licence_figures_and_failures_and_its_weights_load(name: str) -> None:
    card = load_card(name)
    assert card.failures and card.results and card.data[0]["licence"]
    assert len(card.weights) == len(load_model(name).sessions) == 5
    held = [c for w in card.weights for c in w.held_out]
    assert len(held) == len(set(held)), "a case held out by two folds"
    assert all(w.seen for w in card.weights)


def test_a_case_seen_by_every_fold_is_refused() -> None:
    card = load_card("si_region")
    hashes = tuple(next(iter(w.seen)) for w in card.weights)
    with pytest.raises(ModelError, match="every fold"):
        fold_for(Case("mixed", {}, None, {}, hashes))


def test_changes_keep_volume_and_geometry() -> None:
    array = np.zeros((60, 50, 16), np.float32)
    array[20:40, 10:30, 4:12] = 7
    affine = np.array([[-1.0, 0, 0, 10], [0, 0, 4, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    case = Case("x", {"fluid": Volume(array, affine)}, Volume((array > 0).astype(np.uint8), affine))
    for name, change in CHANGES.items():
        changed = change(case)
        assert changed.region is not None
        before = float((array > 0).sum()) * 4
        after = float((changed.region.array > 0).sum()) * changed.region.voxel_volume_mm3
        assert after == pytest.approx(before, rel=0.35), name
    stored = CHANGES["stored with axes swapped"](case).images["fluid"]
    where = np.argwhere(stored.array > 3)
    np.testing.assert_allclose(
        stored.to_world(where).mean(0), case.images["fluid"].to_world(np.argwhere(array > 3)).mean(0), atol=1e-9
    )


def test_lesions_are_matched_by_overlap() -> None:
    reading = np.zeros((20, 20, 3), bool)
    reading[2:6, 2:6, 1] = True
    ours = np.zeros_like(reading)
    ours[2:6, 2:5, 1] = True
    ours[12:16, 12:16, 1] = True
    readings = {"R11": reading, "R21": reading}
    assert matched(readings, ours, 0.01) == (1, 1, 1)
    assert readers_dice(readings) == 1.0
    assert matched(readings, np.zeros_like(ours), 0.01) == (0, 1, 0)


def test_icc_of_shrout_and_fleiss_example() -> None:
    table = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert icc_2_1(table) == pytest.approx(0.29, abs=0.005)  # Shrout and Fleiss 1979, table 4: ICC(2,1) = .29
    assert icc_2_1([[1, 2]]) is None


@pytest.mark.needs("shared:data/si_joint/1016")
def test_one_real_case_by_the_fold_that_never_saw_it(shared: Path) -> None:
    case = load_case(shared / "data" / "si_joint" / "1016")
    fold = fold_for(case)
    assert fold is not None and "1016" in load_card("si_region").weights[fold].held_out
    result = judge(case, fold)
    assert result.refused == ""
    assert result.region_dice is not None and result.region_dice > 0.88
    assert result.mean_dice is not None and result.mean_dice > 0.35
    assert result.cm3[1] <= result.cm3[0] <= result.cm3[2]


@pytest.mark.needs("shared:data/si_joint/1016")
def test_an_axial_series_is_refused_with_the_reason(shared: Path) -> None:
    case = load_case(shared / "data" / "si_joint" / "1016")
    fluid = case.images["fluid"]
    axial = Volume(fluid.array, np.diag([0.6, 0.6, 3.3, 1.0]))
    refused = judge(Case("axial", {"fluid": axial}, None), None)
    assert "axial" in refused.refused


@pytest.mark.needs("shared:data/si_joint/1016")
def test_t1_given_as_fluid_is_refused(shared: Path) -> None:
    case = load_case(shared / "data" / "si_joint" / "1016")
    refused = judge(Case("t1", {"fluid": case.images["t1"], "t1": case.images["t1"]}, None), None)
    assert "fat suppression" in refused.refused
