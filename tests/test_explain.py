"""Every topic explains itself in both wordings; free words find it; the pages and the article are current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marrowscope.cli import root
from marrowscope.errors import UsageError
from marrowscope.knowledge.article import corrections, rows
from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.load import sources
from marrowscope.reasoning.explain import KINDS, explain, find, topics
from marrowscope.reasoning.pages import FREQUENCIES, pages

DOCS = Path(__file__).resolve().parents[1] / "docs"
WITHOUT_PATIENT = {"score"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_topic_explains_itself(kind: str) -> None:
    keys = [key for key in topics() if key.startswith(f"{kind}:")]
    assert keys
    for key in keys:
        told = explain(key)
        assert told.key == key and told.parts
        assert bool(told.patient) != (kind in WITHOUT_PATIENT), key
        assert set(told.source_keys) <= sources().keys()
        assert json.loads(json.dumps(told.to_dict()))["topic"] == key


@pytest.mark.parametrize("words", ["weather in Paris", "hello", "my dog", "car", "breast", "fibromyalgia", "the", "a"])
def test_what_is_not_known_is_said_and_no_disease_offered_instead(words: str) -> None:
    """A frightening topic for words that share an "in" or half their letters helps nobody."""
    with pytest.raises(UsageError, match="nothing is known"):
        find(words)


def test_every_cause_is_a_topic_with_care_and_tests() -> None:
    for cause in causes():
        headings = {part.heading for part in explain(f"cause:{cause}").parts}
        assert {"Next tests", "Care", "Who and how soon"} <= headings, cause


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("can it be cancer?", "question:is_it_cancer"),
        ("Could it be cancer", "question:is_it_cancer"),
        ("tumor", "question:is_it_cancer"),
        ("SONK", "cause:sifk_sonk"),
        ("BME", "question:what_is_it"),
        ("bone marrow oedema", "question:what_is_it"),
        ("tuberculosis", "cause:granulomatous_osteomyelitis"),
        ("Andersson lesion", "cause:axspa_sacroiliitis"),
        ("avascular necrosis", "cause:osteonecrosis"),
        ("bone bruise", "cause:contusion_bone_bruise"),
        ("oedema of the knee", "question:knee"),
        ("knee", "joint:knee"),
        ("sacroiliac joint", "joint:si_joint"),
        ("ankle", "joint:foot_ankle"),
        ("paracetamol", "treatment:acetaminophen"),
        ("zoledronic acid", "treatment:bisphosphonates"),
        ("shockwave", "treatment:eswt"),
        ("x-ray", "test:radiograph"),
        ("dual energy ct", "test:dect"),
        ("bone marrow biopsy", "test:biopsy"),
        ("bruising", "symptom:bleeding_bruising"),
        ("thirst", "symptom:thirst_urination"),
        ("MOAKS", "score:moaks_bml"),
        ("sparcc", "score:sparcc_sij_inflammation"),
        ("fat fraction", "measure:fat_fraction"),
        ("will it go away", "question:permanent"),
        ("how long does it take", "question:how_long"),
        ("osteonecroses", "cause:osteonecrosis"),
        ("treatment:nsaids", "treatment:nsaids"),
        ("vitamin D", "treatment:vitamin_d_calcium"),
        ("denosumab", "treatment:denosumab"),
        ("metastasis", "cause:bone_metastasis"),
        ("what should I eat", "question:strengthen_marrow"),
        ("water in the bone", "question:what_is_it"),
        ("losing weight", "symptom:weight_loss"),
    ],
)
def test_free_words_find_the_nearest(words: str, key: str) -> None:
    assert find(words)[0] == key


def test_words_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="explain --list"):
        explain("qqqqzzzz")


def test_the_cancer_question_is_answered_with_numbers_signs_and_work_up() -> None:
    told = explain("can it be cancer")
    headings = {part.heading for part in told.parts}
    assert {"Answer", "How often", "Warning signs", "What settles it"} <= headings
    assert told.patient[0].text.startswith("Mostly not.")
    assert "cancer_q" in told.corrections


def test_corrections_are_told_where_they_are_used() -> None:
    assert "xray" in explain("x-ray").corrections
    assert "symptom_list" in explain("pale skin").corrections
    told = {key for topic in topics() for key in explain(topic).corrections}
    assert told == corrections().keys()


def test_every_row_of_the_article_leads_to_topics_that_exist() -> None:
    for row in rows():
        assert row.topics and set(row.topics) <= topics().keys(), row.id


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(root, ["explain", *arguments])
    return result.exit_code, result.output


def test_the_command_shows_plain_words_first_and_sources_last() -> None:
    code, text = run("can", "it", "be", "cancer")
    assert code == 0
    assert text.index("In plain words") < text.index("Answer") < text.index("Sources")
    code, text = run("gout", "--patient")
    assert code == 0 and "Sources" not in text and "In plain words" in text


def test_the_command_speaks_json_and_lists() -> None:
    code, text = run("gout", "--json")
    assert code == 0 and json.loads(text)["topic"] == "cause:gout"
    code, text = run("--list")
    assert code == 0 and all(f"{kind}:" in text for kind in KINDS)
    code, text = run("--list", "--json")
    assert json.loads(text).keys() == topics().keys()


def test_no_topic_is_explained() -> None:
    result = CliRunner().invoke(root, ["explain"])
    assert isinstance(result.exception, UsageError)


def test_generated_pages_are_current() -> None:
    made = pages()
    for name, text in made.items():
        path = DOCS / name
        assert path.is_file() and path.read_text(encoding="utf-8") == text, (
            f"{name}: run python docs/build_knowledge.py"
        )
    there = {f"knowledge/{path.name}" for path in (DOCS / "knowledge").glob("*.md")}
    assert there <= made.keys()


def test_the_article_page_holds_every_row_and_correction() -> None:
    page = pages()["article.md"]
    for row in rows():
        assert f"Row `{row.section}.{row.id}`" in page
        for key in row.corrections:
            assert corrections()[key].holds.text in page
    assert not any(f"**{heading}**" in text for heading in FREQUENCIES for text in pages().values())


def test_links_of_the_article_page_lead_somewhere() -> None:
    made = pages()
    for row in rows():
        for key in row.topics:
            kind, _, name = key.partition(":")
            assert f'<a id="{name.lower()}"></a>' in made[f"knowledge/{kind}.md"], key
