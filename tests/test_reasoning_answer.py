"""The whole answer: adds up, keeps its sources, takes a person's word first, survives an empty intake."""

import json

import numpy as np
import pytest

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.checks import Level
from marrowscope.reasoning.answer import Reasoning, reason_findings
from marrowscope.reasoning.differential import Differential, rank
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.leaflet import make_leaflet
from marrowscope.reasoning.observe import observe
from marrowscope.reasoning.table import UNLISTED, table

KNEE = Intake.from_dict(
    {
        "site": "knee",
        "age": 62,
        "sex": "female",
        "regions": ["medial_femoral_condyle"],
        "history": {"acute_trauma": "no"},
        "labs": {"crp": "3 mg/L", "esr": "12 mm/h"},
        "imaging": {"mri": {"subchondral_line": "yes", "meniscal_root_tear_extrusion": "yes", "t1_fat_lost": "no"}},
    }
)


def test_prior_evidence_and_normaliser_add_up_to_every_posterior() -> None:
    differential = reason_findings(KNEE).differential
    for row in differential.rows:
        total = row.prior_decibans + sum(term.decibans for term in row.terms) + differential.normaliser
        assert total == pytest.approx(row.posterior_decibans, abs=1e-9)
    assert sum(row.probability for row in differential.rows) == pytest.approx(1, abs=1e-12)
    assert sum(share for _, share in differential.groups) == pytest.approx(1, abs=1e-12)


def test_ranges_hold_the_probability_and_the_unlisted_cause_keeps_mass() -> None:
    differential = reason_findings(KNEE).differential
    assert all(row.low <= row.probability <= row.high for row in differential.rows)
    assert differential.row(UNLISTED).probability > 0
    assert all(abs(term.decibans) < 1e-9 for term in differential.row(UNLISTED).terms)


def test_the_unlisted_cause_follows_the_background_exactly() -> None:
    index = table().causes.index(UNLISTED)
    for name, array in table().singles.items():
        np.testing.assert_allclose(array[index], table().backgrounds[name])


def test_two_inflammatory_labs_are_one_joint_term_and_weigh_less_than_apart() -> None:
    both = Intake.from_dict({"site": "spine", "labs": {"crp": "120 mg/L", "esr": "90 mm/h"}})
    crp = Intake.from_dict({"site": "spine", "labs": {"crp": "120 mg/L"}})
    esr = Intake.from_dict({"site": "spine", "labs": {"esr": "90 mm/h"}})
    terms = [
        {term.name: term.decibans for term in reason_findings(intake).differential.row("vertebral_osteomyelitis").terms}
        for intake in (both, crp, esr)
    ]
    assert set(terms[0]) == {"inflammation"}
    assert max(terms[1]["inflammation"], terms[2]["inflammation"]) < terms[0]["inflammation"]
    assert terms[0]["inflammation"] < terms[1]["inflammation"] + terms[2]["inflammation"]


def test_a_specific_finding_is_not_counted_again_as_the_general_one() -> None:
    said_both = Intake.from_dict({"site": "knee", "imaging": {"mri": {"acl_tear": "yes", "ligament_tear": "yes"}}})
    said_one = Intake.from_dict({"site": "knee", "imaging": {"mri": {"acl_tear": "yes"}}})
    one, both = (rank(intake, observe(intake)[0]) for intake in (said_one, said_both))
    assert [row.probability for row in one.rows] == pytest.approx([row.probability for row in both.rows])


def test_a_persons_reading_overrides_a_measured_finding_and_both_are_shown() -> None:
    measured = Finding("effusion", State.PRESENT, Origin.MEASURED, by="marrowscope 0")
    read = Intake.from_dict({"site": "knee", "imaging": {"by": "reader", "mri": {"effusion": "no"}}})
    answer = reason_findings(read, [measured])
    assert answer.overruled[0].counted.origin is Origin.READ
    assert answer.overruled[0].set_aside == measured
    alone = reason_findings(read)
    assert answer.differential == alone.differential
    assert any("the reading counts" in note for note in answer.notes)


def test_measured_findings_count_where_nobody_read() -> None:
    measured = [
        Finding("t1_fat_lost", State.PRESENT, Origin.MEASURED),
        Finding("soft_tissue_mass", State.PRESENT, Origin.MEASURED),
    ]
    assert reason_findings(Intake(site="leg"), measured).check("cancer").level is Level.STRONGLY_SUSPICIOUS


def test_the_family_doctors_sentence_gets_a_ranking_a_question_and_a_test() -> None:
    """Edema, medial femoral condyle, 62, woman, no trauma."""
    intake = Intake.from_dict(
        {
            "site": "knee",
            "age": 62,
            "sex": "woman",
            "regions": ["medial_femoral_condyle"],
            "history": {"acute_trauma": "no"},
        }
    )
    answer = reason_findings(intake)
    assert {row.cause for row in answer.differential.rows[:2]} == {"osteoarthritis", "sifk_sonk"}
    assert answer.next_questions and answer.next_tests
    assert answer.next_tests[0].variable in {"subchondral_line", "xr_oa", "xr_normal", "cartilage_loss"}


def test_an_empty_intake_gives_priors_and_asks() -> None:
    answer = reason_findings(Intake())
    assert all(not row.terms for row in answer.differential.rows)
    assert answer.next_questions
    assert "site, age, sex" in answer.notes[0]
    assert {check.level for check in answer.checks} == {Level.INCOMPLETE}


def test_plain_data_and_back() -> None:
    data = json.loads(json.dumps(reason_findings(KNEE).to_dict()))
    assert Reasoning.from_dict(data).to_dict() == data


def test_another_setting_moves_the_ranking_and_stays_within_the_range() -> None:
    cause = "bone_metastasis"
    here = {"site": "spine", "age": 66, "sex": "male"}
    general = reason_findings(Intake.from_dict({**here, "setting": "general_practice"})).differential.row(cause)
    oncology = reason_findings(Intake.from_dict({**here, "setting": "oncology"})).differential.row(cause)
    assert general.probability < oncology.probability
    assert general.low <= oncology.probability <= general.high


def test_what_is_asked_fits_the_patient() -> None:
    answer = reason_findings(Intake.from_dict({"site": "si_joint", "age": 30, "sex": "male"}))
    assert not {"pregnancy", "postpartum", "menopause"} & {item.variable for item in answer.next_questions}
    knee = reason_findings(Intake.from_dict({"site": "knee", "age": 30}))
    assert not {"disc_bright", "endplate_edema"} & {item.variable for item in knee.next_tests}


@pytest.mark.parametrize("region", ["distal_femur_metaphysis", "proximal_tibia_metaphysis"])
def test_a_chance_infarct_in_a_metaphysis_is_no_red_marrow(region: str) -> None:
    seen = {"mri": {"serpiginous_band": "yes", "fat_in_band": "yes", "metaphyseal": "yes"}}
    data = {"site": "knee", "age": 44, "onset": "incidental", "regions": [region], "imaging": seen}
    assert reason_findings(Intake.from_dict(data)).differential.top.cause == "bone_infarct"
    plain = {**data, "imaging": {"mri": {"metaphyseal": "yes", "t1_fat_kept": "yes"}}}
    assert reason_findings(Intake.from_dict(plain)).differential.top.cause == "red_marrow_reconversion"


def test_pain_at_the_lower_patella_is_a_growth_area_in_a_child_and_a_tendon_in_an_adult() -> None:
    data = {
        "site": "knee",
        "history": {"overuse": "yes"},
        "symptoms": {"anterior_knee_pain": "yes"},
        "imaging": {"mri": {"insertion_edema": "yes", "tendon_abnormal": "yes"}},
    }
    tops = {age: reason_findings(Intake.from_dict({**data, "age": age})).differential.top.cause for age in (11, 28)}
    assert tops == {11: "avulsion_apophysitis", 28: "tendinopathy_enthesopathy"}


def test_a_scan_read_without_edema_is_said_to_leave_nothing_to_explain() -> None:
    clean = {"site": "knee", "age": 35, "sex": "female"}
    none = Intake.from_dict({**clean, "imaging": {"mri": {"fluid_high": "no", "t1_fat_kept": "yes"}}})
    answer = reason_findings(none)
    assert any("without edema" in note for note in answer.notes)
    assert "no bright spot" in make_leaflet(answer, none).sections[1].blocks[0].text[0].text
    lesion = Intake.from_dict({**clean, "imaging": {"mri": {"fluid_high": "no", "focal_lesion": "yes"}}})
    unknown = Intake.from_dict(clean)
    assert not any("without edema" in note for case in (lesion, unknown) for note in reason_findings(case).notes)


def test_a_stated_serpiginous_band_leaves_little_but_dead_bone() -> None:
    data = {"site": "knee", "age": 45, "imaging": {"mri": {"serpiginous_band": "yes", "metaphyseal": "yes"}}}
    ranking = reason_findings(Intake.from_dict(data)).differential
    assert ranking.top.cause == "bone_infarct" and ranking.top.probability > 0.45
    assert dict(ranking.groups)["osteonecrosis"] > 0.65
    assert ranking.row("red_marrow_reconversion").probability < 0.1


@pytest.mark.parametrize(
    ("once", "twice", "cause"),
    [
        ({"onset": "incidental"}, {"onset": "incidental", "symptoms": {"no_pain": "yes"}}, "red_marrow_reconversion"),
        (
            {"regions": ["distal_femur_metaphysis"]},
            {"regions": ["distal_femur_metaphysis"], "imaging": {"mri": {"metaphyseal": "yes"}}},
            "red_marrow_reconversion",
        ),
        ({"symptoms": {"warmth": "yes"}}, {"symptoms": {"warmth": "yes", "redness": "yes"}}, "septic_arthritis"),
    ],
)
def test_what_says_the_same_twice_hardly_counts_twice(
    once: dict[str, object], twice: dict[str, object], cause: str
) -> None:
    """Two words for one thing add less than half of what the first one did."""
    alone, both = (sum(t.decibans for t in rank_of(data).row(cause).terms) for data in (once, twice))
    assert alone > 3
    assert both < 1.5 * alone


def rank_of(data: dict[str, object]) -> Differential:
    return reason_findings(Intake.from_dict({"site": "knee", "age": 40, **data})).differential


def test_an_infected_pubis_after_surgery_leads() -> None:
    data = {
        "site": "hip_pelvis", "age": 66, "sex": "m", "duration": "2 months", "regions": ["pubis"], "labs": {"crp": 35},
        "history": {"recent_surgery": "yes", "cancer_history": "yes"},
        "imaging": {"mri": {"articular_both_sides": "yes", "erosion": "yes", "fluid_collection": "yes"}},
    }  # fmt: skip
    ranking = reason_findings(Intake.from_dict(data)).differential
    assert ranking.top.cause == "osteomyelitis" and ranking.groups[0][0] == "infection"
    assert dict(ranking.groups)["infection"] > 0.7


def test_a_cauda_equina_beside_worn_discs_is_a_herniated_disc_and_an_emergency() -> None:
    data = {
        "site": "spine", "age": 41, "onset": "sudden", "symptoms": {"cauda_equina": "yes"},
        "imaging": {"mri": {"endplate_edema": "yes", "disc_degenerated": "yes"}},
    }  # fmt: skip
    answer = reason_findings(Intake.from_dict(data))
    assert answer.differential.top.cause == "disc_herniation"
    assert answer.plan.urgency.value == "emergency" and answer.plan.steps[0] == "cord_at_risk"
    assert "disc_nerve" in answer.plan.steps and "vertebral_fracture" not in answer.plan.steps
    assert answer.check("unstable").level is Level.STRONGLY_SUSPICIOUS
    fever = {**data, "symptoms": {"cauda_equina": "yes", "fever": "yes"}, "labs": {"crp": "120 mg/L"}}
    assert reason_findings(Intake.from_dict(fever)).differential.top.cause == "vertebral_osteomyelitis"


def test_a_cause_that_lies_in_one_bone_does_not_explain_another() -> None:
    """Osteitis of the pubis was second for edema of a runner's femoral neck."""
    at = {
        region: rank_of({"site": "hip_pelvis", "history": {"overuse": "yes"}, "regions": [region]})
        for region in ("femoral_neck", "pubis")
    }
    assert at["femoral_neck"].row("osteitis_pubis").probability < 0.05
    assert at["pubis"].top.cause == "osteitis_pubis"


def test_a_haemangioma_pattern_speaks_against_cancer_and_infection() -> None:
    data = {
        "site": "spine", "age": 50, "symptoms": {"neuro_deficit": "yes"},
        "imaging": {"mri": {"haemangioma_pattern": "yes", "epidural_mass": "yes"}},
    }  # fmt: skip
    assert reason_findings(Intake.from_dict(data)).differential.top.cause == "haemangioma"


@pytest.mark.parametrize(
    ("data", "cause", "least"),
    [
        (
            {
                "site": "foot_ankle", "age": 14, "sex": "female", "regions": ["metatarsal_head_toe"],
                "imaging": {"mri": {"collapse": "yes", "edema_subchondral": "yes"}},
            },
            "osteonecrosis",
            0.3,
        ),
        (
            {
                "site": "spine", "age": 15, "sex": "male", "regions": ["posterior_elements"],
                "history": {"overuse": "yes"}, "imaging": {"mri": {"fluid_high": "yes"}},
            },
            "stress_fracture_fatigue",
            0.5,
        ),
    ],
)  # fmt: skip
def test_freiberg_and_the_pars_lead_clearly(data: dict[str, object], cause: str, least: float) -> None:
    top = reason_findings(Intake.from_dict(data)).differential.top
    assert top.cause == cause and top.probability >= least


def test_diffuse_replacement_puts_no_marrow_cancer_far_before_myeloma() -> None:
    data = {
        "site": "diffuse",
        "age": 68,
        "sex": "male",
        "imaging": {"mri": {"diffuse_marrow": "yes", "t1_fat_lost": "yes"}},
    }
    ranking = reason_findings(Intake.from_dict(data)).differential
    assert ranking.top.probability < 1.5 * ranking.row("multiple_myeloma").probability
