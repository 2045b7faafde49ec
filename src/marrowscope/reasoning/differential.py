"""The ranked causes: prior, evidence in decibans and one shared normaliser that add up to each posterior.

    evidence term = 10 log10 P(finding | cause) / P(finding | background)
    posterior (decibans) = prior (decibans) + sum of terms + normaliser

The background and the scale are fixed data (``knowledge``); nothing here is a medical number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from marrowscope.findings import Finding
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.evidence import Entry, evidence, families, scale, variables
from marrowscope.knowledge.priors import priors, settings
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.observe import Observation
from marrowscope.reasoning.table import UNLISTED, Floats, family_likelihood, table

DECIBAN = 10.0
"""Decibans in a factor of ten."""

SHOWN_TERM = 0.5
"""Decibans below which a term is not listed among the reasons (it still counts): a factor of 1.1."""


@dataclass(frozen=True)
class Term:
    """One contribution to a cause: a variable or a family's joint term.

    Attributes:
        name: variable or family id.
        label: what was seen, in words.
        decibans: for (positive) or against (negative), against the fixed background.
        findings: the statements it rests on.
        sources: keys of what prints the cause's frequency; empty = the frequency is judgement.
        association: keys of what states the association without a frequency.
    """

    name: str
    label: str
    decibans: float
    findings: tuple[Finding, ...]
    sources: tuple[str, ...] = ()
    association: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        data = {
            "name": self.name,
            "label": self.label,
            "decibans": round(self.decibans, 3),
            "findings": [finding.to_dict() for finding in self.findings],
            "basis": list(self.sources) or "judgement",
        }
        return {**data, "association": list(self.association)} if self.association else data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        basis = () if data["basis"] == "judgement" else tuple(data["basis"])
        found = tuple(Finding.from_dict(raw) for raw in data["findings"])
        return cls(data["name"], data["label"], data["decibans"], found, basis, tuple(data.get("association", ())))


@dataclass(frozen=True)
class Row:
    """One cause in the ranking.

    Attributes:
        cause, label, group: ids and words.
        probability: posterior.
        low, high: smallest and largest posterior over all settings and over the doubt of this cause's prior.
        prior_decibans, posterior_decibans: 10 log10 of the prior and posterior probability.
        terms: every contribution, strongest first.
    """

    cause: str
    label: str
    group: str
    probability: float
    low: float
    high: float
    prior_decibans: float
    posterior_decibans: float
    terms: tuple[Term, ...]

    @property
    def reasons_for(self) -> tuple[Term, ...]:
        """Terms that speak for it, strongest first."""
        return tuple(term for term in self.terms if term.decibans >= SHOWN_TERM)

    @property
    def reasons_against(self) -> tuple[Term, ...]:
        """Terms that speak against it, strongest first."""
        return tuple(sorted((t for t in self.terms if t.decibans <= -SHOWN_TERM), key=lambda term: term.decibans))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "terms"}
        rounded = {name: round(v, 6) if isinstance(v, float) else v for name, v in data.items()}
        return {**rounded, "terms": [term.to_dict() for term in self.terms]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "terms": tuple(Term.from_dict(raw) for raw in data["terms"])})


@dataclass(frozen=True)
class Differential:
    """All causes, most probable first.

    Attributes:
        rows: one a cause, the unlisted one included.
        groups: group id -> probability, most probable first.
        normaliser: decibans added to every cause alike.
        setting: whose prior was used.
    """

    rows: tuple[Row, ...]
    groups: tuple[tuple[str, float], ...]
    normaliser: float
    setting: str

    @property
    def top(self) -> Row:
        """The most probable listed cause."""
        return next(row for row in self.rows if row.cause != UNLISTED)

    def row(self, cause: str) -> Row:
        """The row of one cause."""
        return next(row for row in self.rows if row.cause == cause)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "setting": self.setting,
            "normaliser_decibans": round(self.normaliser, 6),
            "groups": [{"group": g, "label": group_label(g), "probability": round(p, 6)} for g, p in self.groups],
            "rows": [row.to_dict() for row in self.rows],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        shares = tuple((raw["group"], raw["probability"]) for raw in data["groups"])
        rows = tuple(Row.from_dict(raw) for raw in data["rows"])
        return cls(rows, shares, data["normaliser_decibans"], data["setting"])


def group_label(group: str) -> str:
    """Words for a group, the unlisted one included."""
    return groups()[group].label if group in groups() else "A cause not on the list"


def prior(intake: Intake, setting: str | None = None) -> Floats:
    """(causes,): probability of each cause before any finding, by site, age, sex and setting; sums to 1."""
    factors = settings().get(setting if setting is not None else intake.setting.value, {})
    low, high = intake.age_range
    weights = [
        p.at_site(intake.site) * p.at_age(low, high) * p.of_sex(intake.sex.value) * factors.get(causes()[c].group, 1.0)
        for c, p in ((c, priors()[c]) for c in table().causes[:-1])
    ]
    listed = np.asarray(weights) / sum(weights) * (1 - scale().unlisted)
    return np.append(listed, scale().unlisted)


def terms(seen: Iterable[Observation]) -> list[tuple[str, tuple[Observation, ...], Floats]]:
    """Contributions as (name, observations, (causes,) decibans): families jointly, everything else singly."""
    together: dict[str, list[Observation]] = {}
    for item in seen:
        together.setdefault(variables()[item.variable].family or item.variable, []).append(item)
    found = []
    for name, items in together.items():
        if name in table().families:
            likelihood, base = family_likelihood(table().families[name], {o.variable: o.level for o in items})
        else:
            likelihood, base = table().singles[name][:, items[0].level], table().backgrounds[name][items[0].level]
        found.append((name, tuple(items), DECIBAN * np.log10(likelihood / base)))
    return found


def posterior(before: Floats, contributions: Sequence[Floats]) -> tuple[Floats, float]:
    """Posterior probabilities (causes,) and the shared normaliser in decibans."""
    total = DECIBAN * np.log10(before) + np.sum([np.zeros_like(before), *contributions], axis=0)
    peak = total.max()
    normaliser = -(peak + DECIBAN * np.log10(np.sum(10 ** ((total - peak) / DECIBAN))))
    return 10 ** ((total + normaliser) / DECIBAN), float(normaliser)


def by_group(probabilities: Floats) -> dict[str, float]:
    """Probability of each group, most probable first; the unlisted cause is its own."""
    shares: dict[str, float] = {}
    for cause, probability in zip(table().causes, probabilities, strict=True):
        group = causes()[cause].group if cause != UNLISTED else UNLISTED
        shares[group] = shares.get(group, 0.0) + float(probability)
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _ranges(intake: Intake, contributions: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Smallest and largest posterior (causes,) over the settings and over the doubt of each prior."""
    over = np.stack([posterior(prior(intake, setting), contributions)[0] for setting in settings()])
    low, high, doubt = over.min(axis=0), over.max(axis=0), scale().prior_doubt
    return low / (low + doubt * (1 - low)), doubt * high / (doubt * high + 1 - high)


def _words(name: str, items: tuple[Observation, ...]) -> str:
    parts = []
    for item in items:
        variable = variables()[item.variable]
        level = variable.levels[item.level]
        parts.append(
            {"present": variable.label, "absent": f"no: {variable.label}"}.get(level, f"{variable.label} {level}")
        )
    words = "; ".join(parts)
    return f"{families()[name].label}: {words}" if name in families() and len(items) > 1 else words


def _entries(cause: str, name: str, items: Iterable[Observation]) -> list[Entry]:
    """Entries behind a term: the cause's own, and the family's rows of what was seen."""
    known = evidence().get(cause)
    if known is None:
        return []
    entries = [known.families.get(name), known.variables.get(name)]
    for item in items if name in families() else ():
        entries += [known.variables.get(item.variable), families()[name].rows[item.variable][0]]
    return [entry for entry in entries if entry is not None]


def _term(cause: str, name: str, items: tuple[Observation, ...], decibans: float) -> Term:
    entries = _entries(cause, name, items)
    sources = tuple(dict.fromkeys(key for entry in entries for key in entry.sources))
    association = tuple(dict.fromkeys(key for entry in entries for key in entry.association))
    return Term(name, _words(name, items), decibans, tuple(o.finding for o in items), sources, association)


def rank(intake: Intake, seen: Sequence[Observation]) -> Differential:
    """Rank all causes for an intake and what was seen."""
    before, found = prior(intake), terms(seen)
    contributions = [decibans for _, _, decibans in found]
    after, normaliser = posterior(before, contributions)
    low, high = _ranges(intake, contributions)
    rows = [_row(cause, i, before, after, (low, high), found) for i, cause in enumerate(table().causes)]
    rows.sort(key=lambda row: -row.probability)
    return Differential(tuple(rows), tuple(by_group(after).items()), normaliser, intake.setting.value)


def _row(
    cause: str,
    i: int,
    before: Floats,
    after: Floats,
    bounds: tuple[Floats, Floats],
    found: Sequence[tuple[str, tuple[Observation, ...], Floats]],
) -> Row:
    mine = [_term(cause, name, items, float(decibans[i])) for name, items, decibans in found]
    mine.sort(key=lambda term: -abs(term.decibans))
    label = causes()[cause].label if cause != UNLISTED else group_label(UNLISTED)
    group = causes()[cause].group if cause != UNLISTED else UNLISTED
    prior_db, posterior_db = (float(DECIBAN * np.log10(p[i])) for p in (before, after))
    low, high = (float(bound[i]) for bound in bounds)
    return Row(cause, label, group, float(after[i]), low, high, prior_db, posterior_db, tuple(mine))


def backgrounds(seen: Iterable[Observation]) -> Mapping[str, float]:
    """The fixed yardstick behind each observation: variable -> background probability of the level seen."""
    return {item.variable: float(table().backgrounds[item.variable][item.level]) for item in seen}
