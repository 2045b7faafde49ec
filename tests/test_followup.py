"""Two visits of one phantom joint: registration, fates of lesions, and what must not be compared."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

import phantom
from marrowscope.anatomy.given import GIVEN_MASK
from marrowscope.assessment import conclude
from marrowscope.assessment.types import SubjectRecord
from marrowscope.comparing import compare_to
from marrowscope.errors import UsageError
from marrowscope.followup import Visit, compare
from marrowscope.followup.compare import _one_person
from marrowscope.followup.deltas import exam_deltas
from marrowscope.followup.match import match
from marrowscope.followup.person import Person
from marrowscope.followup.register import BoneTransform, register_bone
from marrowscope.followup.sdc import ABSOLUTE, RATIO, Limit, all_limits, limits_of, passes
from marrowscope.followup.types import BoneFit, Fate, fate_words
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.types import LesionKind, LesionObject
from marrowscope.measurement import QcCheck, Severity
from marrowscope.report.course import course_figure
from marrowscope.report.pairs import pair_figures
from marrowscope.volume import Volume
from test_assessment import found

BOX = phantom.LESION
phantom_objects = cache(found)


def visit(boxes: list[tuple[slice, ...]], move: np.ndarray | None = None, **series: object) -> Visit:
    """A visit of the phantom with lesions in the boxes, the whole patient moved by ``move`` (LPS mm, 4x4)."""
    base = phantom_objects()
    labels = np.zeros(phantom.SHAPE, np.uint16)
    for label, box in enumerate(boxes, start=1):
        labels[box] = label
    names = {n: f"lesion_{n}" for n in range(1, len(boxes) + 1)}
    lesions = LabelMap(base.exam.image.with_array(labels), names)
    things = tuple(LesionObject(n, LesionKind.EDEMA, 0.9) for n in names)
    assessment = conclude(replace(base, lesions=lesions, objects=things))
    record = replace(assessment.series[0], **series)  # type: ignore[arg-type]
    assessment = replace(assessment, series=(record, *assessment.series[1:]))
    moved = np.eye(4) if move is None else move
    on = [LabelMap(Volume(m.volume.array, moved @ m.volume.affine), m.names) for m in (base.anatomy.bones, lesions)]
    return Visit(assessment, on[0], on[1])


def turn(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [degrees, -degrees / 2, degrees / 3], degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


@settings(max_examples=6)
@given(st.floats(-8, 8), st.tuples(*[st.floats(-15, 15)] * 3))
def test_a_bone_is_laid_on_itself_wherever_the_patient_lies(degrees: float, shift: tuple[float, float, float]) -> None:
    prior, now = visit([BOX]), visit([BOX], turn(degrees, shift))
    found_transform = register_bone("femur", prior.bones, now.bones)
    assert found_transform is not None
    assert found_transform.fit.dice_after > 0.9
    corners = np.c_[prior.bones.volume.to_world([[20, 10, 3], [50, 30, 8]]), np.ones(2)]
    expected = corners @ turn(degrees, shift).T
    assert np.abs(corners @ found_transform.matrix.T - expected)[:, :3].max() < 1.5  # mm


SMALL = np.s_[24:28, 14:26, 4:8]
ELSEWHERE = np.s_[40:48, 12:20, 4:7]
TIBIA = np.s_[24:34, 46:56, 4:7]
UPPER, LOWER = np.s_[24:29, 14:26, 4:8], np.s_[31:36, 14:26, 4:8]


@pytest.mark.parametrize(
    ("before", "after", "fates"),
    [
        ([BOX], [BOX], [Fate.PERSISTING]),
        ([BOX], [ELSEWHERE], [Fate.RESOLVED, Fate.NEW]),
        ([BOX], [], [Fate.RESOLVED]),
        ([], [BOX], [Fate.NEW]),
        ([BOX], [UPPER, LOWER], [Fate.SPLIT]),
        ([UPPER, LOWER], [BOX], [Fate.MERGED]),
        ([BOX, TIBIA], [TIBIA], [Fate.RESOLVED, Fate.PERSISTING]),
    ],
)
def test_fates(before: list, after: list, fates: list[Fate]) -> None:
    change = compare(visit(before), visit(after, turn(3, (4.0, -3.0, 2.0))))
    assert change.comparable, change.reasons
    assert sorted(x.fate for x in change.lesions) == sorted(fates)


ANNA, BERTA = Person("A1", "", "19600101"), Person("B2", "", "19800101")


def of(person: Person, vouched: bool = False, sex: str = "", age: float | None = None, date: str = "") -> Visit:
    """The same visit of somebody."""
    same = visit([BOX])
    assessment = replace(
        same.assessment,
        subject=SubjectRecord(age, sex),
        provenance=replace(same.assessment.provenance, study_date=date),
    )
    return replace(same, assessment=assessment, person=person, vouched=vouched)


@pytest.mark.parametrize(
    ("prior", "now", "names"),
    [
        (of(ANNA), of(BERTA), "patient ID, birth date"),
        (of(ANNA, sex="F"), of(ANNA, sex="M"), "sex"),
        (of(ANNA, age=40, date="2020-01-01"), of(ANNA, age=60, date="2021-01-01"), "age"),
        (of(replace(ANNA, pseudonym=True), sex="F"), of(BERTA, sex="M"), "sex"),
    ],
)
def test_visits_of_two_patients_are_not_compared_unless_somebody_vouches(prior: Visit, now: Visit, names: str) -> None:
    refused = compare(prior, now)
    assert not refused.comparable
    assert refused.reasons[0] == f"the headers speak of two patients: they differ in {names}"
    assert "two patients" in refused.summary
    assert "A1" not in repr(refused)
    vouched = compare(replace(prior, vouched=True), now)
    assert vouched.comparable
    assert f"two patients (they differ in {names}), taken as one because told so" in vouched.reasons[0]


@pytest.mark.parametrize(
    ("prior", "now"),
    [
        (replace(ANNA, pseudonym=True), replace(BERTA, pseudonym=True)),
        (Person("A1", "EAST"), Person("A1X", "WEST")),
    ],
)
def test_what_one_patient_may_have_two_of_is_a_doubt(prior: Person, now: Person) -> None:
    change = compare(of(prior), of(now))
    assert change.comparable
    assert "check that both visits are of one person" in change.reasons[0]


@pytest.mark.parametrize(
    ("prior", "now"),
    [(of(ANNA), of(Person())), (of(ANNA, sex="F"), of(ANNA)), (of(ANNA, sex="F"), of(ANNA, sex="female")),
     (of(ANNA, age=44, date="2020-01-01"), of(ANNA, age=46, date="2021-06-01")), (of(ANNA, age=44), of(ANNA, age=60))],
)  # fmt: skip
def test_one_patient_and_what_is_not_known_raise_no_doubt_of_it(prior: Visit, now: Visit) -> None:
    change = compare(prior, now)
    assert change.comparable
    assert not any("person" in r or "patient" in r for r in change.reasons)


def test_change_of_volume_is_the_true_one() -> None:
    change = compare(visit([BOX]), visit([SMALL]))
    true = (4 - 12) * 12 * 4 * 3 / 1000
    assert change.deltas[0].difference.value == pytest.approx(true)


@pytest.mark.parametrize(
    ("series", "word"),
    [({"sequence_class": "pd_fs"}, "sequence class"), ({"plane": "sagittal"}, "plane"),
     ({"sequence_class": "unknown"}, "sequence class"),
     ({"spacing_mm": (1.0, 1.0, 6.0)}, "slice spacing")],
)  # fmt: skip
def test_unlike_series_are_not_compared(series: dict, word: str) -> None:
    change = compare(visit([BOX]), visit([SMALL], **series))
    assert not change.comparable
    assert any(word in r for r in change.reasons)
    assert all(not d.difference.measured and d.verdict == "not assessable" for d in change.deltas)
    assert change.lesions == ()


def test_field_strength_must_match() -> None:
    change = compare(visit([BOX], field_t=1.5), visit([BOX], field_t=3.0))
    assert any("field strength" in r for r in change.reasons)


def test_sides_must_match() -> None:
    prior, now = visit([BOX]), visit([BOX])
    other = replace(now, assessment=replace(now.assessment, side="right"))
    assert any("side" in r for r in compare(prior, other).reasons)


@pytest.mark.parametrize("when", ["prior", "current"])
def test_a_visit_with_failed_suppression_is_not_compared(when: str) -> None:
    visits = {"prior": visit([BOX]), "current": visit([BOX])}
    sound = visits[when].assessment
    kept = tuple(c for c in sound.qc if c.code != "fat_suppression")
    failed = QcCheck("fat_suppression", Severity.WARNING, "it fails over a third of the image")
    visits[when] = replace(visits[when], assessment=replace(sound, qc=(*kept, failed)))
    change = compare(visits["prior"], visits["current"])
    assert not change.comparable
    assert any(f"failed at the {when} visit" in r for r in change.reasons)


def without_t1(one: Visit) -> Visit:
    """The same visit, its T1 not used."""
    series = tuple(replace(s, used_as="") if s.used_as == "t1" else s for s in one.assessment.series)
    return replace(one, assessment=replace(one.assessment, series=series))


def test_t1_at_one_visit_alone_is_no_comparison_and_at_neither_is_said() -> None:
    both = visit([BOX])
    for prior, current, word in ((both, without_t1(both), "current"), (without_t1(both), both, "prior")):
        change = compare(prior, current)
        assert not change.comparable
        assert any(f"no T1 was used at the {word} visit alone" in r for r in change.reasons)
    neither = compare(without_t1(both), without_t1(both))
    assert neither.comparable and any("at either visit" in r for r in neither.reasons)
    assert not any("T1" in r for r in compare(both, both).reasons)


def test_conclude_takes_a_prior() -> None:
    change = conclude(phantom_objects(), prior=visit([BOX])).change
    assert change is not None
    assert change["comparable"]


def test_a_lesion_where_the_prior_had_not_looked_is_not_called_new() -> None:
    prior, now = visit([]), visit([ELSEWHERE])
    cut = [Volume(m.volume.array[:, :, 7:], _shifted(m.volume, 7)) for m in (prior.bones, prior.lesions)]
    short = Visit(prior.assessment, LabelMap(cut[0], prior.bones.names), LabelMap(cut[1], {}))
    fates = [g.shape for g in match(short, now, {"femur": _still("femur", short, now)})]
    assert fates == [Fate.NOT_COMPARABLE]
    assert [g.shape for g in match(prior, now, {"femur": _still("femur", prior, now)})] == [Fate.NEW]


def _shifted(volume: Volume, slices: int) -> np.ndarray:
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_world((0, 0, slices))
    return affine


def _still(code: str, prior: Visit, now: Visit) -> BoneTransform:
    found_transform = register_bone(code, prior.bones, now.bones)
    assert found_transform is not None
    return replace(found_transform, matrix=np.eye(4))


def test_a_bone_that_cannot_be_laid_on_the_other_is_left_out_of_both_totals() -> None:
    prior, now = visit([BOX, TIBIA]), visit([SMALL, TIBIA])
    scrambled = now.bones.volume.array.copy()
    tibia = now.bones.label_of("tibia")
    scrambled[scrambled == tibia] = 0
    scrambled[20:30, 42:46, 4:6] = tibia  # a sliver where a bone was
    bad = replace(now, bones=LabelMap(now.bones.volume.with_array(scrambled), now.bones.names))
    change = compare(prior, bad)
    assert change.comparable
    assert any(r.startswith("left out at both visits: the tibia") for r in change.reasons)
    true = (4 - 12) * 12 * 4 * 3 / 1000
    assert change.deltas[0].difference.value == pytest.approx(true)
    assert {x.fate for x in change.lesions if x.bone == "tibia"} == {Fate.NOT_COMPARABLE}


def test_brightness_is_compared_and_ratios_carry_the_limit() -> None:
    change = compare(visit([BOX]), visit([SMALL]))
    brightness = next(d for d in change.deltas if d.code == "edema_brightness")
    assert brightness.difference.value == pytest.approx(0.0, abs=0.05)  # the same picture
    assert change.deltas[0].ratio.value == pytest.approx(1 / 3)


OWN = ("own test-retest simulation", "own simulated visits", "own re-scored readings")


def test_every_limit_says_where_it_is_from() -> None:
    for limit in all_limits():
        assert limit.kind in (RATIO, ABSOLUTE) and limit.size > 0 and limit.basis
        assert limit.origin == "published" or limit.origin in OWN
        assert bool(limit.source) == (limit.origin == "published")
        assert bool(limit.command) == (limit.origin != "published")


def test_every_sum_that_reports_compare_has_a_limit() -> None:
    for site, measures in {
        "knee": ("edema_volume", "edema_brightness", "moaks_bml", "worms_bml", "kimriss_bml"),
        "si_joint": ("edema_volume", "edema_brightness", "sparcc_sij", "berlin_sij"),
    }.items():
        assert all(limits_of(measure, site) for measure in measures)


def test_bones_that_were_found_need_a_larger_change_than_given_ones() -> None:
    given, found_by_us = (limits_of("edema_volume", "knee", bones_given) for bones_given in (True, False))
    assert set(given) < set(found_by_us)
    assert passes(given, 1.0, 1.45) and not passes(found_by_us, 1.0, 1.45)
    prior, now = visit([BOX]), visit([SMALL])
    assert {v.assessment.provenance.anatomy for v in (prior, now)} == {GIVEN_MASK}
    known = compare(prior, now).deltas[0].limit
    unlike = replace(now.assessment, provenance=replace(now.assessment.provenance, anatomy="knee 1.1"))
    assert len(compare(prior, replace(now, assessment=unlike)).deltas[0].limit) > len(known)


def dated(one: Visit, date: str, images: str) -> Visit:
    """The same visit with another date and other images."""
    provenance = replace(one.assessment.provenance, study_date=date, input_sha256={"fluid": images})
    return replace(one, assessment=replace(one.assessment, provenance=provenance))


def test_visits_in_the_wrong_order_and_twice_the_same_images_are_said() -> None:
    early, late = dated(visit([BOX]), "2026-01-05", "a"), dated(visit([BOX]), "2026-03-05", "b")
    assert not [r for r in compare(early, late).reasons if "dated" in r or "same images" in r]
    assert any("oldest first" in r for r in compare(late, early).reasons)
    assert any("same images" in r for r in compare(early, early).reasons)


def test_a_comparison_never_overwrites_one_of_its_visits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is one of the visits"):
        compare_to([tmp_path / "a", tmp_path / "b"], tmp_path / "x" / ".." / "b")


def test_bones_of_another_shape_raise_a_doubt_about_the_person() -> None:
    one = visit([BOX])
    assert not any("one person" in r for r in compare(one, visit([BOX], turn(3, (4.0, -3.0, 2.0)))).reasons)
    fits = {
        bone: BoneTransform(np.eye(4), BoneFit(bone, 0.9, 0.95, residual, 1.0, 2.0, 1.0, ()))
        for bone, residual in (("femur", 0.8), ("tibia", 1.6), ("fibula", 3.0))
    }
    assert "differ in shape by 1.6 mm" in _one_person(fits)[0]
    assert _one_person({bone: fit for bone, fit in fits.items() if bone != "tibia"}) == ()


def test_what_came_or_went_but_is_too_small_says_so() -> None:
    change = compare(visit([BOX]), visit([BOX, np.s_[44:47, 14:17, 5:7]]))
    assert "1 new, too small to be sure" in change.summary
    assert fate_words("new", True) == fate_words("new", None) == "new"
    assert fate_words("grown", False) == "grown"


@pytest.mark.parametrize(
    ("before", "after", "passed"), [(1.0, 2.1, True), (1.0, 1.9, False), (2.1, 1.0, True), (0.0, 0.04, False)]
)
def test_a_ratio_limit_works_both_ways_and_has_a_floor(before: float, after: float, passed: bool) -> None:
    limit = Limit("x", "edema_volume", RATIO, 2.0, "published", "made up", floor=0.05)
    assert limit.passed(before, after) is passed


def test_a_third_visit_continues_the_line() -> None:
    first, second, third = visit([BOX]), visit([SMALL]), visit([BOX])
    middle = compare(first, second)
    known = replace(second, assessment=replace(second.assessment, change=middle.to_dict()))
    points = compare(known, third).visits
    small, whole = 4 * 12 * 4 * 3 / 1000, 12 * 12 * 4 * 3 / 1000
    assert [p.volume.value for p in points] == pytest.approx([whole, small, whole])
    figure = course_figure(compare(known, third).to_dict())["change_course"]
    assert "3 visits" in figure.caption and figure.png.startswith(b"\x89PNG")
    assert course_figure(middle.to_dict()) == {}


def test_before_and_now_are_drawn_on_the_same_slice() -> None:
    image = phantom_objects().exam.fluid.volume
    move = turn(4, (5.0, -3.0, 2.0))
    prior = replace(visit([BOX]), image=image)
    now = visit([BOX], move)
    now = replace(now, image=Volume(image.array, move @ image.affine, image.slice_axis))
    figures = pair_figures(prior, now, compare(prior, now).to_dict())
    both = np.asarray(Image.open(io.BytesIO(figures["change_1"].png)).convert("L"), float)
    half = both.shape[1] // 2
    left, right = both[40:-60, 30 : half - 40], both[40:-60, -half + 30 : -40]
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.9  # the earlier visit, laid where this one lies
    assert pair_figures(visit([BOX]), now, compare(prior, now).to_dict()) == {}


def test_a_bone_outlined_around_its_lesion_at_one_visit_is_left_out() -> None:
    whole, resolved = visit([BOX, TIBIA]), visit([TIBIA])
    outline = resolved.bones.volume.array.copy()
    outline[BOX] = 0
    cut = replace(resolved, bones=LabelMap(resolved.bones.volume.with_array(outline), resolved.bones.names))
    for prior, current in ((whole, cut), (cut, whole)):
        change = compare(prior, current)
        assert change.comparable and change.deltas[0].verdict == "no measurable change"
        assert any("femur is outlined otherwise where edema lies (0 % of it inside)" in r for r in change.reasons)
        assert {x.fate for x in change.lesions} == {Fate.NOT_COMPARABLE, Fate.PERSISTING}
    assert compare(whole, resolved).deltas[0].verdict == "decrease"


def test_a_speck_outside_the_other_outline_does_not_take_out_a_bone_with_a_large_lesion() -> None:
    speck = np.s_[44:47, 14:17, 4:6]
    large, small = visit([BOX]), visit([speck])
    outline = large.bones.volume.array.copy()
    outline[speck] = 0
    trimmed = replace(large, bones=LabelMap(large.bones.volume.with_array(outline), large.bones.names))
    change = compare(trimmed, small)
    assert not [r for r in change.reasons if "outlined otherwise" in r]
    assert change.deltas[0].verdict == "decrease"


def test_scores_that_count_a_bone_left_out_are_not_compared() -> None:
    a, b = visit([BOX, TIBIA]).assessment, visit([TIBIA]).assessment
    assert a.scores
    for left_out, blocked in ((frozenset({"femur"}), True), (frozenset({"patella"}), False)):
        scores = exam_deltas(a, b, left_out, ())[2:]
        said = ["the score counts the femur" in d.difference.reason for d in scores]
        assert scores and said == [blocked] * len(scores)
