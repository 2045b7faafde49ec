"""Age, sex, how long, how it began: read from the whole report, the history first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from marrowscope.knowledge.report_terms import named
from marrowscope.knowledge.report_words import report_data, tokens_of
from marrowscope.reasoning.written.layout import OPENING, Sentence

OLDEST = 120.0
"""Years; a larger number is no age."""

MONTHS_A_YEAR = 12.0

_AGE = re.compile(
    r"(?i)\b(\d{1,3})\s*[- ]?\s*(?:(y(?:ea)?rs?|yrs?|y/?o|y\.o\.?|y(?=\s*(?:/|old|[mf]\b)))|(months?|mo)(?=[\s-]+old))"
    r"(?:[\s-]*old)?(?![\w]*\s+(?:ago|history|of\s+pain))\b"
)
_AGED = re.compile(r"(?i)\b(?:aged?|age:)\s*:?\s*(\d{1,3})\b")
_AGE_SEX = re.compile(r"(?<![\w.-])(\d{1,3})\s*[-/ ]?\s*(?:y\s*[-/ ]?\s*)?([MFmf])\b(?!\w)")
_AFTER_AGE = 40
"""Characters behind an age in which the person's sex is looked for."""


def _years(text: str) -> tuple[float | None, int]:
    """An age in years and where it ends in the text."""
    for match in _AGE.finditer(text):
        rest = text[match.end() : match.end() + _AFTER_AGE].lower()
        if (
            not re.match(r"\W*(?:old|-old|[a-z/-]*\s*(?:old)?\s*(?:[mf]\b|\w+))", rest)
            and "old" not in match[0].lower()
        ):
            continue
        if not ("old" in match[0].lower() or "o" in (match[2] or "").lower() or named("sexes", rest)):
            continue
        years = float(match[1]) / (MONTHS_A_YEAR if match[3] else 1.0)
        if years <= OLDEST:
            return years, match.end()
    for pattern in (_AGED, _AGE_SEX):
        if (found := pattern.search(text)) and float(found[1]) <= OLDEST:
            return float(found[1]), found.end(1)
    return None, 0


def age_and_sex(sentences: Sequence[Sentence]) -> tuple[float | None, str]:
    """Age in years, and ``female``, ``male`` or empty; sex is the word beside the age, else the only one named."""
    ordered = sorted(sentences, key=lambda sentence: sentence.section not in ("history", OPENING))
    for sentence in ordered:
        years, end = _years(sentence.text)
        if years is not None:
            sexes = named("sexes", sentence.text[end : end + _AFTER_AGE])
            return years, sexes[0] if sexes else _only_sex(ordered)
    return None, _only_sex(ordered)


def _only_sex(sentences: Sequence[Sentence]) -> str:
    said = {
        sex
        for sentence in sentences
        if sentence.section in ("history", OPENING)
        for sex in named("sexes", re.sub(r"\b[MFmf]\b|(?i:mother)", " ", sentence.text))
    }
    return said.pop() if len(said) == 1 else ""


@cache
def _amount() -> re.Pattern[str]:
    data = report_data("text")
    units = "|".join(sorted((re.escape(unit) for unit in data["units"] if unit[0] != "/"), key=len, reverse=True))
    numbers = "|".join(data["numbers"])
    return re.compile(
        rf"(?i)(?P<lead>\b(?:for|x|over|past|last|since|of|the)\s+)?(?:the\s+)?(?:past|last\s+)?"
        rf"\b(?P<count>\d{{1,3}}(?:\.\d)?|{numbers})\s*(?:(?P<unit>-?\s?(?:{units}))\b|(?P<slash>/(?:7|52|12))\b)"
        rf"(?P<after>\s*(?:ago|old|-old|post\w*|after|followed|earlier|from|previous|prior|then)\b|[\s-]*old)?"
    )


def _weeks(match: re.Match[str]) -> float:
    data = report_data("text")
    unit = match["slash"] or match["unit"].strip(" -").lower()
    count = match["count"].lower()
    number = float(data["numbers"][count]) if count in data["numbers"] else float(count)
    return number * float(data["units"][unit])


def weeks_of(sentences: Sequence[Sentence], injured: Sequence[str]) -> float | None:
    """How long it has lasted, in weeks; a time ``ago`` counts only beside the injury (the sentences ``injured``)."""
    told = [sentence for sentence in sentences if sentence.section in ("history", OPENING)]
    for sentence in told:
        for match in _amount().finditer(sentence.text):
            if not match["after"] and (match["slash"] or not match["count"].isalpha() or match["lead"]):
                return round(_weeks(match), 2)
    for sentence in told:
        for match in _amount().finditer(sentence.text):
            since = "since" in sentence.text[: match.start()].lower()
            if (match["after"] or "").strip() == "ago" and (since or sentence.text in injured):
                return round(_weeks(match), 2)
    return None


def onset_of(sentences: Sequence[Sentence]) -> str:
    """``sudden``, ``gradual``, ``incidental`` or empty, from the history."""
    told = [sentence for sentence in sentences if sentence.section in ("history", OPENING)]
    found = [name for sentence in told for name in named("onsets", sentence.text)]
    return found[0] if found and tokens_of(found[0]) else ""
