"""Edema of the knee on a phantom: how far a lesion goes once the model has seen it, and what cannot be summed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import phantom
from marrowscope.anatomy.given import rim as rim_of
from marrowscope.anatomy.knee import believable_bones, believable_edema
from marrowscope.anatomy.knee_model import EDEMA, LARGEST_INPUT, LEAST_MEDIAN, Chances, scaled
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.assessment.conclusions import outcome_of
from marrowscope.assessment.types import Outcome
from marrowscope.labelmap import BoolArray
from marrowscope.lesion import knee
from marrowscope.lesion.measure import (
    PLAUSIBLE,
    READ,
    Context,
    bone_measurements,
    counted,
    lesion_measurements,
    total_measurements,
)
from marrowscope.lesion.objects import End, opened
from marrowscope.lesion.settings import setting
from marrowscope.lesion.types import LesionKind, Objects, Verdict
from marrowscope.measurement import QcCheck, Severity, Status
from marrowscope.study import Role

LARGE = np.s_[18:54, 10:30, 3:9]
SEEN = np.s_[18:24, 11:17, 4:7]
"""A corner of the large lesion: the model sees edema there only."""


def searched(exam: Exam, seen: tuple[slice, ...]) -> Anatomy:
    """The phantom's bones with a model that sees edema in one box."""
    bones = phantom.bones(exam.image)
    chance = np.full(exam.image.shape, 1e-3, dtype=np.float32)
    chance[seen] = 0.9
    rim = rim_of(bones.mask(), exam.image.slice_axis)
    return Anatomy(bones, bones, None, rim, extras={EDEMA: exam.image.with_array(chance)})


def with_lesion(place: tuple[slice, ...], brightness: float) -> Exam:
    """The phantom with a lesion of a given brightness that has lost its fat on T1."""
    plain = phantom.exam(lesion=False)
    t1 = plain.companions[Role.T1]
    fluid, fat = plain.image.array.copy(), t1.volume.array.copy()
    fluid[place] += brightness - phantom.MARROW[0]
    fat[place] += phantom.EDEMA[1] - phantom.MARROW[1]
    companions = {**plain.companions, Role.T1: replace(t1, volume=t1.volume.with_array(fat))}
    return replace(plain, image=plain.image.with_array(fluid), companions=companions)


def share_found(exam: Exam) -> float:
    truth = np.zeros(exam.image.shape, dtype=bool)
    truth[LARGE] = True
    found = counted(knee.detect(exam, searched(exam, SEEN)))
    assert not (found & ~truth).any()
    return float(found.sum() / truth.sum())


def soft(thickness: int) -> tuple[Exam, BoolArray]:
    """The phantom with a plate of edema whose border is soft, and the voxels that are at least half edema."""
    plain = phantom.exam(lesion=False)
    t1 = plain.companions[Role.T1]
    core = np.zeros(plain.image.shape)
    core[24 : 24 + thickness, 12:28, 4:8] = 1
    water = ndimage.gaussian_filter(core, (2, 2, 0))
    fluid, fat = (
        before.array + water * (phantom.EDEMA[n] - phantom.MARROW[n])
        for n, before in enumerate((plain.image, t1.volume))
    )
    companions = {**plain.companions, Role.T1: replace(t1, volume=t1.volume.with_array(fat.astype(np.float32)))}
    return replace(plain, image=plain.image.with_array(fluid.astype(np.float32)), companions=companions), water >= 0.5


@pytest.mark.parametrize("thickness", [14, 9])
def test_a_soft_border_ends_half_way(thickness: int) -> None:
    exam, truth = soft(thickness)
    found = counted(knee.detect(exam, searched(exam, np.s_[18:46, 8:32, 3:9])))
    assert found.sum() == pytest.approx(truth.sum(), rel=0.12)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


@given(st.floats(0, 0.3), st.lists(st.floats(0.8, 1.2), min_size=60, max_size=200))
def test_a_plateau_heeds_neither_noise_nor_a_few_voxels_of_fluid(noise: float, edema: list[float]) -> None:
    values = np.array(edema)
    end = End("lesion", noise)
    assert end.plateau(values) <= values.max() - noise
    with_fluid = np.append(values, np.full(len(values) // 20, 6.0))
    assert End("lesion").plateau(with_fluid) <= 1.55 * 1.2 + 1e-9
    assert End("bright_part").plateau(values) <= values.max()


@pytest.mark.parametrize(
    ("t1_left", "sure", "kept"), [(0.8, 0.45, True), (0.89, 0.45, False), (0.89, 0.9, True), (0.95, 0.9, False)]
)
def test_what_keeps_its_fat_on_t1_needs_a_model_that_is_sure(t1_left: float, sure: float, kept: bool) -> None:
    place = np.s_[24:36, 14:26, 4:8]
    plain = with_lesion(place, 2.2 * phantom.MARROW[0])
    t1 = plain.companions[Role.T1]
    fat = t1.volume.array.copy()
    fat[place] = t1_left * phantom.MARROW[1]
    exam = replace(plain, companions={**plain.companions, Role.T1: replace(t1, volume=t1.volume.with_array(fat))})
    anatomy = searched(exam, np.s_[26:30, 18:22, 5:7])
    chance = anatomy.extras[EDEMA].array.copy()
    chance[place] = np.maximum(chance[place], sure)
    anatomy = replace(anatomy, extras={**anatomy.extras, EDEMA: exam.image.with_array(chance)})
    assert counted(knee.detect(exam, anatomy))[place].any() == kept


def test_a_plain_lesion_counts_whole_though_the_model_marks_a_corner_of_it() -> None:
    assert share_found(with_lesion(LARGE, phantom.EDEMA[0])) > 0.95


def test_a_whole_condyle_counts_though_the_model_marks_nothing() -> None:
    exam, nowhere = with_lesion(LARGE, phantom.EDEMA[0]), np.s_[0:0, 0:0, 0:0]
    assert np.prod([s.stop - s.start for s in LARGE]) * exam.image.voxel_volume_mm3 > setting("knee", "plain_volume")
    assert counted(knee.detect(exam, searched(exam, nowhere)))[LARGE].mean() > 0.95
    small = with_lesion(np.s_[18:26, 10:18, 3:6], phantom.EDEMA[0])
    assert not counted(knee.detect(small, searched(small, nowhere))).any(), "a small part needs the model's word"
    assert counted(knee.detect(small, searched(small, np.s_[18:26, 10:18, 3:6]))).any()


@pytest.mark.parametrize(("muscle", "kept"), [(100.0, True), (150.0, False), (None, False)])
def test_a_large_bright_part_no_brighter_than_muscle_needs_more_than_a_speck(muscle: float | None, kept: bool) -> None:
    image = phantom.exam(lesion=False).image
    image = image.with_array(np.full(image.shape, 150, dtype=np.float32))
    thick = np.zeros(image.shape, dtype=bool)
    thick[LARGE], thick[0, 0, 0] = True, True
    found = knee.large(thick, image, muscle)
    assert found[LARGE].all() == kept == found.any()
    assert not found[0, 0, 0], "a voxel is not large"


def test_a_faint_one_counts_near_to_what_the_model_marks_only() -> None:
    assert 0.05 < share_found(with_lesion(LARGE, 2.1 * phantom.MARROW[0])) < 0.5


def test_a_part_no_brighter_than_muscle_needs_a_model_that_is_sure() -> None:
    exam = with_lesion(LARGE, 1.15 * phantom.MUSCLE[0])
    assert share_found(exam) == 0, "red marrow, or muscle taken for bone"
    assert counted(knee.detect(exam, searched(exam, LARGE)))[LARGE].mean() > 0.8, "faint edema"


@pytest.mark.parametrize(
    ("over_muscle", "sure", "kept"),
    [(0.8, 0.7, False), (0.8, 0.9, True), (1.1, 0.7, True), (1.1, 0.4, False), (1.5, 0.1, True)],
)
def test_the_darker_a_part_the_surer_the_model_must_be(over_muscle: float, sure: float, kept: bool) -> None:
    exam = phantom.exam(lesion=False)
    reference = knee.detect(exam, searched(exam, SEEN)).reference
    assert reference is not None and reference.muscle is not None
    bright = np.zeros(exam.image.shape, dtype=bool)
    bright[LARGE] = True
    image = exam.image.with_array(np.full(bright.shape, over_muscle * reference.muscle, dtype=np.float32))
    chance = np.full(bright.shape, sure, dtype=np.float32)

    def thrown_out(te_ms: float | None) -> bool:
        return bool(knee.unlikely(bright, image, chance, np.zeros_like(bright), reference, te_ms).any())

    assert thrown_out(40.0) != kept
    for te_ms in (10.0, None):  # at a short echo time edema is no brighter than muscle
        assert thrown_out(te_ms) == (sure < 0.5 and over_muscle < 1.2)


def test_a_lesion_at_the_cortex_is_followed_into_the_rim_that_was_not_searched() -> None:
    touching = np.s_[16:30, 12:26, 4:8]  # begins at the femur's first voxel
    exam = with_lesion(touching, phantom.EDEMA[0])
    found = counted(knee.detect(exam, searched(exam, touching)))
    assert found[16, 14:24, 5:7].mean() > 0.6
    assert not found[15].any()


def test_a_large_part_that_only_a_grazing_slice_shows_is_what_lies_beside_the_bone() -> None:
    exam = with_lesion(LARGE, phantom.EDEMA[0])
    anatomy = searched(exam, SEEN)
    grazing = knee.grazed(anatomy)
    bones, axis = anatomy.bones.mask(), exam.image.slice_axis
    used = np.flatnonzero(np.moveaxis(bones, axis, 0).any(axis=(1, 2)))
    assert 0 < used[0] < used[-1] < exam.image.shape[axis] - 1, "the bone ends inside the stack"
    assert set(np.flatnonzero(np.moveaxis(grazing, axis, 0).any(axis=(1, 2)))) == {used[0], used[-1]}

    reference = knee.detect(exam, anatomy).reference
    assert reference is not None
    chance = np.full(exam.image.shape, 0.9, dtype=np.float32)

    def thrown_out(place: tuple[slice, ...]) -> bool:
        bright = np.zeros(exam.image.shape, dtype=bool)
        bright[place] = True
        image = exam.image.with_array(np.where(bright, np.float32(phantom.EDEMA[0]), exam.image.array))
        return bool(knee.unlikely(bright & bones, image, chance, grazing, reference).any())

    wide, narrow = np.s_[18:54, 10:30], np.s_[30:36, 14:20]
    assert thrown_out((*wide, slice(used[0], used[0] + 1)))
    assert not thrown_out((*wide, slice(used[0], used[0] + 3))), "it goes on further in"
    assert not thrown_out((*wide, slice(used[0] + 2, used[0] + 3))), "not at the bone's end"
    assert not thrown_out((*narrow, slice(used[0], used[0] + 1))), "small"


@pytest.fixture(scope="module")
def objects() -> Objects:
    exam = phantom.exam()
    return knee.detect(exam, searched(exam, phantom.LESION))


def blocked(objects: Objects, place: tuple[slice, ...]) -> Objects:
    unusable = np.zeros(objects.exam.image.shape, dtype=bool)
    unusable[place] = True
    exam = replace(objects.exam, unusable=unusable)
    return knee.detect(exam, objects.anatomy)


def test_a_bone_that_lies_partly_in_failed_suppression_has_no_sum_and_the_other_has(objects: Objects) -> None:
    half = blocked(objects, np.s_[16:56, 40:64, 2:6])
    tibia, femur = (bone_measurements(half, code) for code in ("tibia", "femur"))
    assert [m.status for m in tibia] == [Status.MEASURED, Status.NOT_ASSESSABLE, Status.NOT_ASSESSABLE]
    assert "50 % of this marrow" in tibia[1].reason
    assert femur[1].value == bone_measurements(objects, "femur")[1].value
    assert total_measurements(half)[0].status is Status.NOT_ASSESSABLE


def test_where_most_is_left_out_no_lesion_found_is_not_said(objects: Objects) -> None:
    assert outcome_of(objects) is Outcome.LESIONS
    assert outcome_of(blocked(objects, np.s_[:, :, 3:])) is Outcome.NOT_ASSESSABLE


def test_metal_of_unknown_place_leaves_no_sum(objects: Objects) -> None:
    metal = QcCheck("metal", Severity.WARNING, "metal artefact on series 2")
    doubted = replace(objects, exam=replace(objects.exam, qc=(*objects.exam.qc, metal)))
    volume = total_measurements(doubted)[0]
    assert volume.status is Status.NOT_ASSESSABLE
    assert "metal" in volume.reason
    assert total_measurements(objects)[0].status is Status.MEASURED


def test_a_lesion_that_touches_what_is_left_out_is_less_sure_and_says_so(objects: Objects) -> None:
    cut = blocked(objects, np.s_[34:38, 14:26, 4:8])
    assert cut.objects[0].confidence < 0.6 * objects.objects[0].confidence
    assert any("left out" in reason for reason in cut.objects[0].reasons)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_edema_is_believed_on_a_slice_where_its_bone_is_doubted(axis: int) -> None:
    bone = np.zeros((12, 12, 4), bool)
    bone[2:10, 2:10] = True
    sure = np.where(np.arange(4) == 1, 0.6, 0.95) * np.ones(bone.shape)
    turned = np.moveaxis(bone, 2, axis)
    turn = [turned, *(np.moveaxis(a, 2, axis) for a in (sure, np.full(bone.shape, 0.9)))]
    chances = Chances(turn[0].astype(np.uint8), turn[1].astype(np.float32), turn[2].astype(np.float32), "knee")
    edema = np.moveaxis(believable_edema(chances, {"femur": turned}, axis), axis, 2)
    assert not edema[2:10, 2:10, 1].any(), "the doubted slice"
    assert (edema[..., [0, 2, 3]] == np.float32(0.9)).all() and (edema[:2] == np.float32(0.9)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_part_of_a_slice_of_which_the_model_is_not_sure_is_no_bone(axis: int) -> None:
    label, sure = np.zeros((12, 12, 4), np.uint8), np.full((12, 12, 4), 0.95, np.float32)
    label[1:5, 1:11], label[7:11, 1:11, 1:3] = 1, 1
    sure[7:11, :, 1] = 0.6  # muscle beside the bone, joined to it by no voxel of this slice
    turn = [np.moveaxis(a, 2, axis) for a in (label, sure)]
    kept = np.moveaxis(believable_bones(Chances(turn[0], turn[1], turn[1], "knee"), axis), axis, 2)
    label[7:11, 1:11, 1] = 0
    np.testing.assert_array_equal(kept, label)


def test_of_learned_lesions_only_the_sums_interval_is_widened(objects: Objects) -> None:
    power = setting("volume_interval", "learned", "power")
    edema = [o for o in objects.objects if o.kind is LesionKind.EDEMA]
    by_person = tuple(o.with_verdict(Verdict.EDITED) for o in edema)
    plain = total_measurements(replace(objects, objects=by_person))[0]
    learned = replace(objects, objects=tuple(edema), method="si_lesion 2")
    wide = total_measurements(learned)[0]
    assert wide.value == plain.value and wide.interval_basis == READ
    assert wide.low is not None and plain.low is not None and plain.value
    assert wide.high is not None and plain.high is not None
    assert wide.low / plain.value == pytest.approx((plain.low / plain.value) ** power)
    assert wide.high / plain.value == pytest.approx((plain.high / plain.value) ** power)
    context = Context.of(learned)
    alone = [lesion_measurements(context, o.label)[0] for o in edema]
    assert {m.interval_basis for m in alone} == {PLAUSIBLE}
    assert sum(m.low or 0 for m in alone) == pytest.approx(plain.low)
    assert sum(m.high or 0 for m in alone) == pytest.approx(plain.high)


@given(st.integers(0, 2**32 - 1), st.sampled_from([[3, 5, 1], [1, 3, 3], [7, 7, 1]]))
def test_opening_an_axis_at_a_time_is_the_opening(seed: int, size: list[int]) -> None:
    mask = np.random.default_rng(seed).random((20, 18, 6)) < 0.9
    np.testing.assert_array_equal(opened(mask, size), ndimage.binary_opening(mask, np.ones(size, dtype=bool)))


def test_a_large_effusion_does_not_drown_the_tissue() -> None:
    tissue = np.random.default_rng(3).uniform(80, 120, (2, 60, 50)).astype(np.float32)
    tissue[:, :10] = 0  # air
    flooded = tissue.copy()
    flooded[0, 20:40, :20] = 2000
    plain, dark = scaled(tissue, tissue), scaled(flooded, flooded)
    np.testing.assert_allclose(dark[1], plain[1])
    assert np.median(dark[0][flooded[0] > 0]) == pytest.approx(LEAST_MEDIAN, rel=0.01)
    assert dark[0].max() == LARGEST_INPUT and (dark[0, 20:40, :20] == LARGEST_INPUT).all(), "fluid stays brightest"
    assert not scaled(np.zeros_like(tissue), np.zeros_like(tissue)).any(), "an empty slice stays empty"
