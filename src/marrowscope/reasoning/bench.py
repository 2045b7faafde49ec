"""How good the reasoning is on cases with known answers: hits, checks, calibration, with bootstrap intervals.

A folder holds one intake a case (``ID.yaml``) and ``answers.yaml``: ``ID: {cause_group, alt_groups, cause, cancer,
infection}``. An alternative group counts as a hit; a check is positive at ``suspicious`` or above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.errors import IntakeError, UsageError
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.checks import Level
from marrowscope.knowledge.search import plain
from marrowscope.reasoning.answer import Reasoning, reason_findings
from marrowscope.reasoning.intake import Intake
from marrowscope.reasoning.intake_text import parse_text
from marrowscope.reasoning.table import UNLISTED, Floats

ANSWERS = "answers.yaml"

RESAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval move by about 0.005 between seeds."""

SEED = 20261123
"""Fixed, so that the same cases give the same intervals."""

BINS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Bounds of the reliability table, on the probability of the leading group."""

TOP = 3
"""Places that count as found among the first."""

SHOWN_TERMS = 4
"""Reasons shown for a missed answer and for what was put before it."""


@dataclass(frozen=True)
class Truth:
    """The stated answer of one case.

    Attributes:
        group: the answer's group. accepted: it and its alternatives.
        cause: id in our list, or ``None`` when the stated cause is not on it.
        cancer, infection: whether it was one.
    """

    group: str
    accepted: frozenset[str]
    cause: str | None
    cancer: bool
    infection: bool


@dataclass(frozen=True)
class CaseResult:
    """One case: its truth, our answer, and where the truth stands in it (ranks from 1)."""

    id: str
    truth: Truth
    answer: Reasoning
    group_rank: int
    cause_rank: int | None


def read_answers(folder: Path) -> dict[str, Truth]:
    """Answers by case id.

    Raises:
        UsageError: no answers file, or an answer without a known group.
    """
    path = folder / ANSWERS
    if not path.is_file():
        raise UsageError(f"{folder} has no {ANSWERS}", "ID: {cause_group: ..., cancer: ..., infection: ...}")
    data = parse_text(path.read_text(encoding="utf-8"), ANSWERS).data
    if not isinstance(data, dict) or not data:
        raise UsageError(f"{path.name} holds no answers", "one entry a case")
    return {str(key): _truth(str(key), raw) for key, raw in data.items()}


def _truth(key: str, raw: Any) -> Truth:
    group = raw.get("cause_group") if isinstance(raw, dict) else None
    also = tuple(raw.get("alt_groups") or ()) if isinstance(raw, dict) else ()
    if unknown := [name for name in (group, *also) if name not in groups()]:
        raise UsageError(f"{ANSWERS} {key}: group {unknown[0]!r}", ", ".join(groups()))
    cancer = raw.get("cancer", groups()[str(group)].cancer)
    infection = raw.get("infection", groups()[str(group)].infection)
    return Truth(
        str(group),
        frozenset(str(name) for name in (group, *also)),
        _cause_id(raw.get("cause")),
        bool(cancer),
        bool(infection),
    )


def _cause_id(said: Any) -> str | None:
    """Our id for a stated cause: the id itself, its label or a synonym, whatever the spelling."""
    wanted = plain(str(said or ""))
    for cause in causes().values():
        if wanted and wanted in {plain(text) for text in (cause.id, cause.label, *cause.also)}:
            return cause.id
    return None


def _load(folder: Path, keys: Sequence[str]) -> dict[str, Intake]:
    intakes, mistakes = {}, []
    for key in keys:
        path = next(
            (folder / f"{key}{end}" for end in (".yaml", ".yml", ".json") if (folder / f"{key}{end}").is_file()), None
        )
        if path is None:
            mistakes.append(f"{key}: no {key}.yaml in {folder.name}")
            continue
        try:
            intakes[key] = Intake.load(path)
        except IntakeError as error:
            mistakes.append(error.found)
    if mistakes:
        raise UsageError("\n".join(mistakes), "one valid intake an answer", "marrowscope intake check FILE")
    return intakes


def run_cases(folder: Path) -> tuple[CaseResult, ...]:
    """Reason about every case of a folder.

    Raises:
        UsageError: answers or intakes that are absent or invalid, all of them listed.
    """
    truths = read_answers(folder)
    return tuple(_case(key, truths[key], intake) for key, intake in _load(folder, list(truths)).items())


def _case(key: str, truth: Truth, intake: Intake) -> CaseResult:
    answer = reason_findings(intake)
    ranked = [group for group, _ in answer.differential.groups]
    listed = [row.cause for row in answer.differential.rows]
    cause_rank = listed.index(truth.cause) + 1 if truth.cause in listed else None
    return CaseResult(key, truth, answer, min(ranked.index(group) for group in truth.accepted) + 1, cause_rank)


def _positive(result: CaseResult, kind: str) -> bool:
    return result.answer.check(kind).level.positive


def brier(result: CaseResult) -> float:
    """Multiclass Brier score of one case over the groups (the unlisted one included): 0 best, 2 worst."""
    return sum((share - (group == result.truth.group)) ** 2 for group, share in result.answer.differential.groups)


def _values(results: Sequence[CaseResult]) -> dict[str, Floats]:
    """Measure -> one value a case, NaN where the case cannot tell; a measure is the mean of what is told."""
    found: dict[str, list[float]] = {
        "group_top1": [result.group_rank == 1 for result in results],
        "group_top3": [result.group_rank <= TOP for result in results],
        "cause_top1": [math.nan if r.cause_rank is None else r.cause_rank == 1 for r in results],
        "cause_top3": [math.nan if r.cause_rank is None else r.cause_rank <= TOP for r in results],
        "mrr": [1 / result.group_rank for result in results],
        "brier": [brier(result) for result in results],
    }
    for kind in ("cancer", "infection"):
        ill = [bool(getattr(result.truth, kind)) for result in results]
        said = [_positive(result, kind) for result in results]
        found[f"{kind}_sensitivity"] = [
            float(yes) if is_ill else math.nan for is_ill, yes in zip(ill, said, strict=True)
        ]
        found[f"{kind}_specificity"] = [
            math.nan if is_ill else float(not yes) for is_ill, yes in zip(ill, said, strict=True)
        ]
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


def _mean(values: Floats) -> float | None:
    told = values[~np.isnan(values)]
    return float(told.mean()) if told.size else None


def summarise(results: Sequence[CaseResult]) -> dict[str, Any]:
    """All figures as plain data, with 95 % bootstrap intervals over cases."""
    values = _values(results)
    report: dict[str, Any] = {"n": len(results)} | {name: _mean(each) for name, each in values.items()}
    for kind in ("cancer", "infection"):
        report[f"{kind}_at_no_sign"] = sum(
            getattr(r.truth, kind) and r.answer.check(kind).level is Level.NO_SIGN for r in results
        )
    report["n_cause_on_list"] = sum(result.cause_rank is not None for result in results)
    report["reliability"] = reliability(results)
    report["intervals"] = {name: _interval(each) for name, each in values.items()}
    report["cases"] = [_row(result) for result in results]
    return report


def _interval(values: Floats) -> list[float] | None:
    """95 % bootstrap interval of the mean over cases; samples in which no case can tell are left out."""
    if np.isnan(values).all():
        return None
    draws = values[np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))]
    counts = (~np.isnan(draws)).sum(axis=1)
    means = np.nansum(draws, axis=1)[counts > 0] / counts[counts > 0]
    return [float(bound) for bound in np.quantile(means, (0.025, 0.975))]


def reliability(results: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Leading group's probability against how often it was right, by bin."""
    leading = [(r.answer.differential.groups[0][1], r.group_rank == 1) for r in results]
    table = []
    for low, high in pairwise(BINS):
        inside = [(p, hit) for p, hit in leading if low < p <= high]
        if inside:
            mean = float(np.mean([p for p, _ in inside]))
            right = float(np.mean([hit for _, hit in inside]))
            table.append({"from": low, "to": high, "n": len(inside), "predicted": mean, "right": right})
    return table


def _row(result: CaseResult) -> dict[str, Any]:
    """One case, with the evidence behind a miss."""
    differential = result.answer.differential
    row: dict[str, Any] = {
        "id": result.id,
        "group": result.truth.group,
        "cause": result.truth.cause,
        "group_rank": result.group_rank,
        "cause_rank": result.cause_rank,
        "leading": [{"group": g, "probability": round(p, 4)} for g, p in differential.groups[:3]],
        "cancer": {"is": result.truth.cancer, "level": result.answer.check("cancer").level.value},
        "infection": {"is": result.truth.infection, "level": result.answer.check("infection").level.value},
        "brier": round(brier(result), 4),
    }
    if result.group_rank > 1:
        row["miss"] = {
            "put_first": _reasons(result, differential.top.cause),
            "stated": _reasons(result, result.truth.cause),
        }
    return row


def _reasons(result: CaseResult, cause: str | None) -> dict[str, Any] | None:
    if cause is None or cause == UNLISTED:
        return None
    row = result.answer.differential.row(cause)
    reasons = [f"{term.decibans:+.1f} dB {term.label}" for term in row.terms[:SHOWN_TERMS]]
    prior = round(row.prior_decibans, 1)
    return {"cause": cause, "probability": round(row.probability, 4), "prior_decibans": prior, "reasons": reasons}
