"""An Assessment as a :class:`ReportView`: choosing words, rounding numbers, ordering; no layout."""

from __future__ import annotations

from collections.abc import Sequence

from marrowscope.assessment.types import Assessment, LesionRecord, Outcome, ReleaseStatus, SeriesRecord
from marrowscope.findings import Finding
from marrowscope.knowledge.findings import label_of, vocabulary
from marrowscope.lesion.types import LesionKind, Verdict
from marrowscope.measurement import QcCheck, Severity
from marrowscope.report.changed import change_blocks
from marrowscope.report.reasoned import reasoning_parts
from marrowscope.report.references import LEGEND, References
from marrowscope.report.scores import score_view
from marrowscope.report.view import (
    BoneView,
    CheckLine,
    Fact,
    FindingLine,
    LesionView,
    RefusalLine,
    ReportView,
    SeriesLine,
    Triple,
    fact_of,
)
from marrowscope.report.words import measurement_text, number_text, percent_text, unit_text, word
from marrowscope.sites import load_site, site_names

SEVERITY_ORDER = (Severity.REFUSE, Severity.WARNING, Severity.NOTE, Severity.OK)
SEX_WORDS = {"F": "female", "M": "male", "O": "sex stated as other", "female": "female", "male": "male"}


def report_view(a: Assessment) -> ReportView:
    """Everything the report says, as text."""
    references = References()
    scores = tuple(score_view(s, references) for s in a.scores)
    reasoned = reasoning_parts(a.reasoning, references)
    return ReportView(
        title=_title(a),
        subtitle=_subtitle(a),
        status=a.status.value,
        banner=_banner(a),
        final=bool(a.released_by),
        disclaimer=a.disclaimer,
        outcome=word("outcomes", a.outcome.value),
        outcome_tone=_tone(a.outcome),
        impression=a.impression,
        with_images=a.outcome is not Outcome.NO_IMAGES,
        qc=tuple(check_line(c) for c in sorted(a.qc, key=lambda c: SEVERITY_ORDER.index(c.severity))),
        reference=_reference(a),
        reference_note=_reference_note(a),
        lesions=tuple(lesion_view(x, a) for x in _by_volume(a.lesions)),
        bones=tuple(BoneView(b.label, tuple(fact_of(_name(m.code), m) for m in b.measurements)) for b in a.bones),
        totals=tuple(fact_of(_name(m.code), m) for m in a.totals),
        scores=scores,
        findings=tuple(finding_line(f) for f in a.findings),
        series=tuple(series_line(s) for s in a.series),
        refusals=tuple(RefusalLine(r.what, r.reason) for r in a.refusals),
        not_assessed=tuple(Triple(n.what, n.why, n.needed) for n in a.not_assessed),
        edits=_edits(a),
        provenance=_provenance(a),
        **reasoned,
        change=change_blocks(a.change),
        sources=references.lines(),
        sources_note=LEGEND if a.reasoning else "",
    )


def site_label(site: str) -> str:
    """Words for a site, listed with a data file or not."""
    return load_site(site).label if site in site_names() else site.replace("_", " ")


def _name(code: str) -> str:
    return word("measurements", code)


def _title(a: Assessment) -> str:
    words = f"{a.side} {site_label(a.site)}" if a.side in ("left", "right") else site_label(a.site)
    return f"Bone marrow report: {words}"


def _subtitle(a: Assessment) -> str:
    parts = [f"Study date {a.provenance.study_date}" if a.provenance.study_date else "Study date not stated"]
    if a.outcome is Outcome.NO_IMAGES:
        parts = ["From history and written report"]
    elif a.side not in ("left", "right", "both"):
        parts.append("side not stated")
    if a.subject.age_years is not None:
        parts.append(f"age {number_text(a.subject.age_years, 'a').removesuffix('.0')} years")
    if a.subject.sex in SEX_WORDS:
        parts.append(SEX_WORDS[a.subject.sex])
    return " · ".join(parts)


def _banner(a: Assessment) -> str:
    """The release state; signed is what carries a name, an amended result without one waits for its signature."""
    if a.released_by:
        return f"{word('releases', a.status.value)}. Released by {a.released_by}, {a.released_at}."
    if a.status is ReleaseStatus.AMENDED:
        return f"{word('releases', a.status.value)} after release. Not signed again by a clinician."
    return f"{word('releases', ReleaseStatus.PRELIMINARY.value)}. Not signed by a clinician."


def _tone(outcome: Outcome) -> str:
    if outcome in (Outcome.DIFFUSE_NOT_EXCLUDED, Outcome.NOT_ASSESSABLE):
        return "alert"
    return "plain"


def check_line(check: QcCheck) -> CheckLine:
    """One quality check as text; slices count from 1."""
    slices = f"slices {_ranges([i + 1 for i in check.slices])}" if check.slices else ""
    value = measurement_text(check.value) if check.value is not None else ""
    return CheckLine(
        name=word("qc", check.code),
        severity=check.severity.value,
        severity_word=word("severities", check.severity.value),
        message=check.message,
        consequence=check.consequence,
        value=value,
        slices=slices,
    )


def _ranges(numbers: Sequence[int]) -> str:
    """``1–3, 7`` for 1 2 3 7."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


def _reference(a: Assessment) -> tuple[Fact, ...]:
    return tuple(fact_of(_name(m.code), m) for m in a.reference.measurements) if a.reference else ()


def _reference_note(a: Assessment) -> str:
    if a.reference is None:
        return "" if a.outcome is Outcome.NO_IMAGES else "No reference marrow was found: lesions were not searched for."
    return f"{'Trusted' if a.reference.trusted else 'Not trusted'}: {a.reference.reason}"


def _by_volume(lesions: tuple[LesionRecord, ...]) -> list[LesionRecord]:
    """Counted lesions first, larger before smaller."""

    def key(x: LesionRecord) -> tuple[bool, bool, float, int]:
        volume = x.measurement("volume")
        size = volume.value if volume and volume.value is not None else 0.0
        return (x.verdict is Verdict.REJECTED, x.kind is not LesionKind.EDEMA, -size, x.label)

    return sorted(lesions, key=key)


def lesion_view(x: LesionRecord, a: Assessment) -> LesionView:
    """One lesion as text."""
    volume = x.measurement("volume")
    count = slice_count(a)
    names = site_part_labels(a.site, x.regions)
    side = f"{x.side} " if x.side and x.side not in x.place else ""
    return LesionView(
        label=x.label,
        code=x.code,
        kind=word("kinds", x.kind.value),
        place=f"{side}{x.place}",
        regions=", ".join(names),
        verdict=word("verdicts", x.verdict.value),
        confidence=percent_text(x.confidence),
        reasons=x.reasons,
        slice_text=f"slice {x.key_slice + 1}" + (f" of {count}" if count else ""),
        volume=fact_of("volume", volume) if volume else None,
        facts=tuple(fact_of(_name(m.code), m) for m in x.measurements),
        counted=x.kind is LesionKind.EDEMA and x.verdict is not Verdict.REJECTED,
    )


def slice_count(a: Assessment) -> int | None:
    """Slices of the fluid series, None without one."""
    fluid = next((s for s in a.series if s.used_as == "fluid"), None)
    return fluid.shape[a.provenance.slice_axis] if fluid else None


def site_part_labels(site: str, codes: Sequence[str]) -> list[str]:
    """Words for bone and region codes."""
    if site not in site_names():
        return [c.replace("_", " ") for c in codes]
    words = load_site(site)
    return [words.label_of(c) for c in codes]


def finding_words(code: str) -> str:
    """The vocabulary's words for a finding; the code, spaced, when it is none of its."""
    return label_of(code) if code in vocabulary() else code.replace("_", " ")


def finding_line(f: Finding) -> FindingLine:
    """One finding as text."""
    value = f"{number_text(f.value, f.unit)} {unit_text(f.unit)}".strip() if f.value is not None else ""
    side = f" ({f.side})" if f.side else ""
    name = f"{finding_words(f.code)}{side}"
    return FindingLine(name, word("states", f.state.value), word("origins", f.origin.value), value, f.by, f.note)


def series_line(s: SeriesRecord) -> SeriesLine:
    """One series as text."""
    return SeriesLine(
        number="" if s.number is None else str(s.number),
        description=s.description or "no description",
        role=word("roles", s.role),
        kind=word("sequence_classes", s.sequence_class),
        plane=s.plane,
        grid=f"{' × '.join(map(str, s.shape))}, {' × '.join(f'{x:.2f}' for x in s.spacing_mm)} mm",
        used_as=word("roles", s.used_as) if s.used_as else "not used",
        reasons=s.reasons,
    )


def _edits(a: Assessment) -> tuple[str, ...]:
    lines = []
    for e in a.edits:
        target = e.target or (f"lesion {e.label}" if e.label else "")
        value = f" = {e.value}" if e.value is not None else ""
        reason = f" ({e.reason})" if e.reason else ""
        lines.append(f"{e.at} {e.by}: {e.kind.value.replace('_', ' ')} {target}{value}{reason}".strip())
    return tuple(lines)


def _provenance(a: Assessment) -> tuple[tuple[str, str], ...]:
    p = a.provenance
    pairs = [
        ("software", p.software),
        ("bones found by", p.anatomy),
        ("lesions found by", p.detector),
        *((f"model {name}", value) for name, value in sorted(p.models.items())),
        *((f"input {name}, SHA-256", value) for name, value in sorted(p.input_sha256.items())),
        *((f"setting {name}", f"{value}") for name, value in sorted(p.settings.items()) if value is not None),
        ("study UID", p.study_uid),
        ("fluid series", p.fluid_series_uid),
        ("schema of assessment.json", a.schema_version),
    ]
    return tuple((k, v) for k, v in pairs if v)
