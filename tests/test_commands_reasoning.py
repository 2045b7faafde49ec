"""The commands of the reasoning, as a user types them."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from marrowscope.cli import run
from marrowscope.commands.reasoning import intake as intake_app
from marrowscope.findings import State
from marrowscope.knowledge.clashes import neighbours
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.contradictions import contradictions
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.interview import next_ask, template, with_answer
from marrowscope.reasoning.vocabulary import find_codes
from reasoning_cases import CASES

SITES = ["knee", "si_joint", "hip_pelvis", "spine", "foot_ankle", "hand_wrist", "shoulder", "diffuse"]


def test_reason_prints_causes_checks_next_steps_and_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reason", str(CASES / "ho062.yaml")]) == 0
    text = capsys.readouterr().out
    for part in (
        "Vertebral osteomyelitis",
        "for:",
        "Can it be cancer?",
        "Can it be an infection?",
        "Test next",
        "Plan (",
    ):
        assert part in text


def test_reason_json_is_whole_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reason", str(CASES / "ho062.yaml"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["intake"]["site"] == "spine"
    assert {"differential", "checks", "next_questions", "next_tests", "plan", "background", "notes"} <= data.keys()


def test_reason_in_another_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reason", str(CASES / "ho072.yaml"), "--json", "--setting", "oncology"]) == 0
    assert json.loads(capsys.readouterr().out)["differential"]["setting"] == "oncology"
    assert run(["reason", str(CASES / "ho072.yaml"), "--setting", "the moon"]) == 2
    assert "oncology" in capsys.readouterr().err


def test_reason_writes_a_results_folder(tmp_path: Path) -> None:
    assert run(["reason", str(CASES / "ho043.yaml"), "-o", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"index.html", "assessment.json", "report.pdf"} <= names


def test_impossible_input_ends_with_2_and_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("age: 430\nsex: male\nhistory: {pregnancy: yes}\nlabs: {crp: banana}\ndrugs: {unobtainium: yes}\n")
    for command in (["reason", str(bad)], ["intake", "check", str(bad)]):
        assert run(command) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        for line in ("line 1", "line 3", "line 4", "line 5"):
            assert line in error


@pytest.mark.parametrize("site", SITES)
def test_a_template_is_a_valid_empty_intake(site: str) -> None:
    case = Intake.from_dict(yaml.safe_load(template(site)))
    assert case.site == site and case.findings
    assert {finding.state for finding in case.findings} == {State.UNKNOWN}
    assert len(template(site).splitlines()) < 110


def test_a_new_intake_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new.yaml"
    assert run(["intake", "new", "--site", "hip", "-o", str(out)]) == 0
    assert run(["intake", "check", str(out)]) == 0
    assert "valid, 0 findings known" in capsys.readouterr().out
    assert run(["intake", "new", "-o", str(out)]) == 2


def test_asking_goes_from_the_basics_to_what_tells_most(tmp_path: Path) -> None:
    out = tmp_path / "asked.yaml"
    answers = "knee\n62\nwoman\n\nsudden\nbanana\npossible\nstop\n"
    result = CliRunner().invoke(intake_app, ["ask", "-o", str(out)], input=answers)
    assert result.exit_code == 0, result.output
    assert "not understood" in result.output
    case = Intake.load(out)
    assert (case.site, case.age, case.sex.value, case.onset.value) == ("knee", 62, "female", "sudden")
    again = CliRunner().invoke(intake_app, ["ask", "-o", str(out), "--from", str(out)], input="stop\n")
    assert again.exit_code == 0 and Intake.load(out) == case


def test_the_end_of_input_keeps_what_was_answered(tmp_path: Path) -> None:
    out = tmp_path / "asked.yaml"
    result = CliRunner().invoke(intake_app, ["ask", "-o", str(out)], input="knee\n40\n")
    assert result.exit_code == 0, result.output
    assert (Intake.load(out).site, Intake.load(out).age) == ("knee", 40)


def test_every_question_can_be_answered_and_is_not_asked_twice() -> None:
    case, asked = Intake.from_dict({"site": "spine", "age": 50, "sex": "male", "setting": "emergency"}), set[str]()
    for _ in range(25):
        question = next_ask(case, asked)
        assert question is not None and question.key not in asked
        asked.add(question.key)
        word = question.allowed.split(" / ")[-1].split(", or ")[-1]
        answer = {"onset": "gradual", "duration": "6 weeks"}.get(
            question.key, "no" if question.allowed == "yes or no" else word
        )
        case = with_answer(case, question.key, answer)


def test_contradictions_are_named() -> None:
    case = Intake.from_dict({"imaging": {"mri": {"acl_tear": "yes", "ligament_tear": "no"}}})
    assert any("acl_tear" in line for line in contradictions(case))
    assert not contradictions(Intake.from_dict({"imaging": {"mri": {"acl_tear": "yes"}}}))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"imaging": {"mri": {"t1_fat_kept": "yes", "t1_fat_lost": "yes"}}}, "fat"),
        ({"imaging": {"radiograph": {"xr_normal": "yes", "xr_fracture": "yes"}}}, "Radiograph normal"),
        ({"symptoms": {"no_pain": "yes", "night_pain": "yes"}}, "Pain at night"),
        ({"regions": ["femoral_head"]}, "not part of: Knee"),
        ({"age_group": "child"}, "the age counts"),
        ({"imaging": {"mri": {"erosion_si": "yes"}}}, "cannot be seen at: Knee"),
    ],
)
def test_what_cannot_both_be_true_is_said_with_the_answer(part: dict[str, object], words: str) -> None:
    answer = reason_findings(Intake.from_dict({"site": "knee", "age": 40, "sex": "male", **part}))
    assert [words in note for note in answer.notes] == [True]


@pytest.mark.parametrize(("age", "group"), [(100, "older"), (12, "child"), (12, "adolescent"), (55, "adult")])
def test_an_age_in_its_group_is_no_contradiction(age: float, group: str) -> None:
    assert not contradictions(Intake.from_dict({"age": age, "age_group": group}))


@pytest.mark.parametrize("site", [*neighbours(), "diffuse", "other", ""])
def test_the_regions_of_a_site_never_contradict_it(site: str) -> None:
    own = [item.code for item in vocabulary().values() if item.kind is Kind.REGION and item.section == site]
    assert not contradictions(Intake.from_dict({"site": site, "regions": own}))
    assert not contradictions(Intake.from_dict({"site": "diffuse", "regions": ["patella", "talus"]}))


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("meniscus", "meniscal_tear"),
        ("psoas abscess", "abscess"),
        ("oedema", "fluid_high"),
        ("bone marrow oedema", "fluid_high"),
        ("prednisone", "corticosteroids"),
        ("Crohn", "inflammatory_bowel_disease"),
        ("uric acid", "urate"),
        ("hepatosplenomegaly", "lymphadenopathy_or_organomegaly"),
        ("low back pain", "pain"),
        ("schmorl", "endplate_defect"),
        ("haemarthrosis", "lipohaemarthrosis"),
        ("prostate cancer", "cancer_bone_prone"),
        ("knight pain", "night_pain"),
    ],
)
def test_the_vocabulary_is_found_by_a_users_words(word: str, code: str) -> None:
    assert code in [item["code"] for item in find_codes(word)[:5]]


def test_the_whole_vocabulary_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["intake", "vocabulary"]) == 0
    text = capsys.readouterr().out
    assert "night_pain" in text and "crp" in text and "medial_femoral_condyle" in text
    assert run(["intake", "vocabulary", "zzzzqqqq"]) == 2


def test_bench_on_screen_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "reasoning", str(CASES), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 34
    assert run(["bench", "reasoning", str(CASES.parent)]) == 2
