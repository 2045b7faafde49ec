"""From a ranking and its checks to a plan: tests with urgency, care with cautions matched to the patient, follow-up.

Everything said comes from ``knowledge/data/care``; this module chooses and orders. No doses; options, not orders.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from marrowscope.findings import State
from marrowscope.knowledge import care as facts
from marrowscope.knowledge.care import Action, Indication, NextStep, Role, Treatment, plan_rules
from marrowscope.knowledge.causes import Urgency, causes, groups
from marrowscope.knowledge.findings import vocabulary
from marrowscope.knowledge.lay import tests as tests_by_id
from marrowscope.knowledge.parts import EVERY, applies
from marrowscope.knowledge.plan_rules import TestCaution
from marrowscope.knowledge.steps import TestUse
from marrowscope.reasoning.circumstances import CheckLike, Circumstances, circumstances, factor_state
from marrowscope.reasoning.differential import Differential
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.plan_types import Advice, Plan, PlannedCare, PlannedCaution, PlannedFollowUp, PlannedTest

__all__ = ["Plan", "make_plan"]

GENERAL_STEP = "any_unexplained"
SETTLED = "settled"
UNCLEAR = "unclear"
CHECK_FOLLOW_UP = {"cancer": "malignancy", "infection": "infection"}
"""Follow-up rule a raised check brings, ahead of any cause."""

SPECIALIST_CARE = "urgent_specialist_care"
"""The option a raised check puts first."""

_URGENCY_ORDER = tuple(Urgency)
_ROLE_ORDER = tuple(Role)


def make_plan(intake: Intake, differential: Differential, checks: Sequence[CheckLike]) -> Plan:
    """Draw the plan for one intake.

    Args:
        intake: with every finding that counts, measured ones included.
        differential: the ranking.
        checks: the not-to-miss checks; a raised one brings its own next step ahead of the ranking.
    """
    rules, known = plan_rules(), circumstances(intake, differential, checks)
    considered = _considered(differential)
    steps = _steps(known, considered, differential)
    cared = tuple(cause for cause in considered if not _governed(cause, known)) or considered
    care, against = _care(known, cared, facts.treatments().keys() if not _too_open(differential) else rules.open_care)
    planned = _tests(steps, known, considered)
    return Plan(
        urgency=_urgency(planned, known, considered),
        causes=considered,
        steps=tuple(step.id for step in steps),
        tests=planned,
        care=care,
        not_to_use=against,
        avoid=(
            *_waiting(steps, known),
            *(Advice(step.id, step.label, claim) for step in steps for claim in step.avoid),
        ),
        refer=tuple(Advice(step.id, step.label, step.refer) for step in steps),
        biopsy=tuple(Advice(step.id, step.label, step.biopsy) for step in steps),
        course=tuple(Advice(step.id, step.label, claim) for step in steps for claim in step.course),
        ask_first=_ask_first(care),
        prevention=_prevention(considered),
        follow_up=_follow_up(known, considered, differential),
        at_once=_at_once(known),
    )


def _considered(differential: Differential) -> tuple[str, ...]:
    """Causes the plan cares for: the first one, and others with enough probability."""
    numbers = plan_rules().numbers
    listed = [row for row in differential.rows if row.cause in causes()]
    likely = [row.cause for row in listed if row.probability >= numbers["considered_share"]]
    return tuple((likely or [listed[0].cause])[: int(numbers["considered_most"])])


def _steps(known: Circumstances, considered: Sequence[str], differential: Differential) -> tuple[NextStep, ...]:
    """Next steps in order: those of raised checks, the general work-up when unsure, those of the causes."""
    rules = plan_rules()
    ids = list(_raised_steps(known))
    if differential.top.probability < rules.numbers["uncertain_below"]:
        ids.append(GENERAL_STEP)
    if not _too_open(differential):
        ids += [_step_of(cause, known) for cause in considered]
    return tuple(facts.next_steps()[key] for key in dict.fromkeys(ids))


def _too_open(differential: Differential) -> bool:
    """Whether no cause stands out enough to plan for it."""
    return differential.top.probability < plan_rules().numbers["too_open_below"]


def _raised_steps(known: Circumstances) -> dict[str, str]:
    """The step of each raised check, with the check: the first rule whose conditions all hold."""
    found: dict[str, str] = {}
    for check, rules in plan_rules().checks.items():
        fitting = [rule.step for rule in rules if all(map(known.holds, rule.when))] if known.raised(check) else []
        if fitting:
            found.setdefault(fitting[0], check)
    return found


def _step_of(cause: str, known: Circumstances) -> str:
    """The next step of a cause; the general one for a less likely cancer or infection whose check is not raised."""
    return GENERAL_STEP if _governed(cause, known) else facts.next_step_of()[cause].id


def _governed(cause: str, known: Circumstances) -> bool:
    """Whether a less likely cancer or infection waits for its check, which is not raised."""
    group = groups()[causes()[cause].group]
    quiet = (group.cancer and not known.raised("cancer")) or (group.infection and not known.raised("infection"))
    return quiet and known.shares[cause] < plan_rules().numbers["governed_below"]


def _tests(steps: Sequence[NextStep], known: Circumstances, considered: Sequence[str]) -> tuple[PlannedTest, ...]:
    """One entry a test, at its highest urgency, with every reason; most urgent first."""
    found: dict[str, PlannedTest] = {}
    raised = _raised_steps(known)
    for step in steps:
        for use in step.tests:
            cautions = _test_cautions(use.test, known)
            if use.wanted(known.site, known.present) and not any(caution.wait for caution in cautions):
                mine = tuple(cause for cause in step.causes if cause in considered)
                urgency = _hurried(use, raised.get(step.id, ""), known)
                reasons = (*(caution.basis for caution in cautions), use.basis)
                new = PlannedTest(use.test, _label(use.test, known), urgency, reasons, mine, _done(use.test, known))
                found[use.test] = _merged(found[use.test], new) if use.test in found else new
    return tuple(sorted(found.values(), key=lambda test: _URGENCY_ORDER.index(test.urgency)))


def _test_cautions(test: str, known: Circumstances) -> list[TestCaution]:
    """What to mind with a test in this patient."""
    rules = plan_rules().test_cautions
    return [rule for rule in rules if test in rule.tests and any(map(known.holds, rule.when))]


def _waiting(steps: Sequence[NextStep], known: Circumstances) -> tuple[Advice, ...]:
    """Tests of the steps that are left out for now, with the reason."""
    asked = dict.fromkeys(use.test for step in steps for use in step.tests if use.wanted(known.site, known.present))
    return tuple(
        Advice(test, tests_by_id()[test].label, caution.basis)
        for test in asked
        for caution in _test_cautions(test, known)
        if caution.wait
    )


def _hurried(use: TestUse, check: str, known: Circumstances) -> Urgency:
    """An urgent test that a raised check asks for is as urgent as the check."""
    follows = use.urgency is Urgency.URGENT and use.test in plan_rules().check_urgency.tests
    return (_urgency_of(check, known) or use.urgency) if follows else use.urgency


def _done(test: str, known: Circumstances) -> bool:
    """Whether the intake holds a statement that only this test can give; what a statement implies is none."""
    return any(vocabulary()[code].section in tests_by_id()[test].done_by for code in known.stated)


def _label(test: str, known: Circumstances) -> str:
    label = tests_by_id()[test].label
    return plan_rules().done_label.format(label=label) if _done(test, known) else label


def _merged(first: PlannedTest, second: PlannedTest) -> PlannedTest:
    urgency = min(first.urgency, second.urgency, key=_URGENCY_ORDER.index)
    reasons = tuple(dict.fromkeys((*first.reasons, *second.reasons)))
    merged = tuple(dict.fromkeys((*first.causes, *second.causes)))
    return replace(first, urgency=urgency, reasons=reasons, causes=merged)


def _urgency(tests: Sequence[PlannedTest], known: Circumstances, considered: Sequence[str]) -> Urgency:
    """The highest urgency of a test shown, of a cause likely enough to set it, or of a raised check."""
    enough = plan_rules().numbers["urgent_share"]
    likely = [causes()[cause].urgency for cause in considered if known.shares[cause] >= enough]
    raised = [urgency for kind in known.levels if (urgency := _urgency_of(kind, known))]
    return min([*(t.urgency for t in tests), *likely, *raised], key=_URGENCY_ORDER.index)


def _urgency_of(check: str, known: Circumstances) -> Urgency | None:
    """The least urgency a check gives the plan; ``None`` when it is not raised."""
    return plan_rules().check_urgency.of(check, known.levels.get(check, ""), known.child)


def _indication(treatment: Treatment, cause: str) -> Indication | None:
    """The entry that fits a cause most closely: by its id, then by its group, then by ``*``."""
    fitting = [item for item in treatment.indications if applies(item.causes, causes()[cause])]
    closeness = {False: 1, True: 0}
    return min(
        fitting, key=lambda item: (closeness[cause in item.causes], closeness[EVERY not in item.causes]), default=None
    )


def _care(
    known: Circumstances, considered: Sequence[str], among: Collection[str]
) -> tuple[tuple[PlannedCare, ...], tuple[PlannedCare, ...]]:
    """Options for the causes considered, and those not to be used for any of them.

    Only of ``among``; what is ruled out in this patient is named all the same.
    """
    fitting = [option for item in facts.treatments().values() if (option := _option(item, known, considered))]
    options = [option for option in fitting if option.treatment in among or option.ruled_out]
    order = {cause: i for i, cause in enumerate(considered)}
    raised = any(known.raised(check) for check in plan_rules().checks)

    def rank(option: PlannedCare) -> tuple[bool, int, int]:
        first = raised and option.treatment == SPECIALIST_CARE
        return (not first, _ROLE_ORDER.index(option.role), order.get(option.cause, len(order)))

    ordered = sorted(options, key=rank)
    return tuple(o for o in ordered if o.role is not Role.AGAINST), tuple(o for o in ordered if o.role is Role.AGAINST)


def _option(treatment: Treatment, known: Circumstances, considered: Sequence[str]) -> PlannedCare | None:
    """One option for the most probable cause it is for; causes that speak against it are kept beside it."""
    fits = [(cause, item) for cause in considered if (item := _indication(treatment, cause)) is not None]
    fits = [(cause, item) for cause, item in fits if not item.when or known.present.intersection(item.when)]
    usable = [(cause, item) for cause, item in fits if item.role is not Role.AGAINST]
    if not fits:
        return None
    cause, item = (usable or fits)[0]
    against = tuple((c, i.effect) for c, i in fits if i.role is Role.AGAINST and c != cause)
    return PlannedCare(
        treatment=treatment.id,
        label=treatment.label,
        cause=cause,
        role=item.role,
        level=item.level,
        effect=item.effect,
        off_label=treatment.off_label,
        licence=treatment.licence,
        time=treatment.time,
        cautions=_cautions(treatment, known),
        against_for=against,
    )


def _cautions(treatment: Treatment, known: Circumstances) -> tuple[PlannedCaution, ...]:
    """Cautions that apply here, then those not yet asked; excluded ones are dropped."""
    found = []
    for caution in treatment.cautions:
        factor = facts.factors()[caution.factor]
        state, because = factor_state(factor, known)
        if state is not State.ABSENT:
            found.append(PlannedCaution(factor.id, factor.label, caution.action, state, because, caution.basis))
    found += _held(treatment, known, {c.factor for c in found if c.state is State.PRESENT and c.action is Action.AVOID})
    weight = tuple(facts.Action)
    return tuple(sorted(found, key=lambda c: (c.state is not State.PRESENT, weight.index(c.action))))


def _held(treatment: Treatment, known: Circumstances, already: Collection[str]) -> list[PlannedCaution]:
    """What makes an option wait while the cancer or the infection check is raised."""
    hold = plan_rules().hold
    if treatment.kind not in hold.kinds or treatment.id in hold.but:
        return []
    return [
        PlannedCaution(name, facts.factors()[name].label, Action.AVOID, State.PRESENT, f"check:{check}", hold.basis)
        for check, name in hold.checks.items()
        if known.raised(check) and name not in already
    ]


def _ask_first(care: Iterable[PlannedCare]) -> tuple[str, ...]:
    """Plain questions for the cautions of the options offered that nobody has answered yet."""
    open_factors = {c.factor for o in care if not o.ruled_out for c in o.cautions if c.state is State.UNKNOWN}
    asks = (factor.ask for factor in facts.factors().values() if factor.id in open_factors)
    return tuple(dict.fromkeys(ask for ask in asks if ask))


def _prevention(considered: Sequence[str]) -> tuple[Advice, ...]:
    def first(names: Sequence[str]) -> int:
        return next((i for i, c in enumerate(considered) if c in causes() and applies(names, causes()[c])), -1)

    fitting = [(first(item.causes), item) for item in facts.preventions().values() if first(item.causes) >= 0]
    specific = sorted((pair for pair in fitting if EVERY not in pair[1].causes), key=lambda pair: pair[0])
    chosen = [item for _, item in specific] or [item for _, item in fitting]
    most = int(plan_rules().numbers["prevention_most"])
    return tuple(Advice(item.id, item.label, item.basis) for item in chosen[:most])


def _follow_up(
    known: Circumstances, considered: Sequence[str], differential: Differential
) -> tuple[PlannedFollowUp, ...]:
    """The rule of a raised check, else of the first cause, else the general one; the settled rule last."""
    rules = facts.follow_ups()
    raised = [rule for check, rule in CHECK_FOLLOW_UP.items() if known.raised(check)]
    first = causes()[considered[0]]
    fitting = [item.id for item in rules.values() if EVERY not in item.causes and applies(item.causes, first)]
    unsure = differential.top.probability < plan_rules().numbers["uncertain_below"]
    ids = raised or (fitting[:1] if fitting and not unsure else [*fitting[:1], UNCLEAR])
    settled = [] if raised else [SETTLED]
    chosen = (rules[key] for key in dict.fromkeys((*ids, *settled)))
    return tuple(PlannedFollowUp(item.id, item.weeks, item.advice) for item in chosen)


def _at_once(known: Circumstances) -> tuple[Advice, ...]:
    shown = [flag for flag in facts.red_flags().values() if any(map(known.holds, flag.when))]
    shown.sort(key=lambda flag: _URGENCY_ORDER.index(flag.urgency))
    return tuple(Advice(flag.id, flag.within, flag.basis) for flag in shown)
