"""Building an intake step by step: the most informative thing next, an answer applied, a template for a site."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from marrowscope.knowledge.choices import choices
from marrowscope.knowledge.evidence import scale, variables
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.reasoning.differential import rank
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.intake_file import SCHEMA
from marrowscope.reasoning.observe import observe
from marrowscope.reasoning.questions import NextItem, next_items

BASICS = ("site", "age", "sex", "setting")
"""Asked before anything else: every prior depends on them."""

ASKED_STEPS = ("question", "mri_read", "radiograph", "blood")
"""What a person with the patient and the report at hand can answer."""

TEMPLATE_ITEMS = {"symptoms": 10, "history": 10, "conditions": 6, "drugs": 4, "labs": 8, "mri": 24, "radiograph": 6}
"""Lines of a template for each part: the findings that tell most at the site, so that it fits a page."""


@dataclass(frozen=True)
class Ask:
    """One thing to ask.

    Attributes:
        key: a basic field, a finding code or a laboratory item.
        text: the question.
        allowed: the answers understood, in words.
    """

    key: str
    text: str
    allowed: str


def next_ask(intake: Intake, skipped: Collection[str] = ()) -> Ask | None:
    """The most informative thing that is not known and was not skipped; ``None`` when nothing is left to gain."""
    for field in BASICS:
        if field not in skipped and str(getattr(intake, field)) in ("", "None", "unknown"):
            return _basic(field)
    for item in _items(intake):
        if item.step in ASKED_STEPS and item.variable not in skipped:
            return _finding(item)
    return None


def _items(intake: Intake) -> tuple[NextItem, ...]:
    seen = observe(intake)[0]
    ranking = rank(intake, seen)
    return next_items(intake, seen, {row.cause: row.probability for row in ranking.rows})


def _basic(field: str) -> Ask:
    if field == "age":
        return Ask("age", "Age in years", "a number")
    words = choices()[field]
    return Ask(
        field, f"{field.capitalize()} ({', '.join(word for word in words if word != 'unknown')})", "one of these"
    )


def _finding(item: NextItem) -> Ask:
    if item.variable == "onset":
        return Ask("onset", "How did it begin?", "sudden, gradual or incidental")
    if item.variable == "duration":
        return Ask("duration", "For how long?", "e.g. 6 weeks")
    if item.variable in labs():
        lab = labs()[item.variable]
        return Ask(
            item.variable,
            lab.label,
            f"a value in {lab.unit}, or {' / '.join(lab.levels)}" if lab.unit else " / ".join(lab.levels),
        )
    return Ask(
        item.variable, f"{item.step_label}: {item.label}?" if item.step != "question" else f"{item.label}?", "yes or no"
    )


def with_answer(intake: Intake, key: str, answer: str) -> Intake:
    """The intake with one more answer.

    Raises:
        IntakeError: the answer does not fit.
    """
    data = intake.to_dict()
    if key in (*BASICS, "onset", "duration"):
        data[key] = answer
        data.pop("weeks" if key == "duration" else "", None)
    elif key in labs():
        data.setdefault("labs", {})[key] = answer
    else:
        _place(data, key, answer)
    return Intake.from_dict(data)


def _place(data: dict[str, Any], key: str, answer: str) -> None:
    item = vocabulary()[key]
    if item.kind is Kind.IMAGING:
        data.setdefault("imaging", {}).setdefault(_modality(item.section, key), {})[key] = answer
    else:
        data.setdefault(item.kind.value, {})[key] = answer


def _modality(section: str, code: str) -> str:
    prefixes = {
        "xr_": "radiograph",
        "ct_": "ct",
        "dect_": "dual_energy_ct",
        "bs_": "bone_scan",
        "pet_": "pet",
        "us_": "ultrasound",
    }
    return next((modality for prefix, modality in prefixes.items() if code.startswith(prefix)), "mri")


def template(site: str) -> str:
    """An empty intake for a site: what tells most there, every line ``unknown``, ready to fill in.

    Args:
        site: a site id, or empty for any.
    """
    lines = [
        f"schema: {SCHEMA}",
        "# yes, no or unknown; delete what you do not know. More codes: marrowscope intake vocabulary WORD",
    ]
    lines += [
        f"site: {site or 'knee'}  # {', '.join(choices()['site'])}",
        "side:  # left, right, both",
        "age:  # years; or age_group: child, adolescent, ...",
    ]
    lines += [f"{name}:  # {', '.join(choices()[name])}" for name in ("sex", "setting", "onset")] + [
        "duration:  # e.g. 6 weeks"
    ]
    lines += _regions(site)
    ranked = [item.variable for item in _items_of(site)]
    for part in ("symptoms", "history", "conditions", "drugs", "labs"):
        lines += _section(part, [name for name in ranked if _part(name) == part][: TEMPLATE_ITEMS[part]], "  ")
    lines += ["imaging:", "  by: radiologist"]
    for part in ("mri", "radiograph"):
        lines += [
            f"  {line}"
            for line in _section(part, [name for name in ranked if _part(name) == part][: TEMPLATE_ITEMS[part]], "  ")
        ]
    return "\n".join([*lines, "note:  # free text, kept and never interpreted", "uncoded: []  # what has no code", ""])


def _items_of(site: str) -> tuple[NextItem, ...]:
    intake = Intake(site=site)
    ranking = rank(intake, ())
    return next_items(
        intake, (), {row.cause: row.probability for row in ranking.rows}, count=len(variables()), least=0.0
    )


def _regions(site: str) -> list[str]:
    codes = [item.code for item in vocabulary().values() if item.kind is Kind.REGION and item.section == site]
    return ["regions: []" + (f"  # {', '.join(codes)}" if codes else "")]


def _part(name: str) -> str:
    if name in labs():
        return "labs"
    if name in scale().course:
        return ""
    item = vocabulary()[name]
    return _modality(item.section, name) if item.kind is Kind.IMAGING else item.kind.value


def _section(part: str, names: list[str], indent: str) -> list[str]:
    if not names:
        return []
    return [f"{part}:", *(f"{indent}{name}: unknown  # {variables()[name].label}{_unit(name)}" for name in names)]


def _unit(name: str) -> str:
    lab = labs().get(name)
    return f" ({lab.unit + ', ' if lab.unit else ''}{' / '.join(lab.levels)})" if lab else ""
