"""The knee model on real clinical exams, against outlines drawn by hand before it existed; and its contract."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import knee_clinical_data as clinical
from marrowscope.anatomy.knee import believable_bones, clean
from marrowscope.anatomy.knee_model import BONES, MODEL, answer, contract_for, look, scaled
from marrowscope.assessment.pipeline import detect, prepare
from marrowscope.inference.card import load_card
from marrowscope.inference.session import load_model
from marrowscope.lesion.measure import counted
from marrowscope.measurement import Severity
from marrowscope.study import Role
from marrowscope.volume import Volume
from needs import shared_root

LEAST_DICE = 0.93
LARGEST_FALSE_CM3 = 0.5
needs_exams = pytest.mark.needs("shared:data/knee_clinical")
OUTLINED = sorted({o["exam"] for o in clinical.outlines()})


def around(volume: Volume, slice_: int) -> Volume:
    """The slice with one neighbour on each side: enough to judge it, and quick."""
    return replace(volume, array=volume.array[:, :, slice_ - 1 : slice_ + 2])


@cache
def arrays(exam: str) -> dict[str, np.ndarray]:
    root = shared_root()
    assert root is not None
    with np.load(root / "data" / "knee_clinical" / f"{exam}.npz") as found:
        return dict(found)


def test_outlines_were_drawn_on_enough_slices_of_enough_exams() -> None:
    drawn = clinical.outlines()
    assert len(drawn) >= 12
    assert len(OUTLINED) >= 6
    assert {o["series"] for o in drawn} == {"sagittal_fs", "coronal_t1"}
    assert all(min(len(p) for p in o["bones"].values()) >= 10 for o in drawn)


@needs_exams
@pytest.mark.parametrize("exam", OUTLINED)
def test_bones_of_a_real_exam_follow_the_hand_drawn_outlines(exam: str) -> None:
    both = total = 0
    for entry in (o for o in clinical.outlines() if o["exam"] == exam):
        volume = clinical.volume(arrays(exam)[entry["series"]], entry["series"])
        shown = around(volume, entry["slice"])
        labels = clean(believable_bones(look(shown), shown.slice_axis), shown)
        for name, points in entry["bones"].items():
            truth = clinical.raster(points, volume.array.shape[1::-1])
            mine = labels[name][:, :, 1].T
            both, total = both + 2 * int((truth & mine).sum()), total + int(truth.sum()) + int(mine.sum())
    assert both / total >= LEAST_DICE


@needs_exams
@pytest.mark.parametrize("exam", sorted(clinical.FLAGGED))
def test_poor_suppression_and_metal_are_flagged(exam: str) -> None:
    root = shared_root()
    assert root is not None
    study = clinical.study(root / "data" / "knee_clinical", exam)
    (fluid,) = (s for s in study.series if s.role is Role.FLUID)
    code = "metal" if clinical.FLAGGED[exam] == "metal" else "fat_suppression"
    check = fluid.check(code)
    assert check is not None
    assert check.severity in (Severity.WARNING, Severity.REFUSE)


@needs_exams
def test_an_exam_without_edema_gives_no_lesion_to_speak_of() -> None:
    root = shared_root()
    assert root is not None
    objects = detect(prepare(clinical.study(root / "data" / "knee_clinical", "1133")))
    assert set(objects.anatomy.bones.codes) == set(BONES)
    voxel = objects.exam.image.voxel_volume_mm3 / 1000
    labels = objects.lesions.volume.array[counted(objects)]
    sizes = np.bincount(labels) * voxel if labels.size else np.zeros(1)
    assert sizes.max() <= LARGEST_FALSE_CM3


def test_bones_do_not_depend_on_the_axis_order_or_direction_of_the_file() -> None:
    rng = np.random.default_rng(3)
    array = rng.uniform(0, 200, (96, 96, 5)).astype(np.float32)
    array[20:60, 10:50] += 400
    affine = np.array([[0, 0, 3.5, 0], [0.9, 0, 0, 0], [0, -0.9, 0, 0], [0, 0, 0, 1.0]])
    plain = look(Volume(array, affine))
    flipped = np.array(affine)
    flipped[:3, 3] = affine[:3, 1] * 95
    flipped[:3, 1] *= -1
    turned = look(Volume(np.ascontiguousarray(array[:, ::-1]), flipped))
    assert np.array_equal(turned.label[:, ::-1], plain.label)
    swapped = look(Volume(np.ascontiguousarray(array.transpose(1, 0, 2)), affine[:, [1, 0, 2, 3]]))
    assert np.array_equal(swapped.label.transpose(1, 0, 2), plain.label)


def test_brightness_units_do_not_matter_and_an_empty_slice_stays_empty() -> None:
    slices = np.random.default_rng(4).uniform(0, 900, (2, 32, 32)).astype(np.float32)
    assert np.allclose(scaled(slices, slices), scaled(slices * 7, slices * 7), atol=1e-5)
    empty = np.zeros((1, 32, 32), np.float32)
    assert not scaled(empty, empty).any()
    chance = answer(load_model(MODEL), empty)
    assert chance.shape == (1, len(BONES) + 2, 32, 32)
    assert np.allclose(chance[:, : len(BONES) + 1].sum(axis=1), 1, atol=1e-5)


def test_the_card_keeps_subjects_apart_and_names_every_training_map() -> None:
    card = load_card(MODEL)
    trained = set(card.settings["trained_subjects"])
    held = {name.split("_")[0] for weights in card.weights for name in weights.held_out}
    assert held
    assert not trained & held
    assert len(trained | held) == 32
    assert all(len(weights.seen) > 30 for weights in card.weights)
    assert card.outputs == ("background", *BONES, "edema")
    assert contract_for(card.contract, "coronal").second == "L"
