"""Was contrast given before this series? Header, words, and the time of injection against each series' own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from marrowscope.study.header import Header
from marrowscope.study.sequence import description_of
from marrowscope.study.types import Reason
from marrowscope.study.words import denies_contrast, meanings

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class ContrastFacts:
    """What one series' header says.

    Attributes:
        agent: an agent is named (True), denied (False) or not mentioned (None).
        after_words, before_words: the description says after, or before, contrast.
        injected_s, acquired_s: injection and acquisition, seconds after midnight.
    """

    agent: bool | None
    after_words: bool
    before_words: bool
    injected_s: float | None
    acquired_s: float | None


def facts_of(header: Header, agent: bool | None) -> ContrastFacts:
    """The contrast facts of a series' header; ``agent`` as :func:`sequence_of` read it."""
    described = description_of(header)
    before, after = contrast_words(described)
    acquired = seconds(header.text("AcquisitionTime") or header.text("ContentTime"))
    moment = header.text("AcquisitionDateTime") or header.text("FrameAcquisitionDateTime")
    if acquired is None:
        acquired = seconds(moment[8:])
    injected = seconds(header.text("ContrastBolusStartTime"))
    return ContrastFacts(agent, after, before, injected, acquired)


def contrast_words(text: str) -> tuple[bool, bool]:
    """Whether a description says before, and whether it says after contrast; both when it names both."""
    words = meanings(text)
    if "both_contrast" in words:
        return True, True
    return "no_contrast" in words, "contrast" in words and not denies_contrast(text)


def seconds(text: str) -> float | None:
    """A DICOM time (HHMMSS.ffffff) in seconds after midnight, None when it is not one."""
    digits = text.replace(":", "")
    if len(digits) < 4 or not digits[:4].isdigit():
        return None
    second = digits[4:6] if digits[4:6].isdigit() else "0"
    value = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(second)
    return float(value) if value < _SECONDS_A_DAY else None


def injection_time(all_facts: Iterable[ContrastFacts]) -> float | None:
    """The study's first injection: a stated start, else None."""
    stated = [f.injected_s for f in all_facts if f.injected_s is not None]
    return min(stated, default=None)


def settle(facts: ContrastFacts, injected_s: float | None) -> tuple[bool | None, tuple[Reason, ...]]:
    """Whether contrast was on board, and why.

    The clock wins over a tag that a scanner copies into every series; words win over an absent tag.
    """
    if injected_s is not None and facts.acquired_s is not None:
        after = facts.acquired_s >= injected_s
        code = "after_injection" if after else "before_injection"
        return after, (Reason(code, f"acquired {'after' if after else 'before'} the injection, by the clock"),)
    if facts.agent is False or (facts.before_words and not facts.after_words):
        return False, (Reason("no_contrast", "no contrast agent, by header or words"),)
    if facts.agent:
        return True, (Reason("agent_named", "a contrast agent is named in the header"),)
    if facts.after_words and not facts.before_words:
        return True, (Reason("contrast_words", "described as after contrast"),)
    return None, ()
