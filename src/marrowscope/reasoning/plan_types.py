"""The plan as plain data: next tests, care with cautions, prevention, follow-up, when to come at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from marrowscope.findings import State
from marrowscope.knowledge.care import Action, Level, Role
from marrowscope.knowledge.causes import Urgency
from marrowscope.knowledge.load import Claim


@dataclass(frozen=True)
class PlannedTest:
    """One next test.

    Attributes:
        test, label: id in the tests file, its name.
        urgency: how soon.
        reasons: why, each with its basis.
        causes: causes it is for (empty = the general work-up).
        done: the intake says it was done; then it is to be read for these reasons, not repeated.
    """

    test: str
    label: str
    urgency: Urgency
    reasons: tuple[Claim, ...]
    causes: tuple[str, ...]
    done: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        reasons = [claim.to_dict() for claim in self.reasons]
        return {
            "test": self.test,
            "label": self.label,
            "urgency": self.urgency.value,
            "reasons": reasons,
            "causes": list(self.causes),
            "done": self.done,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        reasons = tuple(Claim.parse(raw) for raw in data["reasons"])
        return cls(data["test"], data["label"], Urgency(data["urgency"]), reasons, tuple(data["causes"]), data["done"])


@dataclass(frozen=True)
class PlannedCaution:
    """A caution that applies here (present), or must be asked first (unknown).

    Attributes:
        factor, label: id and words.
        action: what it asks for.
        state: present or unknown.
        because: what raised it, ``code:``, ``cause:``, ``check:``, ``age`` or ``immature``; empty when unknown.
        basis: the statement.
    """

    factor: str
    label: str
    action: Action
    state: State
    because: str
    basis: Claim

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "factor": self.factor,
            "label": self.label,
            "action": self.action.value,
            "state": self.state.value,
            "because": self.because,
            "basis": self.basis.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            data["factor"],
            data["label"],
            Action(data["action"]),
            State(data["state"]),
            data["because"],
            Claim.parse(data["basis"]),
        )


@dataclass(frozen=True)
class PlannedCare:
    """One option for this patient.

    Attributes:
        treatment, label: id and words.
        cause: the cause it is shown for.
        role, level, effect: its place for that cause, the evidence, what was shown.
        off_label, licence, time: licence said plainly; time to effect.
        cautions: those that apply here first, then those to ask.
        against_for: other causes still considered for which it is not to be used, with what was shown.
    """

    treatment: str
    label: str
    cause: str
    role: Role
    level: Level
    effect: Claim
    off_label: bool
    licence: Claim
    time: Claim
    cautions: tuple[PlannedCaution, ...]
    against_for: tuple[tuple[str, Claim], ...]

    @property
    def ruled_out(self) -> bool:
        """Whether a caution that applies here says to leave it out."""
        return any(c.state is State.PRESENT and c.action is Action.AVOID for c in self.cautions)

    @property
    def applying(self) -> tuple[PlannedCaution, ...]:
        """The cautions that apply here."""
        return tuple(caution for caution in self.cautions if caution.state is State.PRESENT)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "treatment": self.treatment,
            "label": self.label,
            "cause": self.cause,
            "role": self.role.value,
            "level": self.level.value,
            "effect": self.effect.to_dict(),
            "off_label": self.off_label,
            "licence": self.licence.to_dict(),
            "time": self.time.to_dict(),
            "ruled_out": self.ruled_out,
            "cautions": [caution.to_dict() for caution in self.cautions],
            "against_for": [{"cause": cause, "effect": claim.to_dict()} for cause, claim in self.against_for],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            treatment=data["treatment"],
            label=data["label"],
            cause=data["cause"],
            role=Role(data["role"]),
            level=Level(data["level"]),
            effect=Claim.parse(data["effect"]),
            off_label=data["off_label"],
            licence=Claim.parse(data["licence"]),
            time=Claim.parse(data["time"]),
            cautions=tuple(PlannedCaution.from_dict(raw) for raw in data["cautions"]),
            against_for=tuple((raw["cause"], Claim.parse(raw["effect"])) for raw in data["against_for"]),
        )


@dataclass(frozen=True)
class Advice:
    """A named statement: a preventive measure, a referral, something to avoid, a reason to come at once.

    Attributes:
        id, label: where it comes from.
        urgency: how soon, where it matters.
        basis: the statement.
    """

    id: str
    label: str
    basis: Claim
    urgency: Urgency | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        data = {"id": self.id, "label": self.label, "basis": self.basis.to_dict()}
        return data if self.urgency is None else {**data, "urgency": self.urgency.value}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        urgency = Urgency(data["urgency"]) if "urgency" in data else None
        return cls(data["id"], data["label"], Claim.parse(data["basis"]), urgency)


@dataclass(frozen=True)
class PlannedFollowUp:
    """When to image again, with its basis; ``weeks`` is None when no repeat is planned."""

    id: str
    weeks: tuple[float, float] | None
    advice: Claim

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"id": self.id, "weeks": list(self.weeks) if self.weeks else None, "advice": self.advice.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        weeks = (data["weeks"][0], data["weeks"][1]) if data["weeks"] else None
        return cls(data["id"], weeks, Claim.parse(data["advice"]))


@dataclass(frozen=True)
class Plan:
    """What to do next for one patient. No doses; a named clinician decides.

    Attributes:
        urgency: of the whole plan.
        causes: causes it cares for, most probable first.
        steps: ids of the next steps it draws on, in order.
        tests: next tests, most urgent first.
        care: options, ruled-out ones among them (see :attr:`PlannedCare.ruled_out`), usual care first.
        not_to_use: options shown not to help, or not to be used, for the causes considered.
        avoid, refer, biopsy, course: advice by next step.
        ask_first: plain questions whose answers would change a caution.
        prevention: measures for these causes.
        follow_up: when to image again; the rule for settled symptoms last.
        at_once: when to see a doctor at once.
    """

    urgency: Urgency
    causes: tuple[str, ...]
    steps: tuple[str, ...]
    tests: tuple[PlannedTest, ...]
    care: tuple[PlannedCare, ...]
    not_to_use: tuple[PlannedCare, ...]
    avoid: tuple[Advice, ...]
    refer: tuple[Advice, ...]
    biopsy: tuple[Advice, ...]
    course: tuple[Advice, ...]
    ask_first: tuple[str, ...]
    prevention: tuple[Advice, ...]
    follow_up: tuple[PlannedFollowUp, ...]
    at_once: tuple[Advice, ...]

    @property
    def offered(self) -> tuple[PlannedCare, ...]:
        """Options that no caution rules out here."""
        return tuple(option for option in self.care if not option.ruled_out)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {
            "urgency": self.urgency.value,
            "causes": list(self.causes),
            "steps": list(self.steps),
            "ask_first": list(self.ask_first),
        }
        for name in _PARTS:
            data[name] = [part.to_dict() for part in getattr(self, name)]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        parts: dict[str, Any] = {
            name: tuple(kind.from_dict(raw) for raw in data[name]) for name, kind in _PARTS.items()
        }
        return cls(
            urgency=Urgency(data["urgency"]),
            causes=tuple(data["causes"]),
            steps=tuple(data["steps"]),
            ask_first=tuple(data["ask_first"]),
            **parts,
        )


_PARTS: dict[str, Any] = {
    "tests": PlannedTest,
    "care": PlannedCare,
    "not_to_use": PlannedCare,
    "avoid": Advice,
    "refer": Advice,
    "biopsy": Advice,
    "course": Advice,
    "prevention": Advice,
    "follow_up": PlannedFollowUp,
    "at_once": Advice,
}
