"""The evidence as arrays over all causes, built once: rows are causes in a fixed order, ``unlisted`` last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.evidence import Entry, background, evidence, families, scale, variables

UNLISTED = "unlisted"
"""Name of the cause that is not on the list; its findings follow the background."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FamilyTable:
    """One family for all causes.

    Attributes:
        states: (causes, states) share of each hidden state, misreading mixed in.
        background: (states,) share in anyone with the signal.
        rows: variable -> (states, levels).
        own: variable -> {cause index: (levels,)} where a cause has its own frequency whatever the state.
    """

    states: Floats
    background: Floats
    rows: Mapping[str, Floats]
    own: Mapping[str, Mapping[int, Floats]]


@dataclass(frozen=True)
class Table:
    """All evidence.

    Attributes:
        causes: ids in row order, :data:`UNLISTED` last.
        singles: variable -> (causes, levels), misreading mixed in.
        backgrounds: variable -> (levels,).
        families: family id -> its table.
    """

    causes: tuple[str, ...]
    singles: Mapping[str, Floats]
    backgrounds: Mapping[str, Floats]
    families: Mapping[str, FamilyTable]


def _mixed(entry: Entry | None, base: Floats) -> Floats:
    """A row with the share of misreading replaced by the background; the background itself where there is no entry."""
    if entry is None:
        return base
    share = scale().misreading
    return (1 - share) * np.asarray(entry.shares) + share * base


def _single(name: str, order: tuple[str, ...], base: Floats) -> Floats:
    known = evidence()
    return np.stack([_mixed(known[c].variables.get(name) if c in known else None, base) for c in order])


def _family(name: str, order: tuple[str, ...], bases: Mapping[str, Floats]) -> FamilyTable:
    family, known = families()[name], evidence()
    base = np.asarray(family.background)
    states = np.stack([_mixed(known[c].families.get(name) if c in known else None, base) for c in order])
    rows = {variable: np.asarray([entry.shares for entry in entries]) for variable, entries in family.rows.items()}
    own = {
        variable: {
            i: _mixed(known[c].variables[variable], bases[variable])
            for i, c in enumerate(order)
            if c in known and variable in known[c].variables
        }
        for variable in family.rows
    }
    return FamilyTable(states, base, rows, own)


@cache
def table() -> Table:
    """The arrays of the whole knowledge base."""
    order = (*(cause.id for cause in causes().values() if cause.ranked), UNLISTED)
    bases = {name: np.asarray(background(name).shares) for name in variables()}
    singles = {name: _single(name, order, bases[name]) for name, item in variables().items() if not item.family}
    return Table(order, singles, bases, {name: _family(name, order, bases) for name in families()})


def family_likelihood(family: FamilyTable, seen: Mapping[str, int]) -> tuple[Floats, float]:
    """Joint probability of the members seen: (causes,) with each cause, and with the background."""
    given_state = np.ones(len(family.background))
    per_cause = np.ones(len(family.states))
    shared = np.repeat(given_state[None, :], len(family.states), axis=0)
    for variable, level in seen.items():
        row = family.rows[variable][:, level]
        given_state = given_state * row
        factors = np.repeat(row[None, :], len(family.states), axis=0)
        for i, levels in family.own[variable].items():
            factors[i, :] = 1.0
            per_cause[i] *= levels[level]
        shared = shared * factors
    return per_cause * (family.states * shared).sum(axis=1), float(family.background @ given_state)


def family_states(family: FamilyTable, seen: Mapping[str, int]) -> Floats:
    """(causes, states): share of each hidden state once the members seen are known."""
    weights = family.states.copy()
    for variable, level in seen.items():
        factors = np.repeat(family.rows[variable][:, level][None, :], len(weights), axis=0)
        for i in family.own[variable]:
            factors[i, :] = 1.0
        weights = weights * factors
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares


def predict(name: str, seen: Mapping[str, int]) -> Floats:
    """(causes, levels): probability of each level of a variable, given what its family already showed."""
    item = variables()[name]
    if not item.family:
        return table().singles[name]
    family = table().families[item.family]
    mine = {variable: level for variable, level in seen.items() if variables()[variable].family == item.family}
    expected: Floats = family_states(family, mine) @ family.rows[name]
    for i, levels in family.own[name].items():
        expected[i] = levels
    return expected
