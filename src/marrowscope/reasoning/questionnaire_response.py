"""A FHIR ``QuestionnaireResponse`` as an intake's plain data, and back. Whom a response is about is never read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from marrowscope.errors import IntakeError
from marrowscope.knowledge.findings import label_of, vocabulary
from marrowscope.knowledge.search import nearest
from marrowscope.reasoning.questionnaire import (
    CLINICAL,
    DETAILS,
    STATES,
    URL,
    VERSION,
    coding,
    modalities_of,
    questionnaire,
    state_coding,
)

if TYPE_CHECKING:
    from marrowscope.reasoning.intake import Intake

RESPONSE: Final = "QuestionnaireResponse"
WITHDRAWN: Final = frozenset({"entered-in-error", "stopped"})
"""States of a response that nobody stands behind."""

DEEPEST: Final = 8
"""Nesting of items; the questionnaire has three levels."""

VALUES: Final = ("valueString", "valueDecimal", "valueInteger", "valueDate", "valueUri")
_WORDS: Final = {code: word for word, (_, code, _) in STATES.items()}


def is_response(data: Any) -> bool:
    """Whether plain data is a QuestionnaireResponse."""
    return isinstance(data, dict) and data.get("resourceType") == RESPONSE


def intake_data(response: Mapping[str, Any]) -> dict[str, Any]:
    """The intake that a response holds, as plain data of the intake's own schema (checked when it is read).

    Raises:
        IntakeError: withdrawn, malformed, of another questionnaire, or an answer to a question that is not in it.
    """
    status, asked = str(response.get("status")), str(response.get("questionnaire") or URL)
    if status in WITHDRAWN:
        raise IntakeError(f"a QuestionnaireResponse that is {status}", "one that somebody stands behind")
    if asked.partition("|")[0] != URL:
        raise IntakeError("a response to another questionnaire", URL, "marrowscope intake questionnaire writes ours")
    data: dict[str, Any] = {}
    mistakes: list[str] = []
    for link, item in _answered(response):
        if link == DETAILS:
            _take_details(data, item, mistakes)
        elif link not in known_links():
            close = nearest(link, known_links())
            mistakes.append(
                f"linkId {link!r}; expected: {f'perhaps {close[0]}' if close else 'one of the questionnaire'}"
            )
        elif not link.startswith(f"{DETAILS}/"):
            _take(data, link, [_value(a) for a in _list(item, "answer")])
    if mistakes:
        raise IntakeError("\n".join(mistakes), "", "marrowscope intake questionnaire lists every linkId")
    return data


@cache
def known_links() -> frozenset[str]:
    """Every linkId of the questionnaire."""

    def walk(items: list[dict[str, Any]]) -> Iterator[str]:
        for item in items:
            yield item["linkId"]
            yield from walk(item.get("item", []))

    return frozenset(walk(questionnaire()["item"]))


def _list(node: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects under ``item`` or ``answer`` of a response or an item; none where it has no such field.

    Raises:
        IntakeError: it is something else than a list of objects, so that what it says would be lost.
    """
    raw = node.get(name, [])
    if not isinstance(raw, list) or not all(isinstance(x, dict) for x in raw):
        where = f" of linkId {node['linkId']!r}" if "linkId" in node else ""
        raise IntakeError(f"{name}{where} is no list of objects", "a FHIR R4 QuestionnaireResponse", "write it again")
    return raw


def _answered(node: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """(linkId, item) of every answered question and every details group, at any depth up to the deepest.

    Raises:
        IntakeError: nested deeper, or malformed.
    """
    if depth > DEEPEST:
        raise IntakeError(f"items nested deeper than {DEEPEST}", "answers to marrowscope's Questionnaire")
    for item in _list(node, "item"):
        link = str(item.get("linkId") or "")
        if link == DETAILS or "answer" in item:
            yield link, item
        if link != DETAILS:
            yield from _answered(item, depth + 1)
        for answer in _list(item, "answer"):
            yield from _answered(answer, depth + 1)


def _value(answer: Mapping[str, Any]) -> Any:
    """An answer as the intake's own words: code, text, number, yes / no, or value with unit."""
    if isinstance(quantity := answer.get("valueQuantity"), dict):
        unit = quantity.get("unit") or quantity.get("code") or ""
        return {"value": quantity.get("value"), **({"unit": str(unit)} if unit else {})}
    if isinstance(coded := answer.get("valueCoding"), dict):
        code = str(coded.get("code") or "")
        return _WORDS.get(code, code)
    if isinstance(flag := answer.get("valueBoolean"), bool):
        return "yes" if flag else "no"
    return next((answer[name] for name in VALUES if name in answer), None)


def _take(data: dict[str, Any], link: str, values: list[Any]) -> None:
    values = [v for v in values if v is not None]
    if not values:
        return
    parts = link.split("/")
    if link in ("regions", "uncoded"):
        data[link] = values
    elif parts[0] == "about":
        data[parts[1]] = values[0]
    elif parts[0] == "labs":
        held = data.setdefault("labs", {})
        if parts[2] == "value" or parts[1] not in held:
            held[parts[1]] = values[0] if parts[2] == "value" else str(values[0]).removeprefix(f"{parts[1]}_")
    elif len(parts) == 3:
        data.setdefault("imaging", {}).setdefault(parts[1], {})[parts[2]] = values[0]
    elif len(parts) == 2:
        data.setdefault(parts[0], {})[parts[1]] = values[0]
    else:
        data[link] = values[0]


def _take_details(data: dict[str, Any], group: Mapping[str, Any], mistakes: list[str]) -> None:
    """One row: a finding with what is said of it; it outweighs a plain answer to the same question."""
    said = {
        str(i.get("linkId")).removeprefix(f"{DETAILS}/"): _value(_list(i, "answer")[0])
        for i in _list(group, "item")
        if _list(i, "answer")
    }
    code = str(said.pop("finding", "") or "")
    item = vocabulary().get(code)
    if item is None:
        mistakes.append(
            f"details of {code or 'no finding'}; expected: a code of the vocabulary under {DETAILS}/finding"
        )
        return
    modality = said.pop("modality", None)
    entry = {"state": "yes", **{k: v for k, v in said.items() if v is not None}}
    if (value := entry.pop("value", None)) is not None:
        entry |= value if isinstance(value, dict) else {"value": value}
    if item.kind in CLINICAL:
        data.setdefault(item.kind.value, {})[code] = entry
    else:
        data.setdefault("imaging", {}).setdefault(str(modality or modalities_of(item)[0]), {})[code] = entry


def response_of(intake: Intake) -> dict[str, Any]:
    """The intake as answers to :func:`marrowscope.reasoning.questionnaire.questionnaire`, in its order."""
    answers: dict[str, list[dict[str, Any]]] = {}
    rows: list[dict[str, Any]] = []
    for link, answer in _said(intake.to_dict()):
        if link == DETAILS:
            rows.append(answer)
        else:
            answers.setdefault(link, []).append(answer)
    return {
        "resourceType": RESPONSE,
        "questionnaire": f"{URL}|{VERSION}",
        "status": "completed",
        "item": _filled(questionnaire()["item"], answers, rows),
    }


def _filled(
    items: list[dict[str, Any]], answers: Mapping[str, list[dict[str, Any]]], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The questionnaire's items that have an answer."""
    made: list[dict[str, Any]] = []
    for item in items:
        link = item["linkId"]
        if link == DETAILS:
            made += rows
        elif item["type"] == "group":
            if inner := _filled(item["item"], answers, []):
                made.append({"linkId": link, "item": inner})
        elif link in answers:
            made.append({"linkId": link, "answer": answers[link]})
    return made


def _said(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in data.items():
        if name in ("schema", "symptoms", "history", "conditions", "drugs", "labs", "imaging", "regions"):
            continue
        for one in value if isinstance(value, list) else [value]:
            yield _plain(name, one)
    yield from (("regions", {"valueCoding": coding(code, label_of(code))}) for code in data.get("regions", ()))
    for kind in CLINICAL:
        for code, entry in data.get(kind.value, {}).items():
            yield _finding(f"{kind.value}/{code}", code, entry, "")
    for item, value in data.get("labs", {}).items():
        yield _lab(item, value)
    for modality, entries in data.get("imaging", {}).items():
        if modality == "by":
            yield "imaging/by", {"valueString": entries}
            continue
        for code, entry in entries.items():
            yield _finding(f"imaging/{modality}/{code}", code, entry, modality)


def _plain(name: str, value: Any) -> tuple[str, dict[str, Any]]:
    if name in ("note", "uncoded"):
        return name, {"valueString": value}
    link = f"about/{name}"
    if isinstance(value, float):
        return link, {"valueDecimal": value}
    return link, {"valueString": value} if name == "case" else {"valueCoding": coding(value, value.replace("_", " "))}


def _lab(item: str, value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, dict):
        return f"labs/{item}/value", {"valueQuantity": {"value": value["value"], "unit": value["unit"]}}
    return f"labs/{item}/level", {"valueCoding": coding(f"{item}_{value}", str(value).replace("_", " "))}


def _finding(link: str, code: str, entry: Any, modality: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) and link in known_links():
        return link, {"valueCoding": state_coding(entry)}
    return DETAILS, _row(code, entry if isinstance(entry, dict) else {"state": entry}, modality)


def _row(code: str, entry: Mapping[str, Any], modality: str) -> dict[str, Any]:
    said: dict[str, dict[str, Any]] = {
        "finding": {"valueCoding": coding(code, label_of(code))},
        "state": {"valueCoding": state_coding(entry["state"])},
    }
    if modality:
        said["modality"] = {"valueCoding": coding(modality, modality.replace("_", " "))}
    if side := entry.get("side"):
        said["side"] = {"valueCoding": coding(side, side)}
    if (weeks := entry.get("weeks")) is not None:
        said["weeks"] = {"valueDecimal": weeks}
    if (value := entry.get("value")) is not None:
        said["value"] = {"valueQuantity": {"value": value, **({"unit": entry["unit"]} if entry.get("unit") else {})}}
    if note := entry.get("note"):
        said["note"] = {"valueString": note}
    return {"linkId": DETAILS, "item": [{"linkId": f"{DETAILS}/{k}", "answer": [v]} for k, v in said.items()]}
