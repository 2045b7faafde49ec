"""The plan: cautions follow the patient, raised checks lead, nothing unsafe is offered, and it survives JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.findings import State
from marrowscope.knowledge.care import factors, plan_rules, treatments
from marrowscope.knowledge.causes import Urgency, causes
from marrowscope.knowledge.checks import Level
from marrowscope.knowledge.checks import checks as check_rules
from marrowscope.knowledge.leaflet_words import leaflet_words
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.circumstances import circumstances, factor_state
from marrowscope.reasoning.differential import Differential, rank
from marrowscope.reasoning.intake import Intake, Sex
from marrowscope.reasoning.leaflet import make_leaflet
from marrowscope.reasoning.observe import observe
from marrowscope.reasoning.plan import make_plan
from marrowscope.reasoning.plan_text import plan_lines
from marrowscope.reasoning.plan_types import Plan
from plan_cases import CALM, Checked, option, ranking, said

OA = ranking(osteoarthritis=0.9)
BMES = ranking(bme_syndrome_primary=0.9)


@pytest.mark.parametrize(
    ("code", "treatment", "likely"),
    [
        ("kidney_disease", "nsaids", OA),
        ("egfr_low", "nsaids", OA),
        ("stomach_ulcer", "nsaids", OA),
        ("heart_failure", "nsaids", OA),
        ("anticoagulant", "nsaids", OA),
        ("haemophilia", "nsaids", OA),
        ("asthma_nsaid", "nsaids", OA),
        ("kidney_disease", "bisphosphonates", BMES),
        ("calcium_low", "bisphosphonates", BMES),
        ("alp_low", "bisphosphonates", BMES),
        ("pregnancy", "bisphosphonates", BMES),
        ("pregnancy", "iloprost", BMES),
        ("heart_failure", "iloprost", BMES),
        ("anticoagulant", "iloprost", BMES),
        ("dialysis", "denosumab", BMES),
        ("liver_disease", "acetaminophen", OA),
        ("pacemaker", "pemf", BMES),
        ("cancer_history", "eswt", BMES),
        ("calcium_high", "vitamin_d_calcium", BMES),
    ],
)
def test_a_stated_danger_rules_the_option_out(code: str, treatment: str, likely: Differential) -> None:
    without = make_plan(Intake(site="knee", age=40, sex=Sex.FEMALE), likely, CALM)
    withit = make_plan(Intake(site="knee", age=40, sex=Sex.FEMALE, findings=(said(code),)), likely, CALM)
    assert not option(without, treatment).ruled_out
    assert option(withit, treatment).ruled_out
    assert treatment not in {item.treatment for item in withit.offered}
    assert any(caution.because == f"code:{code}" or caution.because for caution in option(withit, treatment).applying)


def test_an_absent_danger_is_not_asked_again() -> None:
    ask = factors()["kidney"].ask
    assert ask in make_plan(Intake(site="knee", age=40), OA, CALM).ask_first
    told = Intake(site="knee", age=40, findings=(said("kidney_disease", State.ABSENT),))
    assert ask not in make_plan(told, OA, CALM).ask_first


def test_pregnancy_is_asked_only_where_it_can_be() -> None:
    ask = factors()["pregnancy"].ask
    assert ask in make_plan(Intake(site="knee", age=30, sex=Sex.FEMALE), BMES, CALM).ask_first
    assert ask not in make_plan(Intake(site="knee", age=30, sex=Sex.MALE), BMES, CALM).ask_first
    assert ask not in make_plan(Intake(site="knee", age=70, sex=Sex.FEMALE), BMES, CALM).ask_first
    assert ask in make_plan(Intake(site="knee"), BMES, CALM).ask_first


def test_a_possible_subchondral_fracture_stops_cortisone() -> None:
    mixed = ranking(osteoarthritis=0.7, sifk_sonk=0.2)
    plan = make_plan(Intake(site="knee", age=62), mixed, CALM)
    assert option(plan, "corticosteroid_injection").ruled_out
    assert option(plan, "corticosteroid_injection").against_for[0][0] == "sifk_sonk"
    assert not option(make_plan(Intake(site="knee", age=62), OA, CALM), "corticosteroid_injection").ruled_out


def test_a_stress_fracture_is_warned_of_with_tablets() -> None:
    plan = make_plan(Intake(site="leg", age=25), ranking(stress_fracture_fatigue=0.9), CALM)
    assert option(plan, "nsaids") in plan.not_to_use
    assert "keep training" in option(plan, "nsaids").effect.text


@pytest.mark.parametrize("level", ["suspicious", "strongly_suspicious"])
def test_a_raised_cancer_check_leads(level: str) -> None:
    checks = (Checked("cancer", level), *CALM[1:])
    plan = make_plan(Intake(site="knee", age=70), OA, checks)
    assert plan.steps[0] == "marrow_malignancy"
    assert plan.urgency in {Urgency.URGENT, Urgency.EMERGENCY}
    assert plan.follow_up[0].id == "malignancy" and plan.follow_up[0].weeks is None
    for name in ("corticosteroid_injection", "eswt", "subchondroplasty"):
        assert option(plan, name).ruled_out, name
    assert make_plan(Intake(site="knee", age=12), OA, checks).steps[0] == "sarcoma"


def test_a_raised_infection_check_leads_by_site() -> None:
    checks = (CALM[0], Checked("infection", "suspicious"), CALM[2])
    assert make_plan(Intake(site="spine", age=70), OA, checks).steps[0] == "spine_infection"
    assert make_plan(Intake(site="knee", age=70), OA, checks).steps[0] == "bone_infection"
    foot = Intake(site="foot_ankle", age=70, findings=(said("diabetes"),))
    plan = make_plan(foot, OA, checks)
    assert plan.steps[0] == "diabetic_foot"
    assert option(plan, "corticosteroid_injection").ruled_out


def test_a_suspected_hip_fracture_is_same_day_and_a_scaphoid_is_not() -> None:
    likely = ranking(occult_fracture=0.9)
    hip = make_plan(Intake(site="hip_pelvis", age=80), likely, CALM)
    wrist = make_plan(Intake(site="hand_wrist", age=30), likely, CALM)
    assert hip.tests[0].test == "mri" and hip.tests[0].urgency is Urgency.EMERGENCY
    assert hip.urgency is Urgency.EMERGENCY
    assert wrist.tests[0].urgency is Urgency.URGENT


def test_a_femoral_neck_is_same_day() -> None:
    likely = ranking(stress_fracture_fatigue=0.9)
    neck = Intake(site="hip_pelvis", age=25, findings=(said("femoral_neck"),))
    assert make_plan(neck, likely, CALM).urgency is Urgency.EMERGENCY
    assert make_plan(Intake(site="leg", age=25), likely, CALM).urgency is not Urgency.EMERGENCY


def test_red_flags_follow_the_place() -> None:
    spine = {flag.id for flag in make_plan(Intake(site="spine"), OA, CALM).at_once}
    knee = {flag.id for flag in make_plan(Intake(site="knee"), OA, CALM).at_once}
    assert "nerve" in spine - knee and "fever_joint" in spine & knee
    child = {flag.id for flag in make_plan(Intake(site="knee", age=9), OA, CALM).at_once}
    assert "child" in child - knee


def test_nothing_known_gives_the_general_work_up() -> None:
    intake = Intake()
    plan = make_plan(intake, rank(intake, observe(intake)[0]), CALM)
    assert plan.steps == ("any_unexplained",)
    assert plan.tests and plan.care and plan.at_once and plan.follow_up


@pytest.mark.parametrize("data", [{}, {"site": "foot_ankle"}, {"site": "foot_ankle", "age": 50}])
def test_while_no_cause_stands_out_only_care_that_fits_anything_is_shown(data: dict[str, object]) -> None:
    answer = reason_findings(Intake.from_dict(data))
    assert answer.differential.top.probability < plan_rules().numbers["too_open_below"]
    shown = {item.treatment for item in (*answer.plan.care, *answer.plan.not_to_use) if not item.ruled_out}
    assert shown <= set(plan_rules().open_care) and "treat_underlying" in shown


def test_the_plan_is_as_urgent_as_its_tests() -> None:
    mixed = make_plan(Intake(site="knee", age=62), ranking(osteoarthritis=0.37, sifk_sonk=0.16), CALM)
    assert mixed.urgency is mixed.tests[0].urgency is Urgency.URGENT


def test_uncertain_never_counts_as_safe() -> None:
    """Every factor is present, asked, or excluded by what was said: nothing is dropped for lack of an answer."""
    for factor in factors().values():
        known = circumstances(Intake(), ranking(), ())
        state, _ = factor_state(factor, known)
        nothing_can_raise_it = not (factor.codes or factor.checks or factor.age_from or factor.immature)
        assert state is State.UNKNOWN or nothing_can_raise_it, factor.id


def test_thresholds_are_shares() -> None:
    numbers = plan_rules().numbers
    for name in ("considered_share", "still_likely", "uncertain_below", "urgent_share"):
        assert 0 < numbers[name] < 1
    assert set(plan_rules().basis) == set(numbers)


CAUSE = st.sampled_from(sorted(causes()))
CODE = st.sampled_from(sorted({code for factor in factors().values() for code in factor.codes}))
LEVEL = st.sampled_from(["no_sign", "incomplete", "suspicious", "strongly_suspicious"])
SITE = st.sampled_from(["knee", "si_joint", "hip_pelvis", "spine", "foot_ankle", "hand_wrist", "leg", ""])


@settings(max_examples=60)
@given(
    first=CAUSE,
    second=CAUSE,
    codes=st.lists(CODE, max_size=4, unique=True),
    levels=st.tuples(LEVEL, LEVEL, LEVEL),
    site=SITE,
    age=st.one_of(st.none(), st.integers(1, 95)),
)
def test_any_patient_gets_a_whole_and_safe_plan(
    first: str, second: str, codes: list[str], levels: tuple[str, str, str], site: str, age: int | None
) -> None:
    intake = Intake(site=site, age=age, findings=tuple(map(said, codes)))
    names = ("cancer", "infection", "unstable")
    checks = tuple(Checked(n, level) for n, level in zip(names, levels, strict=True))
    plan = make_plan(intake, ranking(**{second: 0.3, first: 0.6}), checks)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.causes[0] == first or first == second
    assert plan.tests and plan.care and plan.refer and plan.follow_up and plan.at_once and plan.prevention
    assert [list(Urgency).index(test.urgency) for test in plan.tests] == sorted(
        list(Urgency).index(test.urgency) for test in plan.tests
    )
    for item in plan.offered:
        for caution in treatments()[item.treatment].cautions:
            dangerous = set(codes) & set(factors()[caution.factor].codes)
            assert not (dangerous and caution.action == "avoid"), (item.treatment, caution.factor)


def test_the_screen_names_what_is_left_out_and_why() -> None:
    intake = Intake(site="knee", age=62, findings=(said("kidney_disease"),))
    lines = list(plan_lines(make_plan(intake, OA, CALM)))
    care_lines = [line for line in lines if line.startswith("  care:")]
    assert not any("NSAID" in line for line in care_lines)
    assert any("left out here" in line and "NSAID" in line and "kidney" in line for line in lines)
    assert any(line.startswith("  the same day:") for line in lines)
    assert any("off-label" in line for line in plan_lines(make_plan(Intake(site="knee", age=40), BMES, CALM)))


def test_while_cancer_is_suspected_nothing_is_infused_injected_or_drilled() -> None:
    checks = (Checked("cancer", "strongly_suspicious"), *CALM[1:])
    likely = ranking(leukemia=0.3, osteonecrosis=0.2, giant_cell_tumor=0.2, bme_syndrome_primary=0.2)
    plan = make_plan(Intake(site="knee", age=40), likely, checks)
    hold = plan_rules().hold
    offered = {item.treatment for item in plan.offered}
    assert not any(treatments()[name].kind in hold.kinds for name in offered - set(hold.but))
    assert "urgent_specialist_care" in offered


def test_a_less_likely_infection_waits_for_its_check() -> None:
    likely = ranking(axspa_sacroiliitis=0.6, septic_arthritis=0.1)
    quiet = make_plan(Intake(site="si_joint", age=20), likely, (CALM[0], Checked("infection", "incomplete"), CALM[2]))
    assert "septic_joint" not in quiet.steps and "any_unexplained" in quiet.steps
    assert "antibiotics" not in {item.treatment for item in quiet.care}
    assert quiet.urgency is not Urgency.EMERGENCY
    raised = make_plan(Intake(site="si_joint", age=20), likely, (CALM[0], Checked("infection", "suspicious"), CALM[2]))
    assert "antibiotics" in {item.treatment for item in raised.care}
    probable = ranking(axspa_sacroiliitis=0.6, septic_arthritis=0.3)
    assert make_plan(Intake(site="si_joint", age=20), probable, CALM).urgency is Urgency.EMERGENCY


@pytest.mark.parametrize("site", ["spine", "knee", "hip_pelvis", "foot_ankle"])
@pytest.mark.parametrize("kind", ["unstable", "infection", "cancer"])
def test_a_plan_is_never_slower_than_the_check_it_answers(kind: str, site: str) -> None:
    raised = tuple(Checked(c.kind, "strongly_suspicious" if c.kind == kind else c.level) for c in CALM)
    plan = make_plan(Intake(site=site, age=60), OA, raised)
    today = check_rules()[kind].advice[Level.STRONGLY_SUSPICIOUS].within.startswith("the same day")
    assert today is (kind != "cancer")
    assert plan.urgency is Urgency.EMERGENCY if today else plan.urgency in {Urgency.URGENT, Urgency.EMERGENCY}


def test_a_cord_at_risk_makes_the_plan_and_the_leaflet_say_today() -> None:
    """A likely cancer brings tests within two weeks; legs that fail do not wait for them."""
    intake = Intake.from_dict(
        {
            "site": "spine",
            "age": 76,
            "sex": "male",
            "history": {"cancer_bone_prone": "yes"},
            "symptoms": {"neuro_deficit": "yes"},
            "imaging": {"mri": {"multifocal": "yes", "t1_fat_lost": "yes", "epidural_mass": "yes"}},
        }
    )
    answer = reason_findings(intake)
    assert answer.plan.urgency is Urgency.EMERGENCY
    opening = make_leaflet(answer, intake).sections[0].blocks[0]
    assert leaflet_words().sentences["next.today"] in opening.bullets


@pytest.mark.parametrize("cause", ["psoriatic_arthritis", "reactive_arthritis"])
def test_an_inflamed_limb_joint_is_imaged_there_and_not_at_the_sacrum(cause: str) -> None:
    def reasons(site: str) -> str:
        plan = make_plan(Intake(site=site, age=43), ranking(**{cause: 0.9}), CALM)
        return " ".join(reason.text for test in plan.tests for reason in test.reasons)

    for site in ("hand_wrist", "foot_ankle", "knee", "shoulder"):
        assert "semicoronal" not in reasons(site) and "Sacroiliac radiograph" not in reasons(site)
        assert "joint that hurts" in reasons(site)
    assert "semicoronal" in reasons("si_joint") and "joint that hurts" not in reasons("si_joint")


def test_a_growth_area_and_a_chalky_tendon_have_steps_of_their_own() -> None:
    """Not those of a stress fracture at a high-risk bone, nor those of gout."""
    patella = Intake(site="knee", age=11, findings=(said("patella"),))
    assert make_plan(patella, ranking(avulsion_apophysitis=0.9), CALM).urgency is Urgency.SOON
    assert make_plan(patella, ranking(stress_fracture_fatigue=0.9), CALM).urgency is Urgency.URGENT
    chalk = make_plan(Intake(site="shoulder", age=49), ranking(calcific_tendinitis_intraosseous=0.9), CALM)
    assert {"joint_aspiration", "dect"}.isdisjoint(test.test for test in chalk.tests)


@pytest.mark.parametrize(
    ("code", "test", "words"),
    [
        ("pregnancy", "mri", "without contrast"),
        ("pacemaker", "mri", "radiology has cleared"),
        ("anticoagulant", "joint_aspiration", "Bleeding risk"),
    ],
)
def test_what_makes_a_test_unsafe_is_said_first(code: str, test: str, words: str) -> None:
    likely = ranking(septic_arthritis=0.6, bme_syndrome_primary=0.3)

    def reasons(*codes: str) -> tuple[str, ...]:
        intake = Intake(site="knee", age=30, sex=Sex.FEMALE, findings=tuple(map(said, codes)))
        planned = make_plan(intake, likely, CALM).tests
        return tuple(reason.text for item in planned if item.test == test for reason in item.reasons)

    assert words in reasons(code)[0]
    assert not any(words in text for text in reasons())


def test_bone_density_waits_until_after_a_birth() -> None:
    likely = ranking(transient_osteoporosis_hip=0.9)
    women = [Intake(site="hip_pelvis", age=31, sex=Sex.FEMALE, findings=(said(c),)) for c in ("pregnancy", "no_pain")]
    pregnant, other = (make_plan(woman, likely, CALM) for woman in women)
    assert "dxa" not in {test.test for test in pregnant.tests} and "dxa" in {test.test for test in other.tests}
    assert any("not before the birth" in advice.basis.text for advice in pregnant.avoid)
    assert any("DXA" in line and "birth" in line for line in plan_lines(pregnant))


def test_a_chance_infarct_is_left_alone_and_a_dying_joint_end_is_not() -> None:
    found = {"site": "knee", "age": 44, "onset": "incidental"}
    shaft = {"imaging": {"mri": {"serpiginous_band": "yes", "fat_in_band": "yes", "metaphyseal": "yes"}}}
    joint = {"imaging": {"mri": {"double_line": "yes", "epiphyseal": "yes", "edema_subchondral": "yes"}}}
    calm, urgent = (reason_findings(Intake.from_dict({**found, **part})).plan for part in (shaft, joint))
    assert calm.urgency in {Urgency.ROUTINE, Urgency.SOON} and urgent.urgency is Urgency.URGENT
    assert not {"core_decompression", "iloprost", "hbot"} & {item.treatment for item in calm.care}


@pytest.mark.parametrize(("site", "cause"), [("hand_wrist", "kienbock_disease"), ("shoulder", "osteonecrosis")])
def test_a_dying_bone_is_imaged_where_it_lies(site: str, cause: str) -> None:
    def reasons(place: str) -> str:
        plan = make_plan(Intake(site=place, age=35), ranking(**{cause: 0.9}), CALM)
        return " ".join(reason.text for test in plan.tests for reason in test.reasons)

    assert "frog-leg" not in reasons(site) and "of the joint" in reasons(site)
    assert "frog-leg" in reasons("hip_pelvis")


@pytest.mark.parametrize(
    ("site", "cause", "elsewhere"),
    [
        ("foot_ankle", "bme_syndrome_primary", "both hips"),
        ("knee", "regional_migratory_osteoporosis", "both hips"),
        ("knee", "juvenile_idiopathic_arthritis", "Wrist"),
    ],
)
def test_no_test_is_asked_for_at_another_joint(site: str, cause: str, elsewhere: str) -> None:
    plan = make_plan(Intake(site=site, age=30), ranking(**{cause: 0.9}), CALM)
    assert {"mri"} <= {test.test for test in plan.tests}
    assert not any(elsewhere in reason.text for test in plan.tests for reason in test.reasons)


def test_no_needle_goes_into_a_possible_tumour_unplanned() -> None:
    """Ewing sarcoma comes with fever and CRP: the sample for germs must not spoil the operation."""
    likely = ranking(primary_bone_sarcoma=0.8, osteomyelitis=0.15)
    raised = (Checked("cancer", "suspicious"), Checked("infection", "suspicious"), CALM[2])
    for checks, planned in ((raised, True), ((CALM[0], *raised[1:]), False)):
        plan = make_plan(Intake(site="leg", age=12), likely, checks)
        sample = next(test for test in plan.tests if test.test == "biopsy")
        assert ("plans the sample" in sample.reasons[0].text) is planned


@pytest.mark.parametrize(("age", "urgency"), [(14, "emergency"), (16, "emergency"), (17, "emergency"), (30, "urgent")])
def test_at_sixteen_and_seventeen_a_raised_check_is_as_urgent_as_in_a_child(age: int, urgency: str) -> None:
    found = {"focal_lesion": "yes", "cortical_destruction": "yes", "soft_tissue_mass": "yes"}
    answer = reason_findings(Intake.from_dict({"site": "knee", "age": age, "imaging": {"mri": found}}))
    assert answer.check("cancer").level.positive and answer.plan.urgency.value == urgency
    assert (answer.plan.steps[0] == "sarcoma") is (age < 25)
