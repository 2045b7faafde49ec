"""Whatever is said in the vocabulary's words, the answer holds together."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.reasoning.answer import Reasoning, reason_findings
from marrowscope.reasoning.intake import Intake

WORDS = st.sampled_from(["yes", "no", "unknown"])
PLACES = [kind.value for kind in (Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)]
CODES = {place: [item.code for item in vocabulary().values() if item.kind.value == place] for place in PLACES}
IMAGES = [item.code for item in vocabulary().values() if item.kind is Kind.IMAGING]
MEN_CANNOT = {"pregnancy", "postpartum", "menopause", "breastfeeding"}


@st.composite
def intakes(draw: st.DrawFn) -> Intake:
    data: dict[str, object] = {
        "site": draw(st.sampled_from(list(choices()["site"]))),
        "sex": draw(st.sampled_from(list(choices()["sex"]))),
        "age": draw(st.none() | st.floats(18, 59)),
        "weeks": draw(st.none() | st.floats(0, 500)),
        "imaging": {"mri": draw(st.dictionaries(st.sampled_from(IMAGES), WORDS, max_size=12))},
        "labs": {key: draw(st.sampled_from(lab.levels)) for key, lab in labs().items() if draw(st.integers(0, 9)) == 0},
    }
    for place in PLACES:
        codes = [code for code in CODES[place] if data["sex"] != "male" or code not in MEN_CANNOT]
        data[place] = draw(st.dictionaries(st.sampled_from(codes), WORDS, max_size=4))
    return Intake.from_dict(data)


@settings(max_examples=25)
@given(intakes())
def test_any_intake_gives_an_answer_that_holds_together(intake: Intake) -> None:
    answer = reason_findings(intake)
    rows = answer.differential.rows
    assert abs(sum(row.probability for row in rows) - 1) < 1e-9
    assert [row.probability for row in rows] == sorted((row.probability for row in rows), reverse=True)
    assert all(0 <= row.low <= row.probability <= row.high <= 1 for row in rows)
    for row in rows[:3]:
        total = row.prior_decibans + sum(term.decibans for term in row.terms) + answer.differential.normaliser
        assert abs(total - row.posterior_decibans) < 1e-6
    data = json.loads(json.dumps(answer.to_dict()))
    assert Reasoning.from_dict(data).to_dict() == data
    assert Intake.from_dict(intake.to_dict()).to_dict() == intake.to_dict()
    asked = {item.variable for item in (*answer.next_questions, *answer.next_tests)}
    assert not asked & {f.code for f in intake.findings if f.state is not State.UNKNOWN}


@settings(max_examples=12)
@given(intakes(), st.sampled_from(IMAGES), st.booleans())
def test_a_measured_finding_never_overrules_a_persons_reading(intake: Intake, code: str, present: bool) -> None:
    state, other = (State.PRESENT, State.ABSENT) if present else (State.ABSENT, State.PRESENT)
    read = Finding(code, state, Origin.READ, by="person / mri")
    rest = tuple(finding for finding in intake.findings if finding.code != code)
    case = Intake(site=intake.site, age=intake.age, sex=intake.sex, findings=(*rest, read))
    measured = Finding(code, other, Origin.MEASURED)
    with_both = reason_findings(case, [measured])
    assert with_both.differential == reason_findings(case).differential
    assert [check.level for check in with_both.checks] == [check.level for check in reason_findings(case).checks]
    assert with_both.overruled[0].counted == read
