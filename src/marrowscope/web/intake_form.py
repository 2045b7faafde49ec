"""The intake form, made from the vocabulary: every code with yes / no / unknown, unknown by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from marrowscope.findings import State
from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.evidence import scale
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake

FACTS = ("site", "side", "age_group", "sex", "maturity", "setting", "onset")
"""Closed choices of the schema that are asked as such; ``age`` and ``weeks`` are numbers."""

NUMBERS = ("age", "weeks")
KIND_TITLES = {
    Kind.SYMPTOM: "Symptoms and examination",
    Kind.HISTORY: "History",
    Kind.CONDITION: "Known conditions",
    Kind.DRUG: "Medicines",
}
MODALITY_OF = {"radiograph": "radiograph", "ct": "ct", "nuclear_ultrasound": "bone_scan"}
"""Section of the imaging vocabulary to the modality it is entered under; the rest is MRI."""

YES, NO = "yes", "no"


@dataclass(frozen=True)
class Item:
    """One line of the form: a code, its words, everything it can be found by, its state now."""

    code: str
    label: str
    also: str
    state: str = ""
    text: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with its items; ``answered`` of them are not unknown."""

    id: str
    title: str
    items: tuple[Item, ...]

    @property
    def answered(self) -> int:
        """How many are answered."""
        return sum(bool(item.state or item.text) for item in self.items)


def sections(intake: Intake | None) -> tuple[Section, ...]:
    """Every clinical and imaging section, with the answers of ``intake``."""
    states = _states(intake)
    found: dict[str, list[Item]] = {}
    titles: dict[str, str] = {}
    for item in vocabulary().values():
        if item.kind in (Kind.LAB, Kind.REGION):
            continue
        key = f"{item.kind.value}-{item.section}"
        titles[key] = KIND_TITLES.get(item.kind) or f"Images: {_heading(item.section)}"
        found.setdefault(key, []).append(Item(item.code, item.label, _also(item.also), states.get(item.code, "")))
    clinical = [Section(k, titles[k], tuple(v)) for k, v in found.items() if not k.startswith("imaging")]
    images = [Section(k, titles[k], tuple(v)) for k, v in found.items() if k.startswith("imaging")]
    order = [k.value for k in KIND_TITLES]
    return (*sorted(clinical, key=lambda s: order.index(s.id.split("-")[0])), _lab_section(intake), *images)


def _heading(section: str) -> str:
    return {"ct": "CT", "nuclear_ultrasound": "nuclear medicine and ultrasound"}.get(section, section.replace("_", " "))


def _also(words: Iterable[str]) -> str:
    return " ".join(words).lower()


def _states(intake: Intake | None) -> dict[str, str]:
    said = {State.PRESENT: YES, State.ABSENT: NO, State.UNKNOWN: ""}
    return {f.code: said[f.state] for f in intake.findings} if intake else {}


def _lab_section(intake: Intake | None) -> Section:
    given: dict[str, str] = {}
    for finding in intake.findings if intake else ():
        item = vocabulary().get(finding.code)
        if item is not None and item.kind is Kind.LAB:
            level = finding.code.removeprefix(f"{item.section}_").replace("_", " ")
            given[item.section] = level if finding.value is None else f"{finding.value:g} {finding.unit}"
    items = (
        Item(lab.code, lab.label, _also(lab.also), text=given.get(lab.code, ""), hint=lab_hint(lab.code))
        for lab in labs().values()
    )
    return Section("labs", "Laboratory", tuple(items))


def lab_hint(code: str) -> str:
    """What can be typed for a laboratory item."""
    lab = labs()[code]
    levels = ", ".join(level.replace("_", " ") for level in lab.levels)
    return f"number in {lab.unit}, or {levels}" if lab.numeric else levels


def regions(intake: Intake | None) -> dict[str, tuple[Item, ...]]:
    """Site to its regions, with those of the intake marked."""
    states = _states(intake)
    found: dict[str, list[Item]] = {}
    for item in vocabulary().values():
        if item.kind is Kind.REGION:
            found.setdefault(item.section, []).append(
                Item(item.code, item.label, _also(item.also), states.get(item.code, ""))
            )
    return {site: tuple(items) for site, items in found.items()}


@cache
def fact_choices() -> dict[str, tuple[tuple[str, str], ...]]:
    """Field to (id, label) of each choice; "unknown" is the empty answer."""
    return {name: tuple((c.id, c.label) for c in choices()[name].values() if c.id != "unknown") for name in FACTS}


@cache
def field_options(field: str) -> tuple[tuple[str, str], ...]:
    """(value, words) that answer a field by one click; for weeks the middle of each class of the scale."""
    if field != "weeks":
        return fact_choices().get(field, ())
    duration = scale().course["duration"]
    ends = [0, *duration["until"], 3 * duration["until"][-1]]
    middles = [(low + high) / 2 for low, high in pairwise(ends)]
    return tuple((f"{weeks:g}", words) for weeks, words in zip(middles, duration["levels"], strict=True))


def facts(intake: Intake | None) -> dict[str, str]:
    """The closed choices and numbers as the form shows them."""
    if intake is None:
        return dict.fromkeys((*FACTS, *NUMBERS, "note"), "")
    values = {name: str(getattr(intake, name) or "") for name in FACTS}
    numbers = {name: "" if getattr(intake, name) is None else f"{getattr(intake, name):g}" for name in NUMBERS}
    return {k: "" if v == "unknown" else v for k, v in {**values, **numbers, "note": intake.note}.items()}


def from_form(form: Mapping[str, str]) -> dict[str, Any]:
    """The published schema's plain data of a submitted form; what is empty stays unknown, i.e. left out.

    Args:
        form: ``site``... ``f.CODE`` (yes / no / empty), ``region.CODE``, ``lab.CODE``. Unknown names are left out.
    """
    data: dict[str, Any] = {}
    for name in (*FACTS, *NUMBERS, "note"):
        if value := form.get(name, "").strip():
            data[name] = value
    for name, value in form.items():
        group, _, code = name.partition(".")
        if value and code in vocabulary() and group in ("f", "region"):
            _place(data, code, value)
        elif group == "lab" and code in labs() and value.strip():
            data.setdefault("labs", {})[code] = value.strip()
    return data


def _place(data: dict[str, Any], code: str, value: str) -> None:
    item = vocabulary()[code]
    if item.kind is Kind.REGION:
        data.setdefault("regions", []).append(code)
    elif item.kind is Kind.IMAGING:
        modality = MODALITY_OF.get(item.section, "mri")
        data.setdefault("imaging", {}).setdefault(modality, {})[code] = value
    else:
        data.setdefault(item.kind.value, {})[code] = value
