"""Unevenly suppressed fat is no edema: the drift of normal marrow is followed, a lesion is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import phantom
from marrowscope.anatomy import given
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.lesion import detect as threshold
from marrowscope.lesion.background import drift, t1_ratio
from marrowscope.lesion.reference import interior_marrow
from marrowscope.study import Role


def drifting(exam: Exam, amount: float) -> tuple[Exam, np.ndarray]:
    """The phantom with residual fat rising smoothly towards one end, in marrow only."""
    x, y, _ = np.meshgrid(*[np.linspace(-1, 1, n) for n in exam.image.shape], indexing="ij")
    added = (amount * (y + 0.5 * x * x) * phantom.bones(exam.image).mask()).astype(np.float32)
    return replace(exam, image=exam.image.with_array(exam.image.array + added)), added


@pytest.fixture(scope="module")
def plain() -> Exam:
    return phantom.exam()


@pytest.fixture(scope="module")
def anatomy(plain: Exam) -> Anatomy:
    bones = phantom.bones(plain.image)
    return Anatomy(bones, bones, None, given.rim(bones.mask(), plain.image.slice_axis))


def test_drift_follows_marrow_and_not_the_lesion(plain: Exam, anatomy: Anatomy) -> None:
    exam, added = drifting(plain, 30.0)
    marrow = interior_marrow(exam, anatomy)
    found = drift(exam, anatomy, marrow, marrow).array
    inside = anatomy.bones.mask()
    expected = added - np.median(added[inside])
    assert np.abs(found - expected)[inside & ~phantom.lesion_mask()].mean() < 4
    assert np.abs(found - expected)[phantom.lesion_mask()].max() < 15  # the lesion is 180 brighter than marrow


def test_t1_ratio_is_one_in_marrow_and_low_in_edema(plain: Exam, anatomy: Anatomy) -> None:
    ratio = t1_ratio(plain, anatomy, interior_marrow(plain, anatomy))
    assert ratio is not None
    lesion = phantom.lesion_mask()
    assert np.median(ratio.array[lesion]) == pytest.approx(110 / 300, abs=0.05)
    assert np.median(ratio.array[anatomy.bones.mask() & ~lesion]) == pytest.approx(1.0, abs=0.03)
    assert (ratio.array[~anatomy.bones.mask()] == 1).all()


def test_t1_ratio_stays_bounded_where_the_coil_does_not_reach(plain: Exam, anatomy: Anatomy) -> None:
    t1 = plain.companions[Role.T1]
    ramp = np.clip(np.linspace(1.6, -0.6, plain.image.shape[0]), 0, None)[:, None, None]
    dark = replace(t1, volume=t1.volume.with_array(t1.volume.array * ramp + 2))
    exam = replace(plain, companions={**plain.companions, Role.T1: dark})
    ratio = t1_ratio(exam, anatomy, interior_marrow(plain, anatomy))
    assert ratio is not None
    assert ratio.array.min() >= 0
    assert ratio.array.max() < 20


def test_the_surface_stays_within_the_brightness_of_the_marrow_it_was_fitted_to(plain: Exam, anatomy: Anatomy) -> None:
    exam, _ = drifting(plain, 60.0)
    marrow = interior_marrow(exam, anatomy) & ~phantom.lesion_mask()
    middle = marrow & (np.abs(np.linspace(-1, 1, marrow.shape[1]))[None, :, None] < 0.3)
    found = drift(exam, anatomy, marrow, middle).array[anatomy.bones.mask()]
    assert 10 < np.ptp(found) <= np.ptp(np.percentile(exam.image.array[middle], (1, 99))) + 1e-3


@pytest.mark.parametrize("amount", [0.0, 30.0, 60.0])
def test_one_lesion_is_found_whatever_the_drift(plain: Exam, anatomy: Anatomy, amount: float) -> None:
    exam, _ = drifting(plain, amount)
    objects = threshold.detect(exam, anatomy)
    found = objects.lesions.volume.array > 0
    assert len(objects.objects) == 1
    overlap = 2 * (found & phantom.lesion_mask()).sum() / (found.sum() + phantom.lesion_mask().sum())
    assert overlap > 0.8


def test_a_bright_patch_that_keeps_its_fat_on_t1_is_left_out(plain: Exam, anatomy: Anatomy) -> None:
    image = plain.image.array.copy()
    patch = np.s_[30:42, 46:58, 4:8]
    image[patch] += 0.9 * phantom.MARROW[0]  # twice as bright on fluid, untouched on T1
    exam = replace(plain, image=plain.image.with_array(image))
    with_t1 = threshold.detect(exam, anatomy)
    assert not (with_t1.lesions.volume.array[patch] > 0).any()
    others = {r: c for r, c in exam.companions.items() if r is not Role.T1}
    without = threshold.detect(replace(exam, companions=others), anatomy)
    assert (without.lesions.volume.array[patch] > 0).any()


@pytest.mark.parametrize(("times", "kept", "kept_where_a_model_looked"), [(3.1, True, False), (5.0, True, True)])
def test_very_bright_marrow_stands_without_the_word_of_t1_later_where_a_model_looked(
    plain: Exam, anatomy: Anatomy, times: float, kept: bool, kept_where_a_model_looked: bool
) -> None:
    cutoff = threshold.detect(plain, anatomy).cutoff
    image = plain.image.array.copy()
    patch = np.s_[30:42, 46:58, 4:8]
    image[patch] *= 1 + times * cutoff  # untouched on T1
    exam = replace(plain, image=plain.image.with_array(image))
    sure = np.ones(image.shape, dtype=np.float32)
    for chance, stays in ((None, kept), (sure, kept_where_a_model_looked)):
        assert (threshold.detect(exam, anatomy, chance=chance).lesions.volume.array[patch] > 0).any() == stays


def test_beside_failed_suppression_even_very_bright_marrow_that_keeps_its_fat_is_left_out(
    plain: Exam, anatomy: Anatomy
) -> None:
    image = plain.image.array.copy()
    image[40:50, 14:26, 4:8] = 240  # as bright as the lesion, fat as elsewhere on T1
    bright = replace(plain, image=plain.image.with_array(image))
    failed = np.zeros(image.shape, dtype=bool)
    failed[50:56, 8:32, 2:10] = True

    def marked(exam: Exam) -> tuple[bool, bool]:
        found = threshold.detect(exam, anatomy).lesions.mask()
        return bool(found[30, 20, 6]), bool(found[45, 20, 6])

    assert marked(bright) == (True, True), "far from it, brightness decides"
    assert marked(replace(bright, unusable=failed)) == (True, False)
