"""Knee scores on blocks of known voxels: the published bands, cysts, blocked regions, a reader's cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import phantom
from marrowscope.anatomy.given import rim
from marrowscope.anatomy.types import Anatomy
from marrowscope.errors import UsageError
from marrowscope.knowledge.scores import score
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.edits import Edit, EditKind
from marrowscope.lesion.types import LesionKind, LesionObject, Objects, Reference, Verdict
from marrowscope.report.references import References
from marrowscope.report.scores import NO_RANGE, score_view
from marrowscope.scoring import cell_count, moaks_bml, worms_bml
from marrowscope.scoring.choose import estimate_scores
from marrowscope.scoring.entered import with_entered_cells
from marrowscope.scoring.grades import highest_grade
from marrowscope.sites import load_site

CENTRAL = np.s_[20:30, 10:20, 2:6]
POSTERIOR = np.s_[40:50, 10:20, 2:6]
EXAM = phantom.exam()


def objects(
    marks: list[tuple[tuple[slice, ...], LesionKind]], *, blocked: bool = False, regions: bool = True
) -> Objects:
    """Two femoral regions of 400 voxels each and the marks given."""
    grid = EXAM.image
    masks = {code: np.zeros(grid.shape, bool) for code in ("femur_central_medial", "femur_posterior_medial")}
    masks["femur_central_medial"][CENTRAL] = True
    masks["femur_posterior_medial"][POSTERIOR] = True
    bones = phantom.bones(grid)
    parts = LabelMap.from_masks(grid, masks) if regions else LabelMap.empty(grid)
    anatomy = Anatomy(bones, parts, None, rim(bones.mask(), 2))
    labels = np.zeros(grid.shape, np.uint16)
    entries = []
    for number, (box, kind) in enumerate(marks, start=1):
        labels[box] = number
        entries.append(LesionObject(number, kind, 0.9))
    lesions = LabelMap(grid.with_array(labels), {e.label: f"lesion_{e.label}" for e in entries})
    reference = Reference(60.0, 4.0, 100.0, True, "", LabelMap.empty(grid))
    exam = EXAM
    if blocked:
        unusable = np.zeros(grid.shape, bool)
        unusable[CENTRAL] = True
        exam = replace(EXAM, unusable=unusable)
    empty = LabelMap.empty(grid)
    return Objects(exam, anatomy, reference, grid, 0.5, 0.3, 0.7, lesions, tuple(entries), empty, "test")


def part(voxels: int, at: int = 0) -> tuple[slice, ...]:
    """``voxels`` of the central region, a multiple of ten, from row ``at`` of its second axis on slices 2 to 5."""
    assert voxels % 40 == 0
    return np.s_[20:30, 10 + at : 10 + at + voxels // 40, 2:6]


def entered_cell(target: str) -> Edit:
    return Edit(EditKind.SET_CELL, by="reader", at="2026-11-23T12:00:00Z", target=target, value=1.0)


def cell(scored: object, name: str) -> float | None:
    return {c.id: c.value for c in scored.cells}[name]  # type: ignore[attr-defined]


@given(tenths=st.integers(0, 10))
def test_moaks_size_follows_the_published_bands(tenths: int) -> None:
    marks = [(part(40 * tenths), LesionKind.EDEMA)] if tenths else []
    scored = moaks_bml.estimate(objects(marks))
    percent = 10 * tenths
    expected = 0 if percent == 0 else 1 if percent < 33 else 2 if percent <= 66 else 3
    assert cell(scored, "femur_central_medial.size") == expected
    assert cell(scored, "femur_posterior_medial.size") == 0


def test_moaks_pools_lesion_and_cyst_and_tells_them_apart() -> None:
    scored = moaks_bml.estimate(objects([(part(80), LesionKind.EDEMA), (part(80, at=5), LesionKind.CYST)]))
    assert cell(scored, "femur_central_medial.size") == 2  # 40 % together
    assert cell(scored, "femur_central_medial.number") == 1  # the cyst is no bone marrow lesion
    assert cell(scored, "femur_central_medial.percent_not_cyst") == 2  # half of it


def test_worms_leaves_cysts_out_and_calls_the_trochlea_anterior() -> None:
    scored = worms_bml.estimate(objects([(part(80), LesionKind.EDEMA), (part(80, at=5), LesionKind.CYST)]))
    assert cell(scored, "femur_central_medial") == 1  # 20 %
    assert {c.id for c in scored.cells} == set(score("worms_bml").regions)


def test_a_rejected_lesion_does_not_count() -> None:
    found = objects([(part(400), LesionKind.EDEMA)])
    rejected = replace(found, objects=tuple(o.with_verdict(Verdict.REJECTED) for o in found.objects))
    assert cell(moaks_bml.estimate(found), "femur_central_medial.size") == 3
    assert cell(moaks_bml.estimate(rejected), "femur_central_medial.size") == 0
    assert cell_count.estimate(rejected).total == cell_count.estimate(objects([])).total


def test_what_cannot_be_seen_has_no_grade_and_the_total_says_so() -> None:
    scored = moaks_bml.estimate(objects([]))
    missing = {c.id: c for c in scored.cells}["patella_medial.size"]
    assert missing.value is None
    assert missing.reason == "not in view"
    assert not scored.total.measured
    blocked = moaks_bml.estimate(objects([(part(400), LesionKind.EDEMA)], blocked=True))
    assert "unusable" in {c.id: c for c in blocked.cells}["femur_central_medial.size"].reason
    no_side = worms_bml.estimate(objects([], regions=False))
    assert all(c.value is None and "side" in c.reason for c in no_side.cells)


def test_a_reader_completes_the_sheet_and_the_sum_follows() -> None:
    found = objects([(part(400), LesionKind.EDEMA)])
    scored = worms_bml.estimate(found)
    edits = tuple(entered_cell(f"worms_bml/{c.id}") for c in scored.cells if c.value is None)
    (entered,) = with_entered_cells((scored,), edits)
    assert entered.total.value == 3 + len(edits)  # the estimated cell keeps its 3, the posterior femur its 0
    assert entered.origin == "reader"


def test_cells_of_one_centimetre_are_counted_per_slice() -> None:
    grid = EXAM.image
    assert grid.plane == "axial"
    elsewhere = cell_count.estimate(objects([]))
    assert "sagittal" in elsewhere.statement
    assert score_view(elsewhere, References()).range_text == NO_RANGE, "no range of 0 to 0"
    turned = replace(grid, affine=np.array([[0, 0, 3.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]))
    base = objects([(np.s_[16:27, 8:10, 4:6], LesionKind.EDEMA)])
    sagittal = replace(base, exam=replace(base.exam, image=turned))
    scored = cell_count.estimate(sagittal)
    assert turned.plane == "sagittal"
    assert cell(scored, "femur.slice5") == 2  # 11 mm long: two cells of the lattice that starts at the bone
    assert scored.total.value == 4
    assert scored.maximum == 2 * 8 * 4 * 3  # two bones, eight slices, 4 x 3 cells each


def test_the_site_lists_exactly_the_scores_and_regions_that_are_defined() -> None:
    site = load_site("knee")
    assert {r.code for r in site.regions} == set(score("moaks_bml").regions)
    estimated = estimate_scores(objects([]), site.scores)
    assert tuple(s.id for s in estimated) == site.scores
    for scored in estimated:
        assert type(scored).from_dict(scored.to_dict()) == scored


def test_an_unknown_cell_is_refused() -> None:
    scored = moaks_bml.estimate(objects([]))
    edit = entered_cell("moaks_bml/femur_middle.size")
    with pytest.raises(UsageError, match="femur_middle"):
        with_entered_cells((scored,), (edit,))


@pytest.mark.parametrize(
    ("target", "grade"),
    [
        ("moaks_bml/femur_central_medial.size", 4.0),
        ("moaks_bml/femur_central_medial.size", -1.0),
        ("moaks_bml/femur_central_medial.size", 1.5),
        ("moaks_bml/femur_central_medial.percent_not_cyst", 99),
        ("moaks_bml/femur_central_medial.number", math.nan),
        ("moaks_bml/femur_central_medial.size", True),
        ("moaks_bml/femur_central_medial.size", "3"),
        ("worms_bml/femur_central_medial", 4),
    ],
)
def test_a_grade_outside_its_scale_is_refused(target: str, grade: float | str) -> None:
    found = objects([(part(80), LesionKind.EDEMA)])
    scored = (moaks_bml.estimate(found), worms_bml.estimate(found))
    with pytest.raises(UsageError, match="a whole number from 0"):
        with_entered_cells(scored, (replace(entered_cell(target), value=grade),))


def test_the_highest_grade_is_that_of_the_cell() -> None:
    found = objects([(part(80), LesionKind.EDEMA)])
    moaks, worms = moaks_bml.estimate(found), worms_bml.estimate(found)
    assert highest_grade(moaks, "femur_central_medial.size") == 3
    assert highest_grade(moaks, "femur_central_medial.percent_not_cyst") == 3
    assert highest_grade(moaks, "femur_central_medial.number") > 3  # a count
    assert highest_grade(worms, "femur_central_medial") == 3
    edits = (replace(entered_cell("moaks_bml/femur_central_medial.size"), value=3),)
    assert cell(with_entered_cells((moaks,), edits)[0], "femur_central_medial.size") == 3
