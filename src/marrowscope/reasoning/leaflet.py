"""The patient's leaflet: one or two calm pages in plain words, drafted here, released by a named clinician."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from marrowscope.findings import State
from marrowscope.knowledge import care, lay
from marrowscope.knowledge.care import Action, Role
from marrowscope.knowledge.causes import Urgency, causes, groups
from marrowscope.knowledge.leaflet_words import leaflet_words
from marrowscope.knowledge.load import Claim
from marrowscope.reasoning.circumstances import RAISED, CheckLike, child
from marrowscope.reasoning.contradictions import without_edema
from marrowscope.reasoning.differential import Differential
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.leaflet_page import render_leaflet
from marrowscope.reasoning.leaflet_types import Block, Leaflet, ObjectsSummary, Section
from marrowscope.reasoning.plan import GENERAL_STEP
from marrowscope.reasoning.plan_types import Plan, PlannedCare, PlannedTest

__all__ = ["Leaflet", "ObjectsSummary", "make_leaflet", "place_words", "render_leaflet"]


TAKEN_AT_HOME = frozenset({"medicine", "supplement"})
"""Kinds of options a patient may reach for without asking: those that do not suit are named."""


OFTEN_OFFERED = frozenset({"corticosteroid_injection"})
"""Options a patient is often offered elsewhere: named too when they do not suit."""


GENERAL_CARE = frozenset({"treat_underlying"})
"""Options that fit everybody: named last."""


class ReasoningLike(Protocol):
    """What the leaflet needs of a reasoning."""

    @property
    def differential(self) -> Differential:
        """The ranking."""
        ...

    @property
    def checks(self) -> Sequence[CheckLike]:
        """The not-to-miss checks."""
        ...

    @property
    def plan(self) -> Plan:
        """The plan."""
        ...


def make_leaflet(reasoning: ReasoningLike, intake: Intake, objects_summary: ObjectsSummary | None = None) -> Leaflet:
    """Draft the leaflet.

    Args:
        reasoning: ranking, checks and plan.
        intake: for the place and side.
        objects_summary: what was seen on images; ``None`` when only a report was given.
    """
    place = place_words(intake)
    levels = {check.kind: str(check.level) for check in reasoning.checks}
    plan = reasoning.plan
    parts = {
        "short": _short(reasoning.differential, levels, plan),
        "found": _found(place, objects_summary, without_edema(intake)),
        "means": _means(reasoning.differential, plan),
        "cancer": _cancer(reasoning.checks, child(intake)),
        "helps": _helps(plan),
        "next": _next(plan, any(level in RAISED for level in levels.values())),
        "long": _how_long(plan),
        "watch": _watch(plan),
        "ask": (Block((), leaflet_words().ask),),
    }
    titles = leaflet_words().titles
    return Leaflet(
        titles["page"].format(place=place),
        tuple(Section(key, titles[key], blocks) for key, blocks in parts.items()),
    )


def place_words(intake: Intake) -> str:
    """The place in a patient's words, e.g. ``your left knee``."""
    place = leaflet_words().places[intake.site if intake.site in leaflet_words().places else "other"]
    side = intake.side if intake.side in ("left", "right") else ""
    words = place.both if intake.side == "both" else place.one.format(side=side)
    return " ".join(words.split())


def _say(key: str, **fields: str) -> Claim:
    """A sentence of the leaflet's own, with its fields filled in."""
    claim = leaflet_words().sentences[key]
    return replace(claim, text=claim.text.format(**fields)) if fields else claim


def _short(differential: Differential, levels: dict[str, str], plan: Plan) -> tuple[Block, ...]:
    cancer = _say(f"short.cancer_{levels.get('cancer', 'incomplete')}")
    raised = [_say(f"short.{kind}") for kind in ("infection", "unstable") if levels.get(kind) in RAISED]
    what = _first_cause(differential, plan)
    emergency = plan.urgency is Urgency.EMERGENCY
    now = [_say("next.today")] if emergency else []
    coming = [_test_words("short.next", t) for t in _to_do(plan)[:1] if not emergency or t.urgency is plan.urgency]
    return (Block((), (*now, *what, cancer, *raised, *coming)),)


def _found(place: str, seen: ObjectsSummary | None, read_none: bool) -> tuple[Block, ...]:
    if seen is None and read_none:
        return (Block((_say("found.read_none", place=place), _say("found.what"))),)
    if seen is None:
        first = _say("found.seen", place=place)
    elif seen.outcome == "lesions" and seen.lesions > 0:
        key = "found.one" if seen.lesions == 1 else "found.some"
        first = _say(key, place=place, count=str(seen.lesions))
    elif seen.outcome == "no_lesion_found":
        return (Block((_say("found.none", place=place), _say("found.what"))),)
    else:
        return (Block((_say("found.unclear"), _say("found.what"))),)
    return (Block((first, _say("found.name"), _say("found.what"), _say("found.common"))),)


def _told(differential: Differential, plan: Plan) -> list[str]:
    """Causes named to the patient: those of the plan, cancer left to its own section; none when all is open."""
    if differential.top.probability < care.plan_rules().numbers["too_open_below"]:
        return []
    return [cause for cause in plan.causes if not groups()[causes()[cause].group].cancer]


def _first_cause(differential: Differential, plan: Plan) -> list[Claim]:
    told = _told(differential, plan)
    if not told or told[0] != plan.causes[0]:
        return [_say("means.open")]
    share = differential.row(told[0]).probability
    words = next(text for lowest, text in leaflet_words().sureness if share >= lowest)
    return [Claim(words.format(first=causes()[told[0]].plain), judgement=True)]


def _means(differential: Differential, plan: Plan) -> tuple[Block, ...]:
    first = _first_cause(differential, plan)
    told = _told(differential, plan)
    rest = told[1:] if told and told[0] == plan.causes[0] else told
    others = [causes()[cause].plain for cause in rest[: leaflet_words().limits["others_most"]]]
    key = "means.others" if len(rest) < len(told) else "means.may"
    also = [_say(key, others=" or ".join(others))] if others else []
    return (Block((*first, *also, _say("means.doctor"))),)


def _cancer(checks: Sequence[CheckLike], growing: bool) -> tuple[Block, ...]:
    check = next((check for check in checks if check.kind == "cancer"), None)
    level = str(check.level) if check else "incomplete"
    intro = [] if level in RAISED else [lay.cancer_answer().intro]
    open_points = check.not_assessed if check and level == "incomplete" else ()
    words = lay.cancer_answer().levels[level]
    return (Block((*intro, *(words.growing if growing else words.patient), *_missing(open_points))),)


def _missing(open_points: Sequence[str]) -> list[Claim]:
    """What a patient can be told is still missing for the answer on cancer."""
    words = leaflet_words()
    named = [words.missing_words[point] for point in open_points if point in words.missing_words]
    return [replace(words.missing, text=words.missing.text.format(what=", ".join(named)))] if named else []


def _helps(plan: Plan) -> tuple[Block, ...]:
    limits = leaflet_words().limits
    do = tuple(dict.fromkeys(care.next_steps()[step].do for step in plan.steps[:1]))
    fit = [option for option in plan.offered if _fits(option)]
    fit.sort(key=lambda option: (option.treatment in GENERAL_CARE, option.role is not Role.USUAL, option.level))
    bullets = tuple(map(_option_words, fit[: limits["care_most"]]))
    blocks = [Block(do), Block((_say("helps.lead"),), bullets)]
    if not_now := _not_now(plan)[: limits["not_now_most"]]:
        blocks.append(Block((_say("helps.not_now_lead"),), tuple(not_now)))
    if plan.ask_first:
        asks = tuple(Claim(ask, judgement=True) for ask in plan.ask_first[: limits["asks_most"]])
        blocks.append(Block((_say("helps.ask_lead"),), asks))
    return (*blocks, Block((_say("helps.no_order"),)))


def _fits(option: PlannedCare) -> bool:
    """Ordinary, licensed, and for what is taken at home without any caution that applies here."""
    at_home = care.treatments()[option.treatment].kind in TAKEN_AT_HOME
    return option.role in (Role.USUAL, Role.OPTION) and not option.off_label and not (at_home and option.applying)


def _option_words(option: PlannedCare) -> Claim:
    treatment = care.treatments()[option.treatment]
    return replace(treatment.patient, text=f"{treatment.plain}. {treatment.patient.text}")


def _not_now(plan: Plan) -> list[Claim]:
    """Options ruled out here that a patient may reach for alone, with the reason."""
    unfit = [option for option in (*plan.care, *plan.not_to_use) if option.ruled_out or option in plan.not_to_use]
    found = []
    for option in unfit:
        treatment = care.treatments()[option.treatment]
        heavy = [c for c in option.cautions if c.state is State.PRESENT and c.action is not Action.SPECIALIST]
        if treatment.kind in TAKEN_AT_HOME or treatment.id in OFTEN_OFFERED:
            why = care.factors()[heavy[0].factor].plain if heavy else _say("helps.no_help").text
            found.append(_say("helps.not_now", what=treatment.plain, why=why))
    return found


def _next(plan: Plan, raised: bool) -> tuple[Block, ...]:
    tests = _to_do(plan)[: leaflet_words().limits["tests_most"]]
    items = tuple(_test_words("next.test", test) for test in tests)
    today = [_say("next.today")] if plan.urgency is Urgency.EMERGENCY else []
    if items:
        return (Block((*today, _say("next.lead")), items),)
    return (Block((*today, _say("next.visit" if raised else "next.none"))),)


def _to_do(plan: Plan) -> list[PlannedTest]:
    """Tests not done yet, most urgent first."""
    return [test for test in plan.tests if not test.done]


def _test_words(key: str, test: PlannedTest) -> Claim:
    return _say(key, what=lay.tests()[test.test].plain, when=leaflet_words().urgency[test.urgency])


def _how_long(plan: Plan) -> tuple[Block, ...]:
    steps = care.next_steps()
    first = steps[GENERAL_STEP].lasts if GENERAL_STEP in plan.steps else care.next_step_of()[plan.causes[0]].lasts
    again = dict.fromkeys(care.follow_ups()[item.id].patient for item in plan.follow_up)
    return (Block((first, *again)),)


def _watch(plan: Plan) -> tuple[Block, ...]:
    def items(urgencies: Collection[Urgency]) -> tuple[Claim, ...]:
        return tuple(
            replace(advice.basis, text=care.red_flags()[advice.id].patient)
            for advice in plan.at_once
            if care.red_flags()[advice.id].urgency in urgencies
        )

    today, days = items([Urgency.EMERGENCY]), items(set(Urgency) - {Urgency.EMERGENCY})
    blocks = (Block((_say("watch.today_lead"),), today), Block((_say("watch.days_lead"),), days))
    return tuple(block for block in blocks if block.bullets)
