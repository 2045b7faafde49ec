"""The reader of written reports: what is said, denied, doubted and left; whose report it is never comes out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.reports import HALVES, cases, pairs_of, read_case, score
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marrowscope.cli import run
from marrowscope.errors import IntakeError, MarrowscopeError
from marrowscope.findings import State
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.report_words import Phrases, Row, report_data, tokens_of
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.intake_text import parse_text
from marrowscope.reasoning.written.context import Said
from marrowscope.reasoning.written.draft import draft, intake_data, plain_data, possible, table
from marrowscope.reasoning.written.layout import MAX_CHARACTERS, sections
from marrowscope.reasoning.written.privacy import quoted, without_person
from marrowscope.reasoning.written.read import ReadReport, read_report
from needs import CHECKOUT

P, A, N = "present", "absent", None


def read(findings: str = "", history: str = "", head: str = "MRI LEFT KNEE", **asked: str) -> ReadReport:
    return read_report(f"{head}\nHistory: {history}\nFindings: {findings}\n", **asked)


def states(found: ReadReport) -> dict[str, str]:
    return {item.code: item.state.value for item in found.coded}


FINDINGS = [
    # said plainly
    ("Oedema is seen in the medial femoral condyle.", {"fluid_high": P, "medial_femoral_condyle": P}),
    ("Bone marrow edema: present, medial femoral condyle.", {"fluid_high": P, "medial_femoral_condyle": P}),
    ("T1-hypointense, T2-hyperintense lesion in the patella.", {"t1_low": P, "focal_lesion": P, "patella": P}),
    ("Intramedullary lesion with cortical breakthrough and a soft-tissue mass.", {"cortical_destruction": P}),
    ("Horizontal cleavage tear of the body of the medial meniscus.", {"meniscal_tear": P}),
    ("Torn ACL, intact PCL, MCL and LCL.", {"acl_tear": P}),
    ("The ACL is torn but the PCL is intact.", {"acl_tear": P}),
    ("Fluid collection with rim enhancement, consistent with abscess.", {"abscess": P}),
    ("Other than bone marrow edema, no abnormality.", {"fluid_high": P}),
    ("Stable bone marrow edema in the patella.", {"fluid_high": P}),
    # denied
    ("There is no evidence of marrow edema in the patella.", {"fluid_high": A, "patella": N}),
    ("No bone marrow oedema or fracture is demonstrated.", {"fluid_high": A, "fracture_line": A}),
    ("Neither fracture nor bone marrow edema is seen.", {"fracture_line": A, "fluid_high": A}),
    ("Bone marrow edema, rather than fracture.", {"fluid_high": P, "fracture_line": A}),
    ("Negative for fracture or destructive lesion.", {"fracture_line": A, "cortical_destruction": A}),
    ("Soft tissue mass is absent.", {"soft_tissue_mass": A}),
    ("Marrow edema is not identified.", {"fluid_high": A}),
    ("Effusion: none. Synovitis: mild.", {"effusion": A, "synovitis": P}),
    ("ACL: intact. PCL: intact.", {"acl_tear": A, "ligament_tear": A}),
    ("The ACL, PCL, MCL, LCL, popliteus tendon and extensor mechanism are all intact.", {"acl_tear": A}),
    ("No evidence of cortical destruction, periosteal reaction, or soft tissue mass.", {"soft_tissue_mass": A}),
    ("No bone marrow edema to suggest osteomyelitis.", {"fluid_high": A}),
    # where the reach ends
    ("No fracture but extensive bone marrow edema in the patella.", {"fracture_line": A, "fluid_high": P}),
    ("No abscess; soft tissue mass measuring 4 cm.", {"abscess": A, "soft_tissue_mass": P}),
    ("No joint effusion, moderate synovitis.", {"effusion": A, "synovitis": P}),
    ("No joint effusion, however there is synovitis.", {"effusion": A, "synovitis": P}),
    ("There is edema in the patella and a fracture is not seen.", {"fluid_high": P, "fracture_line": A}),
    ("Findings suspicious for osteosarcoma with cortical destruction.", {"cortical_destruction": P}),
    # negations that deny nothing
    ("Not only bone marrow edema but also a fracture line is seen.", {"fluid_high": P, "fracture_line": P}),
    ("There is no increase in the size of the effusion.", {"effusion": N}),
    ("No interval change in the bone marrow edema.", {"fluid_high": N}),
    ("No displaced fracture.", {"fracture_line": N}),
    # uncertain, hypothetical, of the past, gone
    ("A fracture cannot be excluded.", {"fracture_line": N}),
    ("Cannot exclude a nondisplaced fracture.", {"fracture_line": N}),
    ("Findings may represent a focal lesion.", {"focal_lesion": N}),
    ("Possible small nidus in the patella.", {"nidus": N, "patella": N}),
    ("If a mass appears, MRI should be repeated.", {"soft_tissue_mass": N}),
    ("The previous MRI showed a fracture line.", {"fracture_line": N}),
    ("Previously seen bone marrow edema is no longer present.", {"fluid_high": A}),
    ("There was bone marrow edema, which has now resolved.", {"fluid_high": A}),
]

HISTORY = [
    ("Denies fever, night sweats, or weight loss.", {"fever": A, "night_sweats": A, "weight_loss": A}),
    ("No fever. History of breast cancer.", {"fever": A, "cancer_bone_prone": P}),
    ("Family history of breast cancer. Night pain.", {"cancer_bone_prone": N, "cancer_history": N, "night_pain": P}),
    ("Mother had breast cancer.", {"cancer_bone_prone": N, "cancer_history": N}),
    ("No h/o cancer or prior surgery.", {"cancer_history": A}),
    ("67M hx prostate ca s/p XRT w/ new knee pain.", {"cancer_bone_prone": P, "radiotherapy": P, "pain": P}),
    ("Return if fever or night pain develops.", {"fever": N, "night_pain": N}),
    ("R/O meniscal tear. Knee pain, no trauma.", {"meniscal_tear": N, "pain": P, "acute_trauma": A}),
    ("Fever resolved with antibiotics.", {"fever": N}),
    ("Not on steroids. HIV negative.", {"corticosteroids": A, "hiv": A}),
    ("Knee pain, ? meniscal tear.", {"pain": P, "meniscal_tear": N}),
]


@pytest.mark.parametrize(("text", "wanted"), FINDINGS, ids=[text for text, _ in FINDINGS])
def test_a_finding_stands_as_the_words_around_it_say(text: str, wanted: dict[str, str | None]) -> None:
    found = states(read(text))
    assert {code: found.get(code) for code in wanted} == wanted


@pytest.mark.parametrize(("text", "wanted"), HISTORY, ids=[text for text, _ in HISTORY])
def test_the_history_is_read_as_the_words_around_it_say(text: str, wanted: dict[str, str | None]) -> None:
    found = states(read(history=text))
    assert {code: found.get(code) for code in wanted} == wanted


SENTENCES = yaml.safe_load((CHECKOUT / "tests" / "reports" / "sentences.yaml").read_text(encoding="utf-8"))
HEADS = {"knee": "MRI LEFT KNEE", "spine": "MRI LUMBAR SPINE"}


@pytest.mark.parametrize("row", SENTENCES["never"], ids=lambda row: row["text"])
def test_what_a_sentence_denies_or_doubts_is_not_present(row: dict[str, Any]) -> None:
    found = states(read(**{row["in"]: row["text"]}))
    assert [code for code in row["codes"] if found.get(code) == P] == []


@pytest.mark.parametrize("row", SENTENCES["always"], ids=lambda row: row["text"])
def test_a_red_flag_is_read_in_the_ways_it_is_said(row: dict[str, Any]) -> None:
    found = states(read(head=HEADS[row["site"]], **{row["in"]: row["text"]}))
    assert [found.get(code) for code in row["codes"]] == [P] * len(row["codes"])


def test_what_is_doubted_is_kept_with_its_words_and_never_coded() -> None:
    found = read("Possible nidus in the patella. Osteomyelitis cannot be excluded.")

    assert [(item.code, item.why) for item in found.left] == [("nidus", Said.DOUBT)]
    assert found.views[0].said is Said.DOUBT and "cannot be excluded" in found.views[0].text
    assert found.coded == ()


def test_a_diagnosis_is_the_reporters_opinion_and_no_finding() -> None:
    found = read("Thin subchondral line in the medial femoral condyle, consistent with SIFK.")

    assert "sifk" in {name for view in found.views for name in view.names}
    assert states(found).keys() <= {"subchondral_line", "medial_femoral_condyle"}


def test_the_person_is_read() -> None:
    found = read(history="Gradual knee pain for 2 months in a 67-year-old woman.")
    assert (found.age, found.sex, found.weeks, found.onset) == (67, "female", pytest.approx(8.7, abs=0.1), "gradual")


@pytest.mark.parametrize(
    ("text", "age", "sex"),
    [("67F with knee pain.", 67, "female"), ("45 y/o man.", 45, "male"), ("17yo male sprinter", 17, "male"),
     ("A 3-month-old girl.", 0.25, "female"), ("Aged 51.", 51, ""), ("Knee pain.", None, "")],
)  # fmt: skip
def test_ages_in_the_usual_forms(text: str, age: float | None, sex: str) -> None:
    found = read(history=text)
    assert (found.age, found.sex) == (age, sex)


@pytest.mark.parametrize(
    ("text", "item", "value"),
    [("CRP 45 mg/L", "crp", "45 mg/L"), ("ESR of 60", "esr", "60"), ("Hb 9.2 g/dL", "haemoglobin", "9.2 g/dL"),
     ("CRP less than 5 mg/L", "crp", "<5 mg/L"), ("HLA-B27 positive", "hla_b27", "positive"),
     ("WBC 14,200 /uL", "wbc", "14200 /uL"), ("raised CRP", "crp", "raised"), ("normal ESR", "esr", "normal")],
)  # fmt: skip
def test_laboratory_values(text: str, item: str, value: str) -> None:
    assert [(lab.code, lab.value) for lab in read(history=text).labs] == [(item, value)]


def test_a_value_that_cannot_be_true_is_not_understood_and_not_entered() -> None:
    found = read(history="Hb 9.2.")
    assert found.labs == () and found.unread == ("Hb 9.2.",)


def test_the_radiograph_of_the_comparison_is_coded_as_one_and_an_older_mri_is_not() -> None:
    text = "MRI LEFT KNEE\nComparison: {}\nFindings: No effusion.\n"

    assert states(read_report(text.format("Radiographs: no fracture.")))["xr_fracture"] == A
    assert states(read_report(text.format("MRI last year showed bone marrow edema."))).keys() == {"effusion"}


def test_the_other_side_is_listed_and_not_coded() -> None:
    text = (
        "MRI BOTH KNEES\nFindings:\nRight knee: Bone marrow edema in the patella.\nLeft knee: Abscess.\nNo effusion.\n"
    )
    right, left = read_report(text, side="right"), read_report(text, side="left")

    assert states(right).keys() == {"fluid_high", "patella"} and right.elsewhere == (
        "Left knee: Abscess.",
        "No effusion.",
    )
    assert states(left) == {"abscess": P, "effusion": A}


def test_several_joints_need_a_site_and_the_other_one_is_listed() -> None:
    text = "MRI KNEE AND SHOULDER\nFindings: Edema in the medial femoral condyle. Erosion of the humeral head.\n"

    with pytest.raises(IntakeError, match="--site") as caught:
        read_report(text)
    assert caught.value.exit_code == 2
    found = read_report(text, site="knee")
    assert states(found).keys() == {"fluid_high", "medial_femoral_condyle"} and len(found.elsewhere) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("MRI LEFT KNEE " + "a" * MAX_CHARACTERS, "at most"),
        ("\x00\x01MRI LEFT KNEE", "no readable text"),
        ("1 2 3 4 5 6 7 8 9 0 ,,,,,,,,,,,,,,,", "no readable text"),
        ("MRI BRAIN WITH CONTRAST\nFindings: No mass.", "another part of the body"),
        ("BILATERAL MAMMOGRAPHY\nFindings: No mass.", "another part of the body"),
        ("Dear aunt, the weather is fine and the knee too.", "no kind of image"),
        ("MRI\nFindings: No mass.", "names no joint"),
    ],
)
def test_what_is_no_report_of_ours_is_refused(text: str, words: str) -> None:
    with pytest.raises(IntakeError, match=words) as caught:
        read_report(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("head", ["MRI BRAIN", "MRI KNEE"])
def test_a_site_that_the_report_does_not_name_is_refused(head: str) -> None:
    with pytest.raises(IntakeError, match="one that names the shoulder"):
        read("No mass.", head=head, site="shoulder")


# ---- the draft


@pytest.mark.parametrize("half", HALVES)
def test_every_draft_is_an_intake_that_the_reasoning_accepts(half: str) -> None:
    for name, case in cases(half).items():
        found = possible(read_case(case))
        intake = Intake.from_dict(parse_text(draft(found), name))
        assert intake.site == found.site, name
        assert {item.code for item in found.coded} <= {item.code for item in intake.findings}, name


def test_the_draft_says_that_nobody_checked_it_and_quotes_every_entry() -> None:
    text = draft(read("Bone marrow edema in the patella. Possible nidus. Osteomyelitis is unlikely.", "Fever."))
    lines = text.splitlines()

    assert lines[0].startswith("# Drafted by software") and "must check" in lines[0]
    assert '  fever: yes  # "Fever."' in lines and '    fluid_high: yes  # "Bone marrow edema in the patella."' in lines
    assert (
        "# Said to be uncertain or otherwise not coded:" in lines
        and "# The reporter's own opinion, not used as evidence:" in lines
    )


def test_the_command_writes_what_reason_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, out = tmp_path / "report.txt", tmp_path / "intake.yaml"
    report.write_text(cases("first")["knee_sifk"]["text"], encoding="utf-8")

    assert run(["intake", "read", str(report), "-o", str(out)]) == 0
    screen = capsys.readouterr().out
    assert "said to be present" in screen and "must check" in screen
    assert run(["reason", str(out)]) == 0
    assert "the reporter's opinion" in capsys.readouterr().out
    assert run(["intake", "read", str(report), "-o", str(out)]) == 2


def test_the_command_gives_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.txt"
    report.write_text("MRI LEFT KNEE\nFindings: No effusion. Possible nidus.", encoding="utf-8")

    assert run(["intake", "read", str(report), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["entries"] == [{"code": "effusion", "state": "absent", "place": "imaging.mri", "quote": "No effusion."}]
    assert data["not_coded"][0]["why"] == "said to be uncertain" and "check" in data["warning"]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00\x00", b"a" * (4 * MAX_CHARACTERS + 1)])
def test_the_command_refuses_what_is_no_text(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "Jane Roe.txt"
    report.write_bytes(content)

    assert run(["intake", "read", str(report)]) == 2
    assert run(["intake", "read", str(tmp_path / "absent Roe.txt")]) == 2
    shown = capsys.readouterr()
    assert "Roe" not in shown.out + shown.err


def test_reason_names_the_reader_when_it_meets_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.txt"
    report.write_text("Findings: bone marrow edema. Nothing else.", encoding="utf-8")

    assert run(["reason", str(report)]) == 2
    assert "marrowscope intake read" in capsys.readouterr().err


# ---- whose report it is


HEADERS = [
    "Patient Name: {name}", "NAME: {name}   DOB: 04/12/1957", "Pt Name: {name}; MRN: 88213345",
    "Referring Physician: Dr. {name}", "Patient: {name}\tAccession: AX-229913",
    "Electronically signed by {name}", "Dictated by: {name}, MD",
]  # fmt: skip


def everything(found: ReadReport) -> str:
    return "\n".join((draft(found), table(found), json.dumps(plain_data(found), ensure_ascii=False)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.sampled_from(["Harriet", "Zbigniew", "Anneliese", "Oluwaseun"]),
    last=st.sampled_from(["Bloomfield", "Wojcik", "Quarles", "Adeyemi-Roe"]),
    header=st.sampled_from(HEADERS),
    upper=st.booleans(),
    mention=st.sampled_from([
        "{title} {last} has bone marrow edema.", "{first} {last} has fever and knee pain.",
        "{last} fell, painful knee.",
        "Findings discussed with Dr. {last}, no effusion.",
        "Bone marrow edema in the patella was shown to {title} {first} {last} on 04/12/2024.",
    ]),
    title=st.sampled_from(["Mr.", "Mrs", "Ms.", "Dr", "Prof."]),
)  # fmt: skip
def test_names_numbers_and_dates_never_come_out(
    first: str, last: str, header: str, upper: bool, mention: str, title: str
) -> None:
    name = f"{first} {last}".upper() if upper else f"{first} {last}"
    line = mention.format(first=first, last=last, title=title)
    text = f"{header.format(name=name)}\nMRI LEFT KNEE\nHistory: {line}\nFindings: {line} No effusion.\n"
    shown = everything(read_report(text)).lower()

    for word in (first, *last.split("-"), "04/12", "88213345", "229913"):
        assert word.lower() not in shown, word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MRI LEFT KNEE\nHistory: pain, seen by dr smith. Findings: told dr. patel, no effusion.", ["smith", "patel"]),
        ("mri left knee\nhistory: john smith has pain.\nfindings: no effusion.", ["john", "smith"]),
        ("name: john smith\nmri left knee\nhistory: john has pain.\nfindings: no effusion.", ["john", "smith"]),
        ("John Smith, 67M, MRI left knee. John Smith has pain. Edema in the patella.", ["john", "smith"]),
        (
            "PATIENT NAME: DOE JANE MRN: 55511122 MRI LEFT KNEE\nHISTORY: PAIN IN MS DOE.\nFINDINGS: NO EFFUSION.",
            ["doe"],
        ),
        (
            "MRI LEFT KNEE\nHistory: pain, call 07700 900123 or jane.doe@example.org.\nFindings: no effusion.",
            ["900", "@"],
        ),
        ("Mrs Jane O'Brien-Kowalski, b. 03/04/1950\nMRI LEFT KNEE\nFindings: no effusion.", ["brien", "1950", "jane"]),
    ],
)
def test_names_without_a_field_are_hidden_too(text: str, words: list[str]) -> None:
    shown = everything(read_report(text)).lower()
    assert "effusion" in shown or "patella" in shown
    assert [word for word in words if word in shown] == []


def test_a_history_behind_the_word_patient_is_no_name() -> None:
    assert states(read_report("MRI LEFT KNEE\nPatient: 67F with fever.\nFindings: No effusion."))["fever"] == P


@pytest.mark.parametrize("filler", [" ", "no and , or ", "CRP of at is ", "3 weeks of 67M "])
def test_the_longest_text_takes_seconds(filler: str) -> None:
    text = f"MRI LEFT KNEE\n{filler * (MAX_CHARACTERS // len(filler))}"[: MAX_CHARACTERS - 20] + "\nNo effusion."
    start = time.process_time()

    assert states(read_report(text)).get("effusion", A) == A
    assert time.process_time() - start < 20


@pytest.mark.parametrize("half", HALVES)
def test_nobody_named_in_the_made_up_reports_comes_out(half: str) -> None:
    for case in cases(half).values():
        shown = everything(read_case(case))
        assert [word for word in case.get("hide", ()) if word.lower() in shown.lower()] == []


def test_private_lines_are_dropped_and_the_report_is_kept() -> None:
    text, hidden = without_person(
        "Patient: Jane Roe   Exam: MRI LEFT KNEE\nDOB: 1/2/1960\n12 Elm Street, Springfield\nMRN 1234567\n"
        "Findings: No effusion.\n"
    )
    assert (
        text.split() == ["Exam:", "MRI", "LEFT", "KNEE", "Findings:", "No", "effusion."] and {"jane", "roe"} <= hidden
    )
    assert (
        quoted("Seen by Dr. Jane Roe on 01-02-2024: no effusion.", hidden) == "Seen by [name] on [number]: no effusion."
    )


# ---- properties


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=300), st.text(alphabet="MRIkneoedaftu :;?.,#/()-\n", max_size=200)))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for report in (text, f"MRI LEFT KNEE\nFindings: {text}"):
        try:
            found = possible(read_report(report))
        except MarrowscopeError as error:
            assert error.exit_code == 2 and error.found
        else:
            Intake.from_dict(intake_data(found))
            draft(found)


DENIALS = [
    "No {}.",
    "There is no {}.",
    "No evidence of {}.",
    "Negative for {}.",
    "Without {}.",
    "No definite {} is seen.",
]
NAMED_BY_ABSENCE = {"t1_fat_lost", "no_blooming", "opposed_phase_drop_small"}
"""Findings that are themselves an absence: without residual fat, the marrow is replaced."""


def plain_phrases() -> list[str]:
    """Every phrase of an MRI finding in its shortest form, labels and synonyms included."""
    data = report_data("phrases")
    codes = {
        code for code, item in vocabulary().items()
        if item.kind is Kind.IMAGING and not code.startswith(tuple(data["only_on"]))
    }  # fmt: skip
    said = [str(text) for code in codes for text in data["say"].get(code, ()) if not set(str(text)) & set("~?")]
    short = [" ".join(word.split("|")[0].strip("*") for word in text.split() if word.strip(".")) for text in said]
    return sorted({*short, *(text for code in codes for text in vocabulary()[code].also)})


@pytest.mark.parametrize("denial", DENIALS)
def test_what_is_denied_is_never_present(denial: str) -> None:
    wrong = {
        phrase: codes
        for phrase in plain_phrases()
        if (codes := {code for code, state in states(read(denial.format(phrase))).items() if state == P})
        and not codes <= NAMED_BY_ABSENCE
    }
    assert len(plain_phrases()) > 800 and wrong == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([text for text, _ in FINDINGS]), min_size=1, max_size=4))
def test_sentences_do_not_change_each_other(texts: list[str]) -> None:
    alone = [states(read(text)) for text in texts]
    together = states(read(" ".join(texts)))
    assert {code for code, state in together.items() if state == P} == {
        code for found in alone for code, state in found.items() if state == P
    }


# ---- the words


def test_every_phrase_names_a_code_or_choice_that_exists() -> None:
    data, text = report_data("phrases"), report_data("text")
    for part in ("say", "deny", "place", "also", "kept"):
        assert set(data[part]) <= vocabulary().keys(), part
    for table_ in (
        *data["also"].values(),
        *(list(row.values()) for row in data["drawn_from"].values()),
        data["marrow_also"],
    ):
        assert set(table_) <= vocabulary().keys()
    assert set(text["parts"]) <= choices()["site"].keys() and set(text["images"]) <= choices()["modality"].keys()
    assert set(report_data("context")["before"]) <= {*map(str, Said), "none"}


def test_no_word_of_the_data_was_read_as_a_truth_value() -> None:
    def words(node: Any) -> list[Any]:
        if isinstance(node, dict):
            return [word for key, part in node.items() for word in (key, *words(part))]
        return [word for part in node for word in words(part)] if isinstance(node, list) else [node]

    for name in ("phrases", "context", "text"):
        assert [word for word in words(report_data(name)) if isinstance(word, bool) or word is None] == []


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("edema .. condyle", "edema of the medial condyle", True),
        ("edema .. condyle", "edema of the anterior and medial condyle", False),
        ("edema ~ marrow", "marrow shows oedema", True),
        ("t1|t2 low", "T2 low", True),
        ("enhanc* lesion", "enhancing lesions", True),
        ("bone? edema", "oedema", True),
        ("edema ... condyle", "edema; the condyle", False),
    ],
)
def test_the_phrase_language(phrase: str, text: str, found: bool) -> None:
    assert bool(list(Phrases([("x", phrase)]).find(Row.of(tokens_of(text))))) is found


def test_sections_in_their_usual_forms() -> None:
    assert [name for name, _ in sections("MRI KNEE\nINDICATION: pain\nFINDINGS\nEdema.\nConclusion - Normal.")] == [
        "opening", "history", "findings", "impression",
    ]  # fmt: skip
    assert [name for name, _ in sections("MRI knee. History: pain. Findings: edema. Imp: edema.")] == [
        "opening", "history", "findings", "impression",
    ]  # fmt: skip


# ---- how well


def test_the_figures_do_not_fall() -> None:
    """Floors a little under today's figures; the errors that matter most have next to no allowance."""
    first = score("first")
    assert first.grave == 0 and first.precision > 0.97 and first.recall > 0.97
    for name in ("second", "third", "fourth"):
        held = score(name)
        assert held.grave <= 1 and held.red_missed <= 1 and held.precision > 0.97 and held.recall > 0.96, name
    assert pairs_of(read_case(cases("first")["knee_normal"]))["fluid_high"] == State.ABSENT.value
