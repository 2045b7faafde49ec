"""The findings vocabulary and the laboratory items."""

import pytest

from marrowscope.knowledge.findings import Kind, implied, label_of, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.knowledge.load import check_sources


def test_codes_have_a_label_and_lead_to_known_codes() -> None:
    for item in vocabulary().values():
        assert item.label and item.code == item.code.lower()
        assert item.code not in implied(item.code)
        check_sources(item.sources, item.code)


def test_every_kind_of_entry_has_codes() -> None:
    assert {item.kind for item in vocabulary().values()} == set(Kind)


def test_a_specific_finding_implies_the_general_one() -> None:
    assert implied("acl_tear") == ("ligament_tear",)
    assert implied("cauda_equina") == ("neuro_deficit",)
    assert "focal_lesion" in implied("xr_lytic_sharp")


@pytest.mark.parametrize(
    ("code", "value", "unit", "level"),
    [
        ("crp", 31, "mg/L", "raised"),
        ("crp", 6.0, "mg/dL", "high"),
        ("wbc", 4420, "/mm3", "normal"),
        ("urate", 9.1, "mg/dL", "high"),
        ("haemoglobin", 8, "g/dL", "low"),
        ("vitamin_d", 9, "ng/mL", "very_low"),
        ("calcium", 11.2, "mg/dL", "high"),
    ],
)
def test_values_are_converted_and_judged(code: str, value: float, unit: str, level: str) -> None:
    lab = labs()[code]
    converted = lab.convert(value, unit)
    assert converted is not None
    assert lab.level(converted) == level


def test_limits_follow_sex_and_age() -> None:
    assert labs()["haemoglobin"].level(125, "male") == "low"
    assert labs()["haemoglobin"].level(125, "female") == "normal"
    assert labs()["alp"].level(300, age=9) == "normal"
    assert labs()["alp"].level(300, age=40) == "high"


def test_a_foreign_unit_is_not_converted() -> None:
    assert labs()["crp"].convert(3, "mmol/L") is None


def test_words_name_levels() -> None:
    assert labs()["crp"].word("slightly high") == "raised"
    assert labs()["platelets"].word("low") == "low"
    assert labs()["rf"].word("positive") == "positive"
    assert labs()["crp"].word("banana") is None


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert label_of("no_such_code") == "no_such_code"
