"""Published cases, ordinary vignettes and textbook presentations: the floors the reasoning must hold."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from marrowscope.errors import UsageError
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.checks import Level
from marrowscope.reasoning.answer import Reasoning, reason_findings
from marrowscope.reasoning.bench import read_answers, run_cases, summarise
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.leaflet import make_leaflet
from marrowscope.reasoning.schema import intake_schema
from reasoning_cases import CASES, vignettes

SCHEMA_FILE = Path(__file__).parent.parent / "docs" / "schema" / "intake.schema.json"
KEYS = {
    "n", "group_top1", "group_top3", "cause_top1", "cause_top3", "mrr", "cancer_sensitivity", "cancer_specificity",
    "cancer_at_no_sign", "infection_sensitivity", "infection_specificity", "infection_at_no_sign", "brier",
    "reliability", "intervals", "cases",
}  # fmt: skip


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return summarise(run_cases(CASES))


@pytest.fixture(scope="module")
def ordinary() -> dict[str, Reasoning]:
    entries = vignettes("ordinary")
    return {entry.pop("name"): reason_findings(Intake.from_dict(entry)) for entry in entries}


def test_the_published_cases_reach_the_aim(report: dict[str, Any]) -> None:
    assert report.keys() >= KEYS
    assert report["n"] == 34
    assert report["group_top1"] >= 0.70 and report["group_top3"] >= 0.90
    for kind in ("cancer", "infection"):
        assert report[f"{kind}_sensitivity"] >= 0.90 and report[f"{kind}_specificity"] >= 0.80
        assert report[f"{kind}_at_no_sign"] == 0
    assert report["brier"] < 0.3
    json.dumps(report)


def test_a_miss_shows_the_evidence_of_both_sides(report: dict[str, Any]) -> None:
    for row in report["cases"]:
        assert ("miss" in row) == (row["group_rank"] > 1)
        if "miss" in row:
            assert row["miss"]["put_first"]["reasons"] and row["miss"]["stated"]["reasons"]


def test_the_interval_holds_the_figure(report: dict[str, Any]) -> None:
    for name, bounds in report["intervals"].items():
        assert bounds[0] <= report[name] <= bounds[1]


def test_figures_are_counted_right_on_a_hand_made_folder(tmp_path: Path) -> None:
    """Two cases: a plain metastasis (found) and one whose stated group cannot be right (missed)."""
    metastasis = {
        "site": "spine",
        "age": 69,
        "history": {"cancer_bone_prone": "yes"},
        "imaging": {"mri": {"t1_fat_lost": "yes", "multifocal": "yes"}},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(metastasis))
    (tmp_path / "b.json").write_text(
        json.dumps({"site": "knee", "age": 70, "imaging": {"radiograph": {"xr_oa": "yes"}}})
    )
    answers = {
        "a": {"cause_group": "malignant_tumour", "cause": "Bone metastasis", "cancer": True, "infection": False},
        "b": {
            "cause_group": "crps",
            "alt_groups": ["autoinflammatory"],
            "cause": "not a known one",
            "cancer": False,
            "infection": False,
        },
    }
    (tmp_path / "answers.yaml").write_text(yaml.safe_dump(answers))
    report = summarise(run_cases(tmp_path))
    assert report["group_top1"] == 0.5 and report["n"] == 2
    assert report["cause_top1"] == 1.0 and report["n_cause_on_list"] == 1
    assert report["cancer_sensitivity"] == 1.0 and report["cancer_specificity"] == 1.0
    assert report["infection_sensitivity"] is None


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ("a: {cause_group: nonsense}", "nonsense"),
        ("- 1", "no answers"),
        ("absent: {cause_group: trauma}", "no absent.yaml"),
    ],
)
def test_a_broken_folder_is_explained(tmp_path: Path, answers: str, message: str) -> None:
    (tmp_path / "answers.yaml").write_text(answers)
    with pytest.raises(UsageError, match=message):
        run_cases(tmp_path)


def test_a_folder_without_answers_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"answers\.yaml"):
        read_answers(tmp_path)


def test_ordinary_presentations_are_not_over_called(ordinary: dict[str, Reasoning]) -> None:
    assert len(ordinary) >= 60
    for kind in ("cancer", "infection"):
        raised = [name for name, answer in ordinary.items() if answer.check(kind).level.positive]
        assert len(raised) <= 0.05 * len(ordinary), raised


def test_no_sign_is_reached_where_the_cause_is_plain(ordinary: dict[str, Reasoning]) -> None:
    """A check that always says "incomplete" would be useless: most ordinary presentations must be cleared."""
    levels = [answer.check("cancer").level for answer in ordinary.values()]
    assert levels.count(Level.NO_SIGN) >= 0.5 * len(levels)


@pytest.mark.parametrize("entry", vignettes("textbook"), ids=lambda entry: str(entry["cause"]))
def test_textbook_presentations_have_their_diagnosis_on_top(entry: dict[str, object]) -> None:
    data = {key: value for key, value in entry.items() if key != "cause"}
    assert reason_findings(Intake.from_dict(data)).differential.top.cause == entry["cause"]


def test_there_are_twenty_textbook_presentations() -> None:
    assert len({entry["cause"] for entry in vignettes("textbook")}) >= 20


def test_the_published_schema_is_current_and_every_case_is_valid() -> None:
    schema = intake_schema()
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(schema)), (
        "write it anew: marrowscope intake schema > docs/schema/intake.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in sorted(CASES.glob("ho*.yaml")):
        validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        validator.validate(Intake.load(path).to_dict())


def test_the_answers_never_reach_an_intake() -> None:
    for path in CASES.glob("ho*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "cause_group" not in text and "diagnosis" not in text


@pytest.mark.parametrize("entry", vignettes("further"), ids=lambda entry: str(entry["name"]))
def test_further_presentations_are_ranked_checked_planned_and_told(entry: dict[str, Any]) -> None:
    data = {key: value for key, value in entry.items() if key not in ("name", "cause", "raised", "urgency", "step")}
    intake = Intake.from_dict(data)
    answer = reason_findings(intake)
    assert answer.differential.top.cause == entry["cause"]
    assert [check.kind for check in answer.checks if check.level.positive] == entry["raised"]
    assert answer.plan.urgency.value == entry["urgency"] and answer.plan.steps[0] == entry["step"]
    assert not [note for note in answer.notes if note.startswith("Contradiction")]
    sections, cause = make_leaflet(answer, intake).sections, causes()[entry["cause"]]
    elsewhere = json.dumps([section.to_dict() for section in sections if section.id != "cancer"])
    assert {"cancer", "next"} <= {section.id for section in sections}
    assert not groups()[cause.group].cancer or cause.plain not in elsewhere
