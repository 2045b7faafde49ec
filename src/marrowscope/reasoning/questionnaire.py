"""The intake as a FHIR R4B ``Questionnaire``: every part an intake can hold, from the same vocabulary.

Yes / no / don't know are the codes of HL7's value set ``yesnodontknow``; findings are codes of marrowscope's own
system. A finding that needs more than a plain answer (a side, how long, a number, a note, another modality) goes into
one of the repeating ``details`` groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.findings import FindingDef, Kind, vocabulary
from marrowscope.knowledge.labs import Lab, labs

LOCAL_SYSTEM: Final = "urn:oid:2.25.165894173624097651093741209576101827461"
"""marrowscope's own code system: a UUID-derived OID, so that no web address is claimed."""

URL: Final = "urn:oid:2.25.310217395046837206548613907268433127905"
"""Canonical name of the questionnaire: a UUID-derived OID."""

VERSION: Final = "1"
"""Goes up when a part is renamed or taken away."""

YES_NO: Final = "http://terminology.hl7.org/CodeSystem/v2-0136"
ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
STATES: Final = {
    "yes": (YES_NO, "Y", "Yes"),
    "no": (YES_NO, "N", "No"),
    "unknown": (ABSENT, "asked-unknown", "Don't know"),
}
"""Members of http://hl7.org/fhir/ValueSet/yesnodontknow (R4B)."""

CLINICAL: Final = (Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG)
HEADINGS: Final = {
    Kind.SYMPTOM: "Symptoms and signs",
    Kind.HISTORY: "History",
    Kind.CONDITION: "Conditions",
    Kind.DRUG: "Drugs",
}
CHOICES: Final = ("site", "side", "age_group", "sex", "maturity", "setting", "onset")
SEEN_BY: Final = {
    "radiograph": ("radiograph",),
    "ct": ("ct",),
    "nuclear_ultrasound": ("bone_scan", "pet", "ultrasound"),
}
"""Sections of the vocabulary that a plain question asks of another modality than MRI."""

DETAILS: Final = "details"


def questionnaire() -> dict[str, Any]:
    """The Questionnaire resource (FHIR R4B)."""
    return {
        "resourceType": "Questionnaire",
        "url": URL,
        "version": VERSION,
        "name": "MarrowscopeIntake",
        "title": "Bone marrow edema: intake",
        "status": "active",
        "experimental": True,
        "subjectType": ["Patient"],
        "description": "What a doctor knows and what a person read on the images; for research use.",
        "item": [_about(), *map(_clinical, CLINICAL), _labs(), *_imaging(), _details(), *_notes()],
    }


def coding(code: str, display: str, system: str = LOCAL_SYSTEM) -> dict[str, str]:
    """A Coding."""
    return {"system": system, "code": code, "display": display}


def state_coding(word: str) -> dict[str, str]:
    """``yes``, ``no`` or ``unknown`` as HL7 codes them."""
    system, code, display = STATES[word]
    return coding(code, display, system)


def modalities_of(item: FindingDef) -> tuple[str, ...]:
    """Modalities that a plain question asks this imaging finding of."""
    return SEEN_BY.get(item.section, ("mri",))


def _group(link: str, text: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"linkId": link, "text": text, "type": "group", "item": items, **more}


def _question(link: str, text: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"linkId": link, "text": text, "type": kind, **more}


def _choice(link: str, text: str, options: Iterable[dict[str, str]], **more: Any) -> dict[str, Any]:
    return _question(link, text, "choice", answerOption=[{"valueCoding": option} for option in options], **more)


def _state(link: str, item: FindingDef) -> dict[str, Any]:
    return _choice(link, item.label, map(state_coding, STATES), code=[coding(item.code, item.label)])


def _words(name: str) -> list[dict[str, str]]:
    return [coding(word.id, word.label) for word in choices()[name].values()]


def _about() -> dict[str, Any]:
    items = [
        _question("about/case", "Label of the case (never a name)", "string"),
        _question("about/age", "Age in years (0.5 is six months)", "decimal"),
        _question("about/weeks", "For how many weeks", "decimal"),
    ]
    items += [_choice(f"about/{name}", name.replace("_", " ").capitalize(), _words(name)) for name in CHOICES]
    return _group("about", "Patient and problem", items)


def _clinical(kind: Kind) -> dict[str, Any]:
    items = [_state(f"{kind.value}/{i.code}", i) for i in vocabulary().values() if i.kind is kind]
    return _group(kind.value, HEADINGS[kind], items)


def _labs() -> dict[str, Any]:
    return _group("labs", "Laboratory", [_group(f"labs/{lab.code}", lab.label, _lab(lab)) for lab in labs().values()])


def _lab(lab: Lab) -> list[dict[str, Any]]:
    levels = [coding(f"{lab.code}_{level}", level.replace("_", " ")) for level in lab.levels]
    items = [_choice(f"labs/{lab.code}/level", "Level" if lab.numeric else "Result", levels)]
    if lab.numeric:
        units = " or ".join((lab.unit, *lab.factors))
        items.insert(0, _question(f"labs/{lab.code}/value", f"Value in {units}", "quantity"))
    return items


def _imaging() -> list[dict[str, Any]]:
    """Regions, who read the images, and a group of questions a modality."""
    seen = [i for i in vocabulary().values() if i.kind is Kind.IMAGING]
    regions = [coding(i.code, i.label) for i in vocabulary().values() if i.kind is Kind.REGION]
    made = [
        _choice("regions", "Parts of the site with edema", regions, repeats=True),
        _question("imaging/by", "Who read the images (a role, never a patient's name)", "string"),
    ]
    for modality in dict.fromkeys(m for i in seen for m in modalities_of(i)):
        items = [_state(f"imaging/{modality}/{i.code}", i) for i in seen if modality in modalities_of(i)]
        made.append(_group(f"imaging/{modality}", choices()["modality"][modality].label, items))
    return made


def _details() -> dict[str, Any]:
    kinds = {*CLINICAL, Kind.IMAGING, Kind.REGION}
    codes = [coding(i.code, i.label) for i in vocabulary().values() if i.kind in kinds]
    items = [
        _choice(f"{DETAILS}/finding", "Finding", codes, required=True),
        _choice(f"{DETAILS}/state", "Present", map(state_coding, STATES)),
        _choice(f"{DETAILS}/modality", "Seen on (images only)", _words("modality")),
        _choice(f"{DETAILS}/side", "Side", _words("side")),
        _question(f"{DETAILS}/weeks", "For how many weeks", "decimal"),
        _question(f"{DETAILS}/value", "Value", "quantity"),
        _question(f"{DETAILS}/note", "Note", "string"),
    ]
    return _group(DETAILS, "Findings with a side, a duration, a number or a note", items, repeats=True)


def _notes() -> list[dict[str, Any]]:
    return [
        _question("note", "Free note: kept, never interpreted", "text"),
        _question("uncoded", "Statements without a code", "string", repeats=True),
    ]
