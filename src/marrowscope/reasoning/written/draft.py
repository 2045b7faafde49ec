"""What was read as a drafted intake: YAML with the words beside every entry, a table for the screen, plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from marrowscope.errors import IntakeError
from marrowscope.findings import State
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.report_words import report_data
from marrowscope.reasoning.intake import DRAFTED, SCHEMA, Intake
from marrowscope.reasoning.intake_text import parse_text
from marrowscope.reasoning.written.context import Said
from marrowscope.reasoning.written.read import Coded, ReadReport
from marrowscope.reasoning.written.statements import Opinion

WARNING = (
    DRAFTED,
    "Research use and decision support; nothing here is a diagnosis.",
)

REASONS = {
    Said.DOUBT: "said to be uncertain",
    Said.ASKED: "asked, not answered",
    Said.PAST: "of an earlier time",
    Said.STORY: "of an earlier time",
    Said.KIN: "of someone else",
    Said.LATER: "only if, or advised",
    Said.OTHER: "no other, or unchanged",
    Said.GONE: "gone by now",
    Said.ABSENT: "denied in an unusual way",
    Said.PRESENT: "said in an unusual way",
}
"""Why a statement is not coded."""

OPINIONS = {
    Said.PRESENT: "stated",
    Said.ABSENT: "denied",
    Said.DOUBT: "thought possible or unlikely",
    Said.ASKED: "asked",
}
"""How a diagnosis stands in the report; anything else is ``mentioned``."""

WORD = {State.PRESENT: "yes", State.ABSENT: "no"}
CLINICAL = ("symptoms", "history", "conditions", "drugs")
PERSON = ("site", "side", "age", "sex", "weeks", "onset")
CODES_SHOWN = 34
"""Characters of a code on the screen before its quote."""

NEVER_WITH = frozenset({"pregnancy", "postpartum", "breastfeeding", "menopause"})
"""States an intake refuses at some ages; read wrongly, they must not cost the whole draft."""


def place_of(item: Coded) -> tuple[str, ...]:
    """Where an entry stands in the intake."""
    kind = vocabulary()[item.code].kind
    if kind is Kind.REGION:
        return ("regions",)
    return ("imaging", item.modality) if kind is Kind.IMAGING else (kind.value,)


def plain_data(read: ReadReport) -> dict[str, Any]:
    """Everything read, as data for ``--json``; ``intake`` in it is what ``reason`` accepts."""
    return {
        "warning": " ".join(WARNING),
        "intake": intake_data(read),
        "entries": [
            {"code": item.code, "state": item.state.value, "place": ".".join(place_of(item)), "quote": item.quote}
            for item in read.coded
        ],
        "labs": [{"item": item.code, "value": item.value, "quote": item.quote} for item in read.labs],
        "not_coded": [{"code": item.code, "why": REASONS[item.why], "quote": item.quote} for item in read.left],
        "reporter_opinion": [
            {"names": _names(item.names), "how": _how(item.said), "quote": item.text} for item in read.views
        ],
        "elsewhere": list(read.elsewhere),
        "not_understood": list(read.unread),
    }


def intake_data(read: ReadReport) -> dict[str, Any]:
    """The drafted intake as plain data."""
    data: dict[str, Any] = {"schema": SCHEMA}
    data |= dict(_person(read))
    for item in read.coded:
        place = place_of(item)
        if place == ("regions",):
            data.setdefault("regions", []).append(item.code)
            continue
        target = data.setdefault(place[0], {"by": "written report"} if place[0] == "imaging" else {})
        for part in place[1:]:
            target = target.setdefault(part, {})
        target[item.code] = WORD[item.state]
    if read.labs:
        data["labs"] = {item.code: item.value for item in read.labs}
    data["note"] = DRAFTED
    if kept := list(_kept(read)):
        data["uncoded"] = kept
    return data


def _person(read: ReadReport) -> Iterator[tuple[str, Any]]:
    for name in PERSON:
        value = getattr(read, name)
        if value not in (None, ""):
            yield name, int(value) if isinstance(value, float) and value.is_integer() else value


def _kept(read: ReadReport) -> Iterator[str]:
    """What is shown beside the answer and never weighed: doubts and the reporter's opinions."""
    doubts = dict.fromkeys(item.quote for item in read.left if item.why in (Said.DOUBT, Said.ASKED))
    yield from (f"said to be uncertain: {quote}" for quote in doubts)
    views = dict.fromkeys((_how(item.said) + _alarm(item), item.text) for item in read.views)
    yield from (f"the reporter's opinion ({how}): {quote}" for how, quote in views)


def _alarm(view: Opinion) -> str:
    """A mark where the reporter names cancer or infection and does not deny it: no code carries it on."""
    grave = {name for name in view.names if name in report_data("text")["alarms"] or _is_grave(name)}
    return "; names cancer or infection" if grave and view.said is not Said.ABSENT else ""


def _is_grave(name: str) -> bool:
    cause = causes().get(name)
    return cause is not None and (groups()[cause.group].cancer or groups()[cause.group].infection)


def _how(said: Said) -> str:
    return OPINIONS.get(said, "mentioned")


def _names(names: Iterable[str]) -> list[str]:
    """The diagnoses in words, each once: the cause's label where it is one of ours."""
    shown = (
        cause.label if (cause := causes().get(name)) else name
        for name in sorted(names, key=lambda n: n not in causes())
    )
    return list({name.lower(): name for name in reversed(list(shown))}.values())[::-1]


def draft(read: ReadReport) -> str:
    """The intake as YAML with a comment behind every entry; checked: ``reason`` accepts it.

    Raises:
        IntakeError: what was read cannot be true together in a way no single entry explains.
    """
    text = _text(read)
    Intake.from_dict(parse_text(text, "draft"))
    return text


def possible(read: ReadReport) -> ReadReport:
    """The report without the states that cannot be at this age or sex, which are then not understood."""
    from dataclasses import replace

    try:
        Intake.from_dict(intake_data(read))
    except IntakeError:
        dropped = [item for item in read.coded if item.code in NEVER_WITH]
        kept = tuple(item for item in read.coded if item.code not in NEVER_WITH)
        return replace(read, coded=kept, unread=(*read.unread, *(item.quote for item in dropped)))
    return read


def _text(read: ReadReport) -> str:
    data = intake_data(read)
    quotes = {item.code: item.quote for item in read.coded} | {item.code: item.quote for item in read.labs}
    lines = [f"# {line}" for line in WARNING]
    lines += [f"{name}: {_scalar(data[name])}" for name in ("schema", *PERSON) if name in data]
    for part in CLINICAL:
        lines += _mapping(part, data.get(part, {}), quotes, "")
    lines += _mapping("labs", data.get("labs", {}), quotes, "")
    if "regions" in data:
        lines += ["regions:", *(f"  - {code}{_beside(quotes, code)}" for code in data["regions"])]
    if "imaging" in data:
        lines += ["imaging:", f"  by: {_scalar(data['imaging']['by'])}"]
        for modality, entries in data["imaging"].items():
            if modality != "by":
                lines += _mapping(modality, entries, quotes, "  ")
    lines.append(f"note: {_scalar(data['note'])}")
    if "uncoded" in data:
        lines += ["uncoded:", *(f"  - {_scalar(text)}" for text in data["uncoded"])]
    return "\n".join([*lines, *_remarks(read), ""])


def _mapping(name: str, entries: dict[str, Any], quotes: dict[str, str], indent: str) -> list[str]:
    if not entries:
        return []
    rows = [f"{indent}  {code}: {_scalar(value)}{_beside(quotes, code)}" for code, value in entries.items()]
    return [f"{indent}{name}:", *rows]


def _scalar(value: Any) -> str:
    """A YAML scalar: numbers and plain words as they are, any other text in JSON's quotes (which YAML reads)."""
    text = str(value)
    return (
        text if not isinstance(value, str) or text.replace("_", "").isalnum() else json.dumps(text, ensure_ascii=False)
    )


def _beside(quotes: dict[str, str], code: str) -> str:
    return f'  # "{quotes[code]}"' if code in quotes else ""


def _remarks(read: ReadReport) -> Iterator[str]:
    """Comments at the end: what was not coded, the opinions, what lies elsewhere, what was not understood."""
    for title, rows in _lists(read):
        if rows:
            yield ""
            yield f"# {title}:"
            yield from (f"#   {row}" for row in rows)


def _lists(read: ReadReport) -> list[tuple[str, list[str]]]:
    left = [f'{item.code} ({REASONS[item.why]}): "{item.quote}"' for item in read.left]
    views = [f'{", ".join(_names(item.names))} ({_how(item.said)}{_alarm(item)}): "{item.text}"' for item in read.views]
    return [
        ("Said to be uncertain or otherwise not coded", left),
        ("The reporter's own opinion, not used as evidence", views),
        ("About another place or side", [f'"{quote}"' for quote in read.elsewhere]),
        ("Not understood", [f'"{quote}"' for quote in read.unread]),
    ]


def table(read: ReadReport) -> str:
    """The draft as a short table for the screen."""
    person = [f"{name} {value}" for name, value in _person(read)]
    lines = [*WARNING, "read: " + ", ".join(person)]
    for state, title in ((State.PRESENT, "said to be present"), (State.ABSENT, "said to be absent")):
        items = [item for item in read.coded if item.state is state]
        lines += [title, *(f"  {item.code:{CODES_SHOWN}} {item.quote}" for item in items)] if items else []
    if read.labs:
        lines += ["laboratory", *(f"  {f'{item.code} {item.value}':{CODES_SHOWN}} {item.quote}" for item in read.labs)]
    for title, rows in _lists(read):
        lines += [title.lower(), *(f"  {row}" for row in rows)] if rows else []
    return "\n".join(lines)
