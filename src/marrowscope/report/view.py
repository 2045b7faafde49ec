"""The report before it is laid out: every sentence and number as text, once. HTML and PDF print this alone."""

from __future__ import annotations

from dataclasses import dataclass

from marrowscope.measurement import Measurement
from marrowscope.report.words import interval_text, is_missing, value_text


@dataclass(frozen=True)
class Fact:
    """One measurement as text.

    Attributes:
        label: words. value: number with unit, or the status. interval: its two ends, or empty.
        note: what the interval holds, or the reason there is no value. missing: whether there is none.
    """

    label: str
    value: str
    interval: str = ""
    note: str = ""
    missing: bool = False


def fact_of(label: str, measurement: Measurement) -> Fact:
    """A measurement as text."""
    interval = interval_text(measurement)
    note = measurement.reason or (measurement.interval_basis if interval else "")
    return Fact(label, value_text(measurement), interval, note, is_missing(measurement))


@dataclass(frozen=True)
class CheckLine:
    """One quality check: name, severity (``ok``, ``note``, ``warning``, ``refuse``) with its word, what it means."""

    name: str
    severity: str
    severity_word: str
    message: str
    consequence: str = ""
    value: str = ""
    slices: str = ""


@dataclass(frozen=True)
class LesionView:
    """One lesion as text; ``code`` names its pictures (``<code>_fluid`` ...), ``counted`` whether it adds to totals."""

    label: int
    code: str
    kind: str
    place: str
    regions: str
    verdict: str
    confidence: str
    reasons: tuple[str, ...]
    slice_text: str
    volume: Fact | None
    facts: tuple[Fact, ...]
    counted: bool


@dataclass(frozen=True)
class BoneView:
    """One searched bone and its measurements."""

    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class ScoreView:
    """One score with its cells as a grid: a heading a row, one text a cell (``–`` = no such cell)."""

    label: str
    total: Fact
    range_text: str
    origin: str
    statement: str
    context: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    ungraded: tuple[str, ...]
    sources: str


@dataclass(frozen=True)
class SeriesLine:
    """One series of the study and what became of it."""

    number: str
    description: str
    role: str
    kind: str
    plane: str
    grid: str
    used_as: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RefusalLine:
    """Something that was not used, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Triple:
    """What was not assessed, why, and what would allow it."""

    what: str
    why: str
    needed: str = ""


@dataclass(frozen=True)
class FindingLine:
    """One finding: words, state, who says so, the number behind it."""

    name: str
    state: str
    origin: str
    value: str = ""
    by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Block:
    """A titled part of a section that other rooms fill: paragraphs, then bullet lines, then a table.

    Attributes:
        title: heading. tone: ``plain``, ``alert`` (must not be missed) or ``good``.
        lead: one line under the heading, e.g. a level. paragraphs, bullets: text.
        columns, rows: a small table, or empty. fine_print: limits, last and small.
    """

    title: str
    tone: str = "plain"
    lead: str = ""
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    fine_print: tuple[str, ...] = ()


@dataclass(frozen=True)
class CauseLine:
    """One ranked cause: its share as text and as 0-1 for a bar, the share's range, reasons for and against."""

    rank: int
    label: str
    group: str
    share_text: str
    range_text: str
    share: float
    reasons_for: tuple[str, ...]
    reasons_against: tuple[str, ...]


@dataclass(frozen=True)
class SourceLine:
    """One source: the number statements carry, its title, its address."""

    number: int
    title: str
    url: str


@dataclass(frozen=True)
class ReportView:
    """A whole report as text.

    Attributes:
        title, subtitle: what the report is about, without any name.
        status, banner, final: release state; disclaimer: what it is for.
        outcome, outcome_tone, impression: the headline.
        qc, lesions, bones, totals, scores, findings, series, refusals, not_assessed: the body.
        reference: the marrow brightness is judged against.
        checks, causes, ranking_notes, plan, change: reasoning and follow-up.
        checks_first: whether the not-to-miss checks stand above the impression.
        sources: every source a statement above carries the number of, and what else stands in brackets.
        provenance: label and value pairs. edits: what a person changed.
        with_images: False for an intake alone.
    """

    title: str
    subtitle: str
    status: str
    banner: str
    final: bool
    disclaimer: str
    outcome: str
    outcome_tone: str
    impression: str
    with_images: bool
    qc: tuple[CheckLine, ...] = ()
    reference: tuple[Fact, ...] = ()
    reference_note: str = ""
    lesions: tuple[LesionView, ...] = ()
    bones: tuple[BoneView, ...] = ()
    totals: tuple[Fact, ...] = ()
    scores: tuple[ScoreView, ...] = ()
    findings: tuple[FindingLine, ...] = ()
    checks: tuple[Block, ...] = ()
    checks_first: bool = False
    causes: tuple[CauseLine, ...] = ()
    ranking_notes: tuple[str, ...] = ()
    plan: tuple[Block, ...] = ()
    change: tuple[Block, ...] = ()
    series: tuple[SeriesLine, ...] = ()
    refusals: tuple[RefusalLine, ...] = ()
    not_assessed: tuple[Triple, ...] = ()
    edits: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    sources: tuple[SourceLine, ...] = ()
    sources_note: str = ""
    warnings: tuple[str, ...] = ()
