"""The knee bench: its statistics against known values, its split, and one simulated examination end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.errors import StudyError, UsageError
from marrowscope.simulate.limb.source import load
from marrowscope.validation.agreement import concordance, dice, limits_of_agreement, weighted_kappa
from marrowscope.validation.knee import FOUND_SHARE, judge, matched, summarise, unseen_maps
from marrowscope.validation.knee_cases import CONDITIONS, simulate_case, subject_of

MAP = "9007827.nii.gz"


def test_statistics_agree_with_values_worked_by_hand() -> None:
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert dice(a, b) == 0.5
    assert dice(a & False, b & False) is None
    assert concordance([1, 2, 3], [2, 3, 4]) == pytest.approx(2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))
    assert limits_of_agreement([1, 2, 3], [2, 3, 4]) == (1.0, 1.0, 1.0)
    assert weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3], 4) == 1.0
    assert weighted_kappa([0, 0, 3, 3], [3, 3, 0, 0], 4) == pytest.approx(-1.0)
    assert concordance([1, 2], [1, 2]) is None


@given(st.lists(st.integers(0, 3), min_size=4, max_size=30), st.integers(0, 2**32))
def test_kappa_lies_between_minus_one_and_one(grades: list[int], seed: int) -> None:
    other = np.random.default_rng(seed).permutation(grades)
    kappa = weighted_kappa(grades, other, 4)
    assert kappa is None or -1.0 - 1e-9 <= kappa <= 1.0 + 1e-9


def test_a_lesion_is_found_by_overlap_and_a_mark_elsewhere_is_false() -> None:
    truth, found = np.zeros((40, 40, 6), bool), np.zeros((40, 40, 6), bool)
    truth[5:15, 5:15, 2:4] = True
    truth[25:35, 25:35, 2:4] = True
    found[5:15, 5 : 5 + int(10 * FOUND_SHARE), 2:4] = True
    found[0:4, 30:34, 0:2] = True
    lesions, false = matched(truth, found, 0.001)
    assert sorted(lesions) == [(0.2, False), (0.2, True)]
    assert false == 1


def test_visits_of_one_subject_stay_together() -> None:
    assert subject_of(Path("9057479_36m.nii.gz")) == subject_of(Path("9057479_00m.nii.gz")) == "9057479"


def test_maps_of_trained_subjects_are_left_out_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    for name in ("9001104.nii.gz", MAP, "1234567_00m.nii.gz"):
        (tmp_path / name).touch()
    assert [p.name for p in unseen_maps(tmp_path, every=False)] == ["1234567_00m.nii.gz", MAP]
    assert len(unseen_maps(tmp_path, every=True)) == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no maps"):
        unseen_maps(empty, every=False)


def test_a_file_that_is_no_knee_map_is_refused(tmp_path: Path) -> None:
    import nibabel

    path = tmp_path / "blank.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((16, 16, 16), np.uint8), np.eye(4)), path)
    with pytest.raises(StudyError, match="not a knee label map"):
        load(path)


@pytest.mark.needs("shared:data/knee_labels")
def test_one_held_out_knee_under_an_unseen_contrast(shared: Path) -> None:
    case = simulate_case(shared / "data" / "knee_labels" / MAP, CONDITIONS[1], seed=11)
    result = judge(case)
    for name in ("femur", "tibia"):
        assert (result.dice[name] or 0) >= 0.9
    assert len(result.true_grades) == len(result.found_grades) == 15
    summary = summarise([result])
    assert summary["examinations"] == 1
    assert summary["concordance_of_log_volumes"] is None  # one pair tells nothing
