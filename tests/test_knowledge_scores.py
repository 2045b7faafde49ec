"""Score definitions: complete, sourced, without gaps between grades; the printed rules give the printed totals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.knowledge import scores as room
from marrowscope.knowledge.load import KnowledgeError
from marrowscope.knowledge.scores import Software, score, scores

SCALES = [(definition.id, key) for definition in scores().values() for key in definition.scales]
PERCENT = [(i, k) for i, k in SCALES if score(i).scale(k).unit == "%"]
LARGEST_TOTAL = 1000  # points; the widest published range here is 0-614


def test_every_definition_is_sourced() -> None:
    room.check_scores()
    assert {"sparcc_sij_inflammation", "berlin_sij", "asas_active_sacroiliitis", "moaks_bml", "worms_bml"} <= set(
        scores()
    )
    assert all(definition.all_claims() for definition in scores().values())


@pytest.mark.parametrize(("name", "key"), PERCENT)
@given(share=st.floats(0, 100))
def test_every_share_has_exactly_one_grade(name: str, key: str, share: float) -> None:
    scale = score(name).scale(key)
    assert sum(band.holds(share) for band in scale.bands) == 1
    assert scale.grade(0) == 0
    assert scale.grade(share) <= scale.grade(100)


@pytest.mark.parametrize(
    ("name", "key", "share", "grade"),
    [
        ("berlin_sij", "extent", 33.0, 2),
        ("berlin_sij", "extent", 66.0, 3),
        ("moaks_bml", "size", 32.9, 1),
        ("moaks_bml", "size", 33.0, 2),
        ("moaks_bml", "size", 66.0, 2),
        ("moaks_bml", "size", 66.1, 3),
        ("worms_bml", "size", 24.9, 1),
        ("worms_bml", "size", 25.0, 2),
        ("worms_bml", "size", 50.1, 3),
        ("ramris_bme", "size", 33.4, 2),
    ],
)
def test_borders_are_as_printed(name: str, key: str, share: float, grade: int) -> None:
    assert score(name).scale(key).grade(share) == grade


def test_sparcc_points_add_up_to_the_printed_maximum() -> None:
    sparcc = score("sparcc_sij_inflammation")
    each = sparcc.number("joints") * (
        sparcc.number("quadrants_per_joint") * sparcc.number("points_per_quadrant")
        + sparcc.number("points_intense")
        + sparcc.number("points_deep")
    )
    assert sparcc.number("slices") * each == sparcc.high == 72
    assert len(sparcc.regions) == sparcc.number("quadrants_per_joint")


def test_totals_follow_from_their_regions() -> None:
    for name in ("moaks_bml", "worms_bml", "ramris_bme"):
        definition = score(name)
        top = definition.scale("size").bands[-1].grade
        assert definition.high == top * len(definition.regions)
    assert score("berlin_sij").high == 3 * score("berlin_sij").number("quadrants")
    canden = score("canden_spine")
    assert canden.high == sum(number.value for number in canden.numbers.values())


def test_one_patient_needs_more_than_the_group_figure() -> None:
    sparcc = score("sparcc_sij_inflammation")
    assert sparcc.number("sdc") > sparcc.number("mic")


def test_ranges_are_sane() -> None:
    for definition in scores().values():
        if definition.low is not None and definition.high is not None:
            assert 0 <= definition.low < definition.high <= LARGEST_TOTAL, definition.id
        for number in definition.numbers.values():
            assert number.value >= 0, (definition.id, number.key)
            assert number.unit != "%" or number.value <= 100


def test_asas_is_never_more_than_its_extent() -> None:
    assert score("asas_active_sacroiliitis").software is Software.EXTENT_ONLY


@pytest.mark.parametrize("value", [-1.0, 100.1, float("nan")])
def test_a_share_outside_the_scale_is_refused(value: float) -> None:
    with pytest.raises(KnowledgeError, match="outside the scale"):
        score("moaks_bml").scale("size").grade(value)


def test_unknown_names_are_explained() -> None:
    with pytest.raises(KnowledgeError, match="berlin_sij"):
        score("berlin")
    with pytest.raises(KnowledgeError, match="size"):
        score("moaks_bml").scale("sise")


def test_a_gap_between_grades_is_refused() -> None:
    bands = [{"grade": 0, "band": "[0, 0]", "text": "none"}, {"grade": 1, "band": "[0, 33)", "text": "low"}]
    with pytest.raises(KnowledgeError, match="gap or overlap"):
        room._scale("size", {"unit": "%", "of": "bone", "text": "t", "judgement": True, "bands": bands}, "test")
