"""The intake as FHIR Questionnaire and QuestionnaireResponse: nothing is lost on the way there and back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fhir.resources.R4B.questionnaire import Questionnaire
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.cli import run
from marrowscope.errors import IntakeError
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.questionnaire import questionnaire
from marrowscope.reasoning.questionnaire_response import response_of

CASES = sorted(p for p in (Path(__file__).parent / "cases").glob("*.yaml") if p.name != "answers.yaml")
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
NUMBER = st.floats(0, 500, allow_subnormal=False).map(lambda v: round(v, 3))


def codes(*kinds: Kind) -> list[str]:
    return [code for code, item in vocabulary().items() if item.kind in kinds]


def entries(*kinds: Kind) -> st.SearchStrategy[dict[str, Any]]:
    state = st.sampled_from(["yes", "no", "unknown"])
    detailed = st.fixed_dictionaries(
        {"state": state},
        optional={"side": st.sampled_from(["left", "right", "both"]), "note": TEXT, "weeks": NUMBER},
    )
    numbered = st.fixed_dictionaries({"state": state, "value": NUMBER, "unit": st.sampled_from(["mm", "%"])})
    known = [c for c in codes(*kinds) if c not in ("pregnancy", "postpartum", "menopause", "breastfeeding")]
    return st.dictionaries(st.sampled_from(known), state | detailed | numbered, max_size=4)


def lab_values() -> st.SearchStrategy[dict[str, Any]]:
    def value(code: str) -> st.SearchStrategy[Any]:
        lab = labs()[code]
        words = st.sampled_from(lab.levels)
        if not lab.numeric:
            return words
        top = min(lab.maximum, 500.0)
        number = st.floats(lab.minimum / 0.9 + 0.1, top).map(lambda v: round(v * 0.9, 2))
        return words | number.map(lambda v: {"value": v, "unit": lab.unit})

    chosen = st.lists(st.sampled_from(sorted(labs())), unique=True, max_size=4)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({n: value(n) for n in names}))


INTAKES = st.fixed_dictionaries(
    {},
    optional={
        **{n: st.sampled_from(sorted(choices()[n])) for n in ("site", "side", "sex", "setting", "onset", "age_group")},
        "age": st.floats(0, 120).map(lambda v: round(v, 1)), "weeks": NUMBER, "case": TEXT, "note": TEXT,
        "uncoded": st.lists(TEXT, max_size=3), "labs": lab_values(),
        "symptoms": entries(Kind.SYMPTOM), "history": entries(Kind.HISTORY), "drugs": entries(Kind.DRUG),
        "conditions": entries(Kind.CONDITION),
        "regions": st.lists(st.sampled_from(codes(Kind.REGION)), unique=True, max_size=3),
        "imaging": st.fixed_dictionaries(
            {"by": TEXT}, optional={m: entries(Kind.IMAGING) for m in choices()["modality"]}
        ),
    },
)  # fmt: skip


@given(INTAKES)
def test_there_and_back_is_the_same_intake(data: dict[str, Any]) -> None:
    intake = Intake.from_dict(data)
    response = json.loads(json.dumps(response_of(intake)))
    back = Intake.from_dict(response)
    assert back.to_dict() == intake.to_dict()
    assert not list(wrong_answers(response))


def asked(items: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in items:
        yield item["linkId"], item
        yield from asked(item.get("item", []))


QUESTIONS = dict(asked(questionnaire()["item"]))


def wrong_answers(node: dict[str, Any]) -> Iterator[str]:
    """What the R4B rules for a response forbid: a strange linkId, a value of another type, an option not offered."""
    value_of = {"choice": "valueCoding", "decimal": "valueDecimal", "quantity": "valueQuantity"}
    for item in node.get("item", []):
        question = QUESTIONS.get(item["linkId"])
        if question is None:
            yield f"{item['linkId']} is not asked"
            continue
        given_answers = item.get("answer", [])
        if len(given_answers) > 1 and not question.get("repeats"):
            yield f"{item['linkId']} answered twice"
        for answer in given_answers:
            if list(answer) != [value_of.get(question["type"], "valueString")]:
                yield f"{item['linkId']}: {answer} to a {question['type']}"
            offered = [(o["valueCoding"]["system"], o["valueCoding"]["code"]) for o in question.get("answerOption", [])]
            if offered and (answer["valueCoding"]["system"], answer["valueCoding"]["code"]) not in offered:
                yield f"{item['linkId']}: {answer} is not offered"
        yield from wrong_answers(item)


def test_the_questionnaire_is_r4b_and_whole() -> None:
    whole = questionnaire()
    Questionnaire.model_validate(whole)
    links = [link for link, _ in asked(whole["item"])]
    assert len(links) == len(set(links))  # que-2
    for _, item in asked(whole["item"]):
        assert (item["type"] == "group") == bool(item.get("item"))  # que-1
        assert (item["type"] == "choice") == bool(item.get("answerOption"))  # que-5
    said = {option["valueCoding"]["code"] for option in QUESTIONS["details/finding"]["answerOption"]}
    assert said == set(vocabulary()) - set(codes(Kind.LAB))


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_every_case_goes_through_fhir_unchanged(case: Path) -> None:
    intake = Intake.load(case)
    response = response_of(intake)
    QuestionnaireResponse.model_validate(response)
    back = Intake.from_dict(response)
    assert set(back.findings) == set(Intake.from_dict(intake.to_dict()).findings)  # in the questionnaire's order
    assert back.to_dict() == intake.to_dict()
    assert not list(wrong_answers(response))


def test_the_command_line_takes_a_response_as_an_intake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "i.yaml").write_text(
        yaml.safe_dump({"site": "knee", "age": 44, "symptoms": {"night_pain": {"state": "yes", "side": "left"}}})
    )
    assert run(["intake", "response", str(tmp_path / "i.yaml"), "-o", str(tmp_path / "r.json")]) == 0
    assert run(["intake", "questionnaire", "-o", str(tmp_path / "q.json")]) == 0
    assert json.loads((tmp_path / "q.json").read_text()) == questionnaire()
    answers = []
    for name in ("i.yaml", "r.json"):
        capsys.readouterr()
        assert run(["reason", str(tmp_path / name), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]


QUANTITY = {"valueQuantity": {"value": 1}}
ANSWERED = {"linkId": "details/finding", "answer": [{"valueCoding": {"code": "fracture_line"}}]}


def nested(depth: int) -> list[dict[str, Any]]:
    return [{"linkId": "about", "item": nested(depth - 1) if depth else []}]


GOOD = {
    "resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"display": "Zebraleigh Quendolin"},
    "item": [
        {"linkId": "about", "item": [{"linkId": "about/age", "answer": [{"valueInteger": 60}]}]},
        {"linkId": "symptoms/fever", "answer": [{"valueBoolean": False}]},
        {"linkId": "labs/crp/value", "answer": [{"valueQuantity": {"value": 6, "code": "mg/dL"}}]},
    ],
}  # fmt: skip


def test_other_makers_answers_are_understood_and_nobody_is_named() -> None:
    intake = Intake.from_dict(copy.deepcopy(GOOD))
    assert (intake.age, intake.state("fever").value, intake.has("crp_high")) == (60, "absent", True)
    assert "Zebraleigh" not in json.dumps(intake.to_dict())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"status": "entered-in-error"}, "entered-in-error"),
        ({"questionnaire": "http://example.org/q|1"}, "another questionnaire"),
        ({"item": [{"linkId": "symptoms/fevre", "answer": [{"valueBoolean": True}]}]}, "perhaps symptoms/fever"),
        ({"item": [{"linkId": "about/age", "answer": [{"valueInteger": 430}]}]}, "years between 0 and 120"),
        ({"item": [{"linkId": "details", "item": []}]}, "details of no finding"),
        ({"resourceType": "Patient"}, "a FHIR Patient"),
        ({"item": "no"}, "item is no list of objects"),
        ({"item": ["no"]}, "item is no list of objects"),
        ({"item": {"linkId": "about/age", "answer": [{"valueInteger": 60}]}}, "item is no list of objects"),
        ({"item": [{"linkId": "symptoms/fever", "answer": "yes"}]}, "answer of linkId 'symptoms/fever' is no list"),
        ({"item": nested(20)}, "nested deeper"),
        (
            {"item": [{"linkId": "details", "item": [ANSWERED, {"linkId": "details/modality", "answer": [QUANTITY]}]}]},
            "is not a modality",
        ),
    ],
)
def test_a_response_that_cannot_be_used_says_why(change: dict[str, Any], word: str) -> None:
    with pytest.raises(IntakeError, match=word):
        Intake.from_dict({**copy.deepcopy(GOOD), **change})
