"""The impression: at most 80 words to paste. Site, extent, explanation seen or not, limits, next step."""

from __future__ import annotations

from marrowscope.assessment.types import Assessment, Outcome
from marrowscope.measurement import Severity
from marrowscope.sites import load_site, site_names

WORD_LIMIT = 80
MOST_PLACES = 2
"""Places named in words; the table lists all."""


def impression_of(assessment: Assessment) -> str:
    """The impression of a finished draft, cut at whole sentences to the word limit."""
    sentences = [_extent(assessment), *_reasoning(assessment), *_limits(assessment)]
    signed = f"Released by {assessment.released_by}." if assessment.released_by else "Preliminary, a clinician decides."
    sentences.append(f"{signed} For research use.")
    return _within_limit(sentences)


def _extent(a: Assessment) -> str:
    where = _site_words(a)
    if a.outcome is Outcome.LESIONS:
        total = a.total("edema_volume")
        amount = f"{total.value:.1f} cm3" if total and total.value is not None else "volume not assessable"
        places = list(dict.fromkeys(x.place for x in a.edema))
        more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
        noun = "area" if len(a.edema) == 1 else "areas"
        return (
            f"{where}: edema-like marrow signal, {amount} in {len(a.edema)} {noun} "
            f"({', '.join(places[:MOST_PLACES])}{more})."
        )
    words = {
        Outcome.NO_LESION_FOUND: "no edema-like lesion found; this does not exclude disease.",
        Outcome.DIFFUSE_NOT_EXCLUDED: "no focal lesion found, but diffuse marrow abnormality is not excluded.",
        Outcome.NOT_ASSESSABLE: "marrow edema is not assessable on this exam.",
        Outcome.NO_IMAGES: "no images were given; reasoning from history and report alone.",
    }
    return f"{where}: {words[a.outcome]}"


def _site_words(a: Assessment) -> str:
    label = load_site(a.site).label if a.site in site_names() else a.site.replace("_", " ")
    return f"{a.side} {label}".strip().capitalize()


def _reasoning(a: Assessment) -> list[str]:
    return [str(s) for s in (a.reasoning or {}).get("impression", ())]


def _limits(a: Assessment) -> list[str]:
    problems = [c.code.replace("_", " ") for c in a.qc if c.severity in (Severity.WARNING, Severity.REFUSE)]
    return [f"Limits: {', '.join(dict.fromkeys(problems))}."] if problems else []


def _within_limit(sentences: list[str]) -> str:
    kept: list[str] = []
    last = sentences[-1]
    for sentence in sentences[:-1]:
        if len(" ".join([*kept, sentence, last]).split()) <= WORD_LIMIT:
            kept.append(sentence)
    return " ".join([*kept, last])
