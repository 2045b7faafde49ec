"""CDS Hooks 2.0: what a record system asks (discovery, ``patient-view``, ``order-select``) and the cards it gets.

Pure: a request in, a response out. The intake comes as prefetch (a QuestionnaireResponse to our Questionnaire); the
client's FHIR server is never called, its token never used, and nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from marrowscope.errors import UsageError
from marrowscope.exchange.cds_cards import Deck, order_cards, view_cards
from marrowscope.exchange.cds_orders import Order, selected_orders
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.intake import Intake, Sex
from marrowscope.reasoning.questionnaire import URL

PATIENT_VIEW, ORDER_SELECT = "marrowscope-patient-view", "marrowscope-order-select"
HOOKS: Final = {PATIENT_VIEW: "patient-view", ORDER_SELECT: "order-select"}
"""Service id to its hook."""

REQUIRED_CONTEXT: Final = {
    "patient-view": ("userId", "patientId"),
    "order-select": ("userId", "patientId", "selections", "draftOrders"),
}
"""Context that each hook must bring (https://cds-hooks.org/hooks)."""

ABOUT: Final = {
    PATIENT_VIEW: (
        "Bone marrow edema: causes and checks",
        "Cancer, infection and unstable bone, likely causes, next test.",
    ),
    ORDER_SELECT: (
        "Bone marrow edema: is this the next test",
        "Compares an imaging order with the plan for this patient.",
    ),
}
"""Service id to title and description."""

PATIENT: Final = "Patient/{{context.patientId}}"
NEWEST: Final = "_sort=-authored&_count=1"
PREFETCH: Final = {
    "patient": PATIENT,
    "intake": f"QuestionnaireResponse?subject={PATIENT}&questionnaire={URL}&{NEWEST}",
}
"""What the client is to send with each call."""

NEEDS: Final = (
    "Send the prefetch: a QuestionnaireResponse to marrowscope's Questionnaire. The FHIR server is not called."
)

BIRTH_DATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
GENDER: Final = {"female": Sex.FEMALE, "male": Sex.MALE}


class MissingDataError(UsageError):
    """The data that the service needs did not come with the request (HTTP 412)."""


@dataclass(frozen=True)
class _Asked:
    """A request that was checked."""

    hook: str
    instance: str
    patient_id: str
    intake: Intake | None
    orders: tuple[Order, ...]


def services() -> dict[str, Any]:
    """The answer of the discovery endpoint."""
    return {
        "services": [
            {
                "hook": hook,
                "id": name,
                "title": ABOUT[name][0],
                "description": f"{ABOUT[name][1]} For research use; a clinician decides.",
                "prefetch": dict(PREFETCH),
                "usageRequirements": NEEDS,
            }
            for name, hook in HOOKS.items()
        ]
    }


def respond(service: str, request: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The cards for one call.

    Args:
        service: id of the service. request: body of the call. today: for the age, where only a birth date is told.

    Raises:
        UsageError: no such service, or a request that breaks the specification. IntakeError: an intake that cannot be
            read. MissingDataError: no prefetch.
    """
    if service not in HOOKS:
        raise UsageError(f"no service {service!r}", f"one of {', '.join(HOOKS)}")
    asked = _checked(HOOKS[service], request, today)
    if asked.intake is None:
        return {"cards": []}
    reasoning = reason_findings(asked.intake)
    deck = Deck(asked.instance, asked.patient_id)
    if asked.hook == "patient-view":
        return {"cards": view_cards(deck, reasoning)}
    return {"cards": order_cards(deck, reasoning, asked.intake, asked.orders)}


def _checked(hook: str, request: Mapping[str, Any], today: date) -> _Asked:
    if request.get("hook") != hook:
        raise UsageError(f"hook {request.get('hook')!r}", hook)
    context, instance = request.get("context"), request.get("hookInstance")
    if not isinstance(context, Mapping) or not isinstance(instance, str) or not instance:
        raise UsageError("a call without hookInstance or context", "both (CDS Hooks 2.0)")
    if missing := [name for name in REQUIRED_CONTEXT[hook] if not context.get(name)]:
        raise UsageError(f"a context without {', '.join(missing)}", f"the context of {hook}")
    prefetch = request.get("prefetch")
    if not isinstance(prefetch, Mapping) or "intake" not in prefetch:
        raise MissingDataError("a call without the prefetch 'intake'", "the prefetch that discovery asks for")
    orders = selected_orders(context) if hook == "order-select" else ()
    return _Asked(hook, instance, str(context["patientId"]), _intake(prefetch, today), orders)


def _intake(prefetch: Mapping[str, Any], today: date) -> Intake | None:
    """The newest answered intake with age and sex of the patient; None when there is none."""
    answered = sorted(_resources(prefetch.get("intake")), key=lambda r: str(r.get("authored") or ""))
    if not answered:
        return None
    intake = Intake.from_dict(answered[-1])
    patient = next(iter(_resources(prefetch.get("patient"))), {})
    sex = GENDER.get(str(patient.get("gender")), Sex.UNKNOWN)
    return replace(
        intake,
        age=intake.age if intake.age is not None else _age(str(patient.get("birthDate") or ""), today),
        sex=intake.sex if intake.sex is not Sex.UNKNOWN else sex,
    )


def _resources(given: Any) -> list[dict[str, Any]]:
    """A resource alone, or those of a Bundle; nothing for null."""
    if not isinstance(given, dict):
        return []
    if given.get("resourceType") != "Bundle":
        return [given]
    entries = given.get("entry")
    found = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    return [r for r in found if isinstance(r, dict)]


def _age(born: str, today: date) -> float | None:
    """Whole years; a birth date may be a year or a month alone (FHIR date)."""
    if not BIRTH_DATE.fullmatch(born):
        return None
    parts = born.split("-")
    year, month, day = (*map(int, parts), *(1, 1))[:3]
    years = today.year - year - ((today.month, today.day) < (month, day))
    return float(years) if years >= 0 else None
