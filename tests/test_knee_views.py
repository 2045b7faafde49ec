"""Bones from several series: what T1 in another plane adds to a noisy fluid series, and when it is not listened to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import marrowscope.simulate as sim
from marrowscope.anatomy import knee
from marrowscope.anatomy.knee_model import BONES, HALF, OTHERS_WORD, OUTLINES, combined
from marrowscope.anatomy.prepare import prepare_exam
from marrowscope.anatomy.types import Exam
from marrowscope.measurement import Severity
from marrowscope.progress import silent
from marrowscope.study import Role, read_study
from marrowscope.volume import Volume


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exam, Volume]:
    """A simulated knee whose STIR has a signal of twice its noise, and its true bones."""
    options = sim.KneeOptions(fluid="stir", field_t=1.5, noise=0.25, lesions=(), voxel_mm=1.0)
    study, folder = sim.knee(11, options), tmp_path_factory.mktemp("noisy")
    sim.write_dicom(study, folder)
    exam = prepare_exam(read_study(folder), "knee", None, silent)
    return exam, study.truth.on_grid(study.truth.bones, exam.fluid.volume)


def moved(exam: Exam, mm: float) -> Exam:
    """The exam with T1 shifted to the head."""
    t1 = exam.companions[Role.T1]
    affine = t1.placed.affine.copy()
    affine[2, 3] += mm
    return replace(
        exam, companions={Role.T1: replace(t1, placed=Volume(t1.placed.array, affine, t1.placed.slice_axis))}
    )


def test_t1_in_another_plane_shows_the_bones_that_a_noisy_series_hides(noisy: tuple[Exam, Volume]) -> None:
    exam, truth = noisy
    both, alone = knee.segment(exam), knee.segment(replace(exam, companions={}))
    for bone, least in (("femur", 0.92), ("tibia", 0.82)):
        true = truth.array == 1 + BONES.index(bone)
        reached = []
        for anatomy in (both, alone):
            found = anatomy.extras[OUTLINES].array == 1 + BONES.index(bone) if OUTLINES in anatomy.extras else ~true
            reached.append(2 * float((found & true).sum() / (found.sum() + true.sum())))
        assert reached[0] > max(least, reached[1] + 0.05)


def test_a_series_that_shows_the_knee_elsewhere_is_not_listened_to(noisy: tuple[Exam, Volume]) -> None:
    exam, _ = noisy
    checks = [c for c in knee.segment(moved(exam, 60.0)).qc if c.code == "t1_elsewhere"]
    assert [c.severity for c in checks] == [Severity.WARNING]
    assert "t1" in checks[0].message and "elsewhere" in checks[0].message
    assert not [c for c in knee.segment(exam).qc if c.code == "t1_elsewhere"]


@given(st.integers(0, 2**32 - 1))
def test_what_two_series_say_together_is_a_probability_and_nothing_changes_where_one_does_not_lie(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, other = (rng.dirichlet(np.full(5, 0.3), (6, 5, 4)).transpose(3, 0, 1, 2).astype(np.float32) for _ in range(2))
    other[:, :3], there = own[:, :3], rng.random((6, 5, 4)) < 0.8
    word = np.log(np.maximum(other, 1e-4)).astype(np.float32)
    both = combined(own, word, there)
    if both is None:  # so far apart by chance
        seen = [(p[0] < HALF) & there for p in (own, np.exp(word))]
        assert 2 * (seen[0] & seen[1]).sum() < 0.86 * (seen[0].sum() + seen[1].sum())
        return
    np.testing.assert_allclose(both.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(both[:, ~there], own[:, ~there])
    odds = np.log(np.maximum(both, 1e-20)) - np.log(np.maximum(own, 1e-20))
    sure = there & (own.min(axis=0) > 1e-3)
    np.testing.assert_allclose((odds[1:] - odds[0])[:, sure], OTHERS_WORD * (word[1:] - word[0])[:, sure], atol=1e-3)
