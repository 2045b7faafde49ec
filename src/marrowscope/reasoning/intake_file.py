"""Plain data to the fields of an Intake and back, collecting every mistake instead of stopping at the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marrowscope.errors import IntakeError
from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import Kind, label_of, vocabulary
from marrowscope.knowledge.search import nearest
from marrowscope.reasoning.intake_entries import WEEK, Reader
from marrowscope.reasoning.intake_spans import WEEKS_IN_YEAR, weeks_of, years_of
from marrowscope.reasoning.intake_text import NO_INTAKE, Lined

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake

SCHEMA = "marrowscope-intake/1"

MAX_AGE = 120.0
"""Years; nobody has been shown to be older than 122."""

POSSIBLE_AGES = {
    "pregnancy": (10.0, 60.0),
    "postpartum": (10.0, 62.0),
    "breastfeeding": (10.0, 65.0),
    "menopause": (18.0, MAX_AGE),
}
"""Years between which a state is possible; wide, so that only slips are refused."""

MAX_WEEKS = WEEKS_IN_YEAR * 100
"""Longest duration accepted: a hundred years."""

CLINICAL = (Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)
CHOICES = ("site", "side", "age_group", "sex", "maturity", "setting", "onset")
KEYS = {*CHOICES, "schema", "case", "age", "weeks", "duration", "regions", "labs", "imaging", "note", "uncoded"} | {
    kind.value for kind in CLINICAL
}


def read_intake(source: dict[str, Any] | Lined) -> dict[str, Any]:
    """Fields of an :class:`Intake`, from the published schema or a FHIR QuestionnaireResponse to our Questionnaire.

    Raises:
        IntakeError: every mistake found, each with its line and the nearest valid word.
    """
    lined = source if isinstance(source, Lined) else Lined(source)
    if not isinstance(lined.data, dict):
        raise _no_intake(lined)
    if lined.data.get("resourceType"):
        lined = _answers(lined.data)
    elif lined.data and not any(key in KEYS or nearest(key, KEYS) for key in lined.data):
        raise _no_intake(lined)
    reader = Reader(lined)
    fields = _fields(reader, lined.data)
    if reader.mistakes:
        raise IntakeError("\n".join(reader.mistakes), "", "marrowscope intake check FILE, or intake vocabulary WORD")
    return fields


def _no_intake(lined: Lined) -> IntakeError:
    """The refusal of something that is no intake, most often a report in free text."""
    if isinstance(lined.data, dict):
        what = f"{next(iter(lined.data))!r} and no part of an intake; free text is not interpreted"
    else:
        what = "free text, which is not interpreted" if isinstance(lined.data, str) else type(lined.data).__name__
    return IntakeError(f"{lined.name} holds {what}", "entries such as `site: knee`", NO_INTAKE)


def _answers(resource: dict[str, Any]) -> Lined:
    """What a FHIR resource says, as an intake."""
    from marrowscope.reasoning.questionnaire_response import intake_data, is_response

    if not is_response(resource):
        raise IntakeError(f"a FHIR {resource.get('resourceType')}", "an intake, or a QuestionnaireResponse to ours")
    return Lined(intake_data(resource), name="QuestionnaireResponse")


def _fields(reader: Reader, data: dict[str, Any]) -> dict[str, Any]:
    for key in data.keys() - KEYS:
        reader.unknown_word((key,), key, KEYS, "a part of an intake")
    if data.get("schema", SCHEMA) != SCHEMA:
        reader.mistake(("schema",), f"schema {data['schema']!r}", SCHEMA)
    fields: dict[str, Any] = {}
    for name in CHOICES:
        if data.get(name) not in (None, ""):
            fields[name] = reader.choice((name,), name, data[name])
    fields["age"] = _age(reader, data)
    fields["weeks"] = _weeks(reader, data)
    sex, age = str(fields.get("sex") or ""), fields["age"]
    findings = [finding for kind in CLINICAL for finding in reader.clinical(kind, data.get(kind.value))]
    findings += reader.regions(data.get("regions")) + reader.labs(data.get("labs"), sex, age)
    fields["findings"] = tuple(findings + reader.imaging(data.get("imaging")))
    lasting = [f.value for f in findings if f.unit == WEEK and f.value is not None and f.state is State.PRESENT]
    if fields["weeks"] is None and lasting:
        fields["weeks"] = max(lasting)
    fields["uncoded"] = tuple(reader.texts("uncoded", data.get("uncoded")))
    fields["note"], fields["case"] = str(data.get("note") or ""), str(data.get("case") or "")
    _possible(reader, fields)
    return _typed({name: value for name, value in fields.items() if value is not None})


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    from marrowscope.reasoning.intake import AgeGroup, Maturity, Onset, Setting, Sex

    kinds = {"age_group": AgeGroup, "sex": Sex, "maturity": Maturity, "setting": Setting, "onset": Onset}
    return {name: kinds[name](value) if name in kinds else value for name, value in fields.items()}


def _age(reader: Reader, data: dict[str, Any]) -> float | None:
    if (raw := data.get("age")) in (None, "", "unknown"):
        return None
    number = reader.number(raw)
    number = years_of(str(raw)) if number is None else number
    if number is None or not 0 <= number <= MAX_AGE:
        reader.mistake(("age",), f"age {raw!r}", f"years between 0 and {MAX_AGE:g} (0.5 is six months)")
        return None
    return number


def _weeks(reader: Reader, data: dict[str, Any]) -> float | None:
    """Duration in weeks from ``weeks: 6`` or ``duration: 6 weeks``."""
    if data.get("weeks") is not None:
        weeks, key = reader.number(data["weeks"]), "weeks"
    elif data.get("duration") in (None, "", "unknown"):
        return None
    else:
        key, weeks = "duration", weeks_of(str(data["duration"]))
    if weeks is None or not 0 <= weeks <= MAX_WEEKS:
        reader.mistake(
            (key,), f"{key} {data[key]!r}", "`weeks: 6`, or `duration: 3 months` (days, weeks, months, years)"
        )
        return None
    return weeks


def _possible(reader: Reader, fields: dict[str, Any]) -> None:
    """Refuse what cannot be true together."""
    present = {finding.code for finding in fields["findings"] if finding.state is State.PRESENT}
    for code in sorted(present & {"pregnancy", "postpartum", "menopause", "breastfeeding"}):
        if fields.get("sex") == "male":
            reader.mistake((Kind.HISTORY.value, code), f"{code} in a man", "sex: female, or leave it out")
    if (age := fields["age"]) is not None:
        _possible_at(reader, age, present)


def _possible_at(reader: Reader, age: float, present: set[str]) -> None:
    """Refuse what cannot be true at an age."""
    for code, (low, high) in POSSIBLE_AGES.items():
        if code in present and not low <= age <= high:
            reader.mistake((Kind.HISTORY.value, code), f"{label_of(code)} at {age:g}", f"an age of {low:g} to {high:g}")


_WORD = {State.PRESENT: "yes", State.ABSENT: "no", State.UNKNOWN: "unknown"}


def _entry(finding: Finding) -> Any:
    extra: dict[str, Any] = {name: getattr(finding, name) for name in ("side", "note") if getattr(finding, name)}
    if finding.value is not None:
        extra |= {"weeks": finding.value} if finding.unit == WEEK else {"value": finding.value, "unit": finding.unit}
    return {"state": _WORD[finding.state], **extra} if extra else _WORD[finding.state]


def write_intake(intake: Intake) -> dict[str, Any]:
    """Plain data of the published schema; unknown parts are left out."""
    data: dict[str, Any] = {"schema": SCHEMA}
    for name in ("case", "age", "weeks", *CHOICES):
        value = getattr(intake, name)
        if value not in (None, "", "unknown"):
            data[name] = value if isinstance(value, float) else str(value)
    for finding in intake.findings:
        _place(data, finding)
    if intake.note:
        data["note"] = intake.note
    if intake.uncoded:
        data["uncoded"] = list(intake.uncoded)
    return data


def _place(data: dict[str, Any], finding: Finding) -> None:
    """Put one finding where it is read again; a laboratory value whose unit was assumed stays without one."""
    kind = vocabulary()[finding.code].kind
    if kind is Kind.REGION and _entry(finding) == _WORD[State.PRESENT]:
        data.setdefault("regions", []).append(finding.code)
    elif kind is Kind.LAB:
        item = vocabulary()[finding.code].section
        level = finding.code.removeprefix(f"{item}_")
        measured = finding.value if finding.note else {"value": finding.value, "unit": finding.unit}
        data.setdefault("labs", {})[item] = level if finding.value is None else measured
    elif finding.origin is Origin.READ or kind in (Kind.IMAGING, Kind.REGION):
        by, _, modality = finding.by.rpartition(" / ")
        images = data.setdefault("imaging", {})
        if by:
            images["by"] = by
        images.setdefault(modality if modality in choices()["modality"] else "mri", {})[finding.code] = _entry(finding)
    else:
        data.setdefault(kind.value, {})[finding.code] = _entry(finding)
