"""The intake: reading, judging, refusing with the line and the nearest word, and writing back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.errors import IntakeError
from marrowscope.findings import Origin, State
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.intake_text import parse_text
from marrowscope.reasoning.questionnaire_response import response_of

FULL = """
case: A
site: hip
age: 62
sex: F
setting: GP
duration: 3 months
symptoms: {night_pain: yes, fever: no, weight_loss: unknown}
drugs: [tacrolimus]
labs: {crp: 6 mg/dL, rf: positive, haemoglobin: low}
regions: [femoral_head]
imaging:
  by: radiologist
  mri: {acl_tear: yes, symmetric: no, abscess: {state: yes, side: left}}
note: pain since the holiday
uncoded: [likes gardening]
"""


def read(text: str) -> Intake:
    return Intake.from_dict(parse_text(text, "case.yaml"))


def test_a_full_intake_is_read_and_judged() -> None:
    intake = read(FULL)
    assert (intake.site, intake.sex.value, intake.setting.value) == ("hip_pelvis", "female", "general_practice")
    assert intake.weeks == pytest.approx(13.0, abs=0.1)
    crp = next(finding for finding in intake.findings if finding.code.startswith("crp"))
    assert (crp.code, crp.value, crp.unit, crp.origin) == ("crp_high", 60, "mg/L", Origin.LAB)
    assert intake.has("calcineurin_inhibitor") and intake.has("haemoglobin_low")
    assert intake.uncoded == ("likes gardening",)


def test_present_absent_and_unknown_differ_and_imply() -> None:
    intake = read(FULL)
    assert intake.state("fever") is State.ABSENT
    assert intake.state("weight_loss") is State.UNKNOWN
    assert intake.state("palpable_mass") is State.UNKNOWN
    assert intake.has("ligament_tear"), "an ACL tear is a ligament tear"
    without = read("imaging: {mri: {ligament_tear: no}}")
    assert without.state("acl_tear") is State.ABSENT, "no ligament tear, no ACL tear"


def test_writing_and_reading_give_the_same_intake() -> None:
    intake = read(FULL)
    assert Intake.from_dict(intake.to_dict()) == intake
    assert Intake.from_dict({}) == Intake()


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("site: knee\nage: 430", "line 2", "years between 0 and 120"),
        ("labs:\n  crp: banana", "line 2", "normal / raised / high"),
        ("labs: {crp: 31 mmol/L}", "line 1", "mg/L"),
        ("labs: {crp: 90000}", "line 1", "0 to 700"),
        ("sex: male\nhistory: {pregnancy: yes}", "line 2", "sex: female"),
        ("age: 80\nhistory: {pregnancy: yes}", "line 2", "10 to 60"),
        ("drugs: {aspirinol: yes}", "line 1", "intake vocabulary"),
        ("symptoms: {knight_pain: yes}", "line 1", "night_pain"),
        ("site: kne", "line 1", "perhaps knee"),
        ("symptoms: {fever: banana}", "line 1", "yes, no or unknown"),
        ("simptoms: {fever: yes}", "line 1", "symptoms"),
        ("drugs: {fracture_line: yes}", "line 1", "fracture_line under imaging"),
        ("duration: a while", "line 1", "duration: 3 months"),
        ("age: -1", "line 1", "between 0"),
        ("age: .nan", "line 1", "between 0"),
        ("imaging: {xyz: {effusion: yes}}", "line 1", "modality"),
    ],
)
def test_impossible_input_is_explained_with_line_and_nearest_word(text: str, line: str, hint: str) -> None:
    with pytest.raises(IntakeError) as caught:
        read(text)
    assert line in caught.value.message and hint in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("said", "weeks"),
    [
        ("6 weeks", 6),
        ("1 year", 52.18),
        ("a year", 52.18),
        ("several months", 17.38),
        ("months", 17.38),
        ("3 days", 3 / 7),
        ("3-4 weeks", 3.5),
        ("3 to 4 wks", 3.5),
        ("half a year", 26.09),
        ("over 1 year", 52.18),
        ("less than 2 weeks", 1.8),
        ("one and a half years", 78.27),
    ],
)
def test_durations_are_understood_as_they_are_said(said: str, weeks: float) -> None:
    assert Intake.from_dict({"duration": said}).weeks == pytest.approx(weeks)


@pytest.mark.parametrize(("said", "years"), [("67 years", 67), ("67-year-old", 67), ("18 months", 1.5), ("8 y", 8)])
def test_ages_are_understood_as_they_are_said(said: str, years: float) -> None:
    assert Intake.from_dict({"age": said}).age == pytest.approx(years, abs=0.01)


@pytest.mark.parametrize("word", ["possible", "Suspected", "cannot be  excluded", "equivocal", "probable"])
def test_a_doubt_is_kept_as_unknown_with_its_word_and_said(word: str) -> None:
    """A fracture that is only possible counts neither for nor against, and leaves the check open."""
    intake = Intake.from_dict({"site": "knee", "imaging": {"mri": {"fracture_line": word}}})
    finding = intake.findings[0]
    assert finding.state is State.UNKNOWN and finding.note == " ".join(word.lower().split())
    assert Intake.from_dict(intake.to_dict()) == intake
    answer = reason_findings(intake)
    assert any(finding.note in note for note in answer.notes)
    assert answer.differential == reason_findings(Intake(site="knee")).differential
    assert "whether there is a fracture line" in answer.check("unstable").not_assessed


def test_a_symptom_keeps_how_long_it_lasts_and_the_longest_is_the_duration() -> None:
    intake = read("symptoms: {night_pain: {state: yes, weeks: 6}, fever: {state: yes, weeks: 1}}")
    assert intake.weeks == 6
    assert {finding.code: (finding.value, finding.unit) for finding in intake.findings}["fever"] == (1, "wk")
    assert Intake.from_dict(intake.to_dict()) == intake
    with pytest.raises(IntakeError, match="a number from 0"):
        read("symptoms: {fever: {state: yes, weeks: long}}")


def test_every_mistake_is_listed_at_once() -> None:
    with pytest.raises(IntakeError) as caught:
        read("site: kne\nage: 430\nlabs: {crp: banana}")
    assert len(caught.value.found.splitlines()) == 3


@pytest.mark.parametrize(
    "text", ["a: [", "- 1\n- 2", "just words", "a: &x 1\nb: *x", "age: 3\nage: 4", "x: " + "[" * 30 + "]" * 30]
)
def test_broken_texts_are_refused_plainly(text: str) -> None:
    with pytest.raises(IntakeError):
        read(text)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="cannot be read"):
        Intake.load(tmp_path / "absent.yaml")
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(IntakeError, match="cannot be read"):
        Intake.load(binary)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_never_worse(text: str) -> None:
    try:
        intake = read(text)
    except IntakeError:
        return
    assert Intake.from_dict(intake.to_dict()) == intake


@pytest.mark.parametrize("part", [{"regions": {"patella": "no"}}, {"imaging": {"ct": {"patella": "no"}}}])
def test_a_region_that_is_spared_stays_spared_when_written_and_read_again(part: dict[str, object]) -> None:
    first = Intake.from_dict({"site": "knee", **part})
    again = Intake.from_dict(first.to_dict())
    assert [(f.code, f.state) for f in again.findings] == [("patella", State.ABSENT)]
    assert Intake.from_dict(response_of(first)).findings[0].state is State.ABSENT


@pytest.mark.parametrize(
    "report",
    [
        "MRI right knee\nNo evidence of fracture. Bone marrow oedema of the medial femoral condyle.\n",
        "REPORT: MRI\nFINDINGS: no fracture.\n- edema of the patella\n",
        "MRI KNEE: NO ACUTE FRACTURE.\nBONE MARROW EDEMA: PRESENT\n",
        'MRT Knie vom 12.03.2026\nBefund: kein Bruch: "Ödem"\n',
        "[unclosed\n",
    ],
)
def test_a_report_in_free_text_is_refused_with_the_way_in(report: str) -> None:
    with pytest.raises(IntakeError) as caught:
        read(report)
    assert "free text" in caught.value.message and "marrowscope intake new" in caught.value.message


@pytest.mark.parametrize(
    ("item", "said"), [("creatinine", "3.5"), ("haemoglobin", "13.5"), ("urate", "8.1"), ("creatinine", "0.9")]
)
def test_a_value_that_only_another_unit_explains_is_not_taken_for_ours(item: str, said: str) -> None:
    """A creatinine of 3.5 mg/dL read as 3.5 umol/L would be a healthy kidney."""
    with pytest.raises(IntakeError) as caught:
        read(f"labs: {{{item}: {said}}}")
    assert "mg/dL" in caught.value.message or "g/dL" in caught.value.message


@pytest.mark.parametrize(
    ("item", "said", "ours", "other"),
    [("crp", "4.5", "mg/L", "mg/dL"), ("phosphate", "3.5", "mmol/L", "mg/dL"), ("vitamin_d", "30", "nmol/L", "ng/mL")],
)
def test_the_unit_assumed_for_a_bare_number_is_said(item: str, said: str, ours: str, other: str) -> None:
    """A CRP of 4.5 mg/dL read as 4.5 mg/L would be no inflammation."""
    bare = read(f"labs: {{{item}: {said}}}")
    assert f"read as {ours}" in bare.findings[0].note and other in bare.findings[0].note
    assert any(f"read as {ours}" in note for note in reason_findings(bare).notes)
    assert Intake.from_dict(bare.to_dict()) == bare
    assert not read(f"labs: {{{item}: {said} {other}}}").findings[0].note


@pytest.mark.parametrize("said", ["wbc: 7", "calcium: 2.4", "creatinine: 80", "crp: 90", "alp: 80", "haemoglobin: 130"])
def test_nothing_is_said_of_a_bare_number_that_only_one_unit_explains(said: str) -> None:
    assert not read(f"labs: {{{said}}}").findings[0].note


@pytest.mark.parametrize(
    ("item", "said", "code", "value"),
    [
        ("crp", "12,5mg/l", "crp_raised", 12.5),
        ("wbc", "12000/µl", "wbc_high", 12.0),
        ("platelets", "60x10^9/L", "platelets_low", 60.0),
        ("crp", "<5 mg/L", "crp_normal", None),
        ("crp", "< 0.5 mg/dL", "crp_normal", None),
        ("esr", ">100 mm/h", "esr_high", None),
    ],
)
def test_values_as_laboratories_print_them(item: str, said: str, code: str, value: float | None) -> None:
    finding = read(f"labs: {{{item}: '{said}'}}").findings[0]
    assert (finding.code, finding.value) == (code, value)


@pytest.mark.parametrize("said", ["<50 mg/L", ">3 mg/L", "<5 furlongs"])
def test_a_bound_that_leaves_the_level_open_is_refused(said: str) -> None:
    with pytest.raises(IntakeError, match="crp"):
        read(f"labs: {{crp: '{said}'}}")


def test_a_childs_haemoglobin_is_judged_by_its_own_limit() -> None:
    assert read("age: 6\nlabs: {haemoglobin: 118 g/L}").findings[0].code == "haemoglobin_normal"
    assert read("age: 6\nlabs: {haemoglobin: 85 g/L}").findings[0].code == "haemoglobin_low"
    assert read("age: 40\nsex: male\nlabs: {haemoglobin: 118 g/L}").findings[0].code == "haemoglobin_low"


@pytest.mark.parametrize(
    "text",
    [
        "age: 8\nsex: female\nhistory: {menopause: yes}",
        "age: 4\nsex: female\nhistory: {postpartum: yes}",
        "age: 80\nsex: female\nconditions: {breastfeeding: yes}",
    ],
)
def test_what_cannot_be_at_that_age_is_refused(text: str) -> None:
    with pytest.raises(IntakeError):
        read(text)
