"""Care knowledge: complete, sourced, every cause cared for, no dose, every row of the article answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from marrowscope.knowledge import article, care, lay, options, steps
from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.findings import vocabulary
from marrowscope.knowledge.load import Claim, KnowledgeError, sources
from marrowscope.knowledge.parts import applies, basis, check_causes, complete

DOSE = re.compile(r"\b\d+([.,]\d+)?\s?(mg|µg|mcg|ug|ng|ml|IU|units)\b(?!\s?/)", re.IGNORECASE)
"""An amount of a medicine. A clearance (ml/min) is not one."""


def claims_in(thing: Any) -> Iterator[Claim]:
    if isinstance(thing, Claim):
        yield thing
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield from claims_in(getattr(thing, field.name))
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from claims_in(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from claims_in(item)


EVERYTHING: list[Any] = [
    care.treatments(),
    care.next_steps(),
    care.preventions(),
    care.follow_ups(),
    care.red_flags(),
    lay.tests(),
    lay.symptoms(),
    lay.questions(),
    lay.site_notes(),
    lay.cancer_answer(),
    article.corrections(),
    list(article.rows()),
]


def test_every_claim_has_a_known_source_or_says_judgement() -> None:
    found = [claim for part in EVERYTHING for claim in claims_in(part)]
    assert len(found) > 600
    for claim in found:
        assert claim.sources or claim.judgement
        assert set(claim.sources) <= sources().keys(), claim
        assert not (claim.sources and claim.judgement), f"both: {claim}"


def test_no_dose_anywhere() -> None:
    for part in EVERYTHING:
        for claim in claims_in(part):
            assert not DOSE.search(claim.text), claim.text


def test_every_cause_has_a_next_step_and_an_option() -> None:
    assert care.next_step_of().keys() == causes().keys()
    for cause in causes().values():
        fitting = [
            treatment.id
            for treatment in care.treatments().values()
            for indication in treatment.indications
            if applies(indication.causes, cause) and treatment.id != "treat_underlying"
        ]
        assert fitting, cause.id


def test_nothing_points_nowhere() -> None:
    for treatment in care.treatments().values():
        for indication in treatment.indications:
            check_causes(indication.causes, treatment.id)
            assert set(indication.when) <= vocabulary().keys(), treatment.id
    for factor in care.factors().values():
        check_causes(factor.causes, factor.id)
        assert set(factor.codes) | set(factor.rule_out) <= vocabulary().keys(), factor.id
        assert set(factor.checks) <= {"cancer", "infection", "unstable"}
        assert factor.codes or factor.causes or factor.checks or factor.age_from or factor.immature
    for step in care.next_steps().values():
        assert {use.test for use in step.tests} <= lay.tests().keys(), step.id
        assert step.evidence in {"guideline", *care.Level}
    for item in (*care.preventions().values(), *care.follow_ups().values()):
        check_causes(item.causes, item.id)
    for symptom in lay.symptoms().values():
        assert set(symptom.codes) <= vocabulary().keys(), symptom.id
    for flag in care.red_flags().values():
        for when in flag.when:
            kind, _, name = when.partition(":")
            known = {"site": lay.site_notes().keys(), "code": vocabulary().keys()}
            assert when in {"*", "immature"} or name in known[kind], when


def test_every_factor_is_used_by_a_caution() -> None:
    used = {caution.factor for item in care.treatments().values() for caution in item.cautions}
    assert used == care.factors().keys()


def test_off_label_is_said() -> None:
    for treatment in care.treatments().values():
        if treatment.off_label:
            assert "off-label" in treatment.licence.text.lower() or "outside licensing" in treatment.licence.text
    assert {"bisphosphonates", "iloprost", "denosumab", "teriparatide"} <= {
        key for key, item in care.treatments().items() if item.off_label
    }


def test_no_gap_in_bone_safety() -> None:
    """The audit's unsafe answers stay answered."""
    cautions = {
        key: {caution.factor: caution.action for caution in item.cautions} for key, item in care.treatments().items()
    }
    assert cautions["bisphosphonates"]["hypophosphatasia"] is care.Action.AVOID
    assert cautions["denosumab"]["hypophosphatasia"] is care.Action.AVOID
    assert cautions["teriparatide"]["cancer_unclear"] is care.Action.AVOID
    assert cautions["corticosteroid_injection"]["infection_unclear"] is care.Action.AVOID
    assert cautions["axSpA_biologics_jak"]["infection_unclear"] is care.Action.AVOID
    teriparatide = [cause for item in care.treatments()["teriparatide"].indications for cause in item.causes]
    assert "*" not in teriparatide and all(item.level > "B" for item in care.treatments()["teriparatide"].indications)
    steps = care.next_step_of()
    emergencies = ["septic_arthritis", "charcot", "sickle_cell_infarct", "occult_fracture", "atypical_femoral_fracture"]
    for cause in emergencies:
        assert any(use.urgency == "emergency" for use in steps[cause].tests), cause
    assert "sarcoma centre before any biopsy" in steps["primary_bone_sarcoma"].refer.text.lower()


def test_the_whole_article_is_answered() -> None:
    rows = {(row.section, row.id): row for row in article.rows()}
    assert len(rows) == 53
    for row in rows.values():
        assert row.clinician and row.patient and row.topics, row.id
    told = {key for row in rows.values() for key in row.corrections}
    assert told == article.corrections().keys()


@pytest.mark.needs("shared")
def test_the_article_rows_are_those_given(shared: Path) -> None:
    given = yaml.safe_load((shared / "medicine" / "article_rows.yaml").read_text(encoding="utf-8"))
    rows = {(row.section, row.id): row for row in article.rows()}
    wanted = {
        (section, item["id"]): set(item.get("correction", ())) for section, items in given.items() for item in items
    }
    assert rows.keys() == wanted.keys()
    for key, corrections in wanted.items():
        assert corrections <= set(rows[key].corrections), key
    told = yaml.safe_load((shared / "medicine" / "causes.yaml").read_text(encoding="utf-8"))["article_corrections"]
    assert {item["id"] for item in told} <= article.corrections().keys()


def test_broken_entries_are_refused() -> None:
    with pytest.raises(KnowledgeError, match="basis"):
        basis({"text": "water is wet"}, "here")
    with pytest.raises(KnowledgeError, match="unknown cause"):
        check_causes(["bone_flu"], "here")
    with pytest.raises(KnowledgeError, match="treatment 'x'"), complete("treatment", "x"):
        options._treatment("x", {"label": "X"})
    with pytest.raises(KnowledgeError, match="rising"):
        steps._follow_up("x", {"weeks": [12, 6], "label": "x", "for": [], "advice": {}, "patient": {}})
    with pytest.raises(KnowledgeError, match="between 0 and 1"):
        lay._accuracy({"target": "t", "sensitivity": 95, "specificity": 0.5, "src": "a"}, "x")
