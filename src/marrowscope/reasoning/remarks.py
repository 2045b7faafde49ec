"""What has to be said about an intake: that nobody checked it, a doubt that was kept, a unit that was assumed."""

from __future__ import annotations

from collections.abc import Iterator

from marrowscope.findings import State
from marrowscope.knowledge.findings import Kind, label_of, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.reasoning.intake import DRAFTED, Intake


def remarks(intake: Intake) -> tuple[str, ...]:
    """A draft first, then one sentence a statement that is not taken as it stands, in the order of the intake."""
    return tuple(_remarks(intake))


def _remarks(intake: Intake) -> Iterator[str]:
    if intake.drafted:
        yield f"{DRAFTED} Until its note is taken out, what follows counts as unchecked"
    for finding in intake.findings:
        item = vocabulary().get(finding.code)
        if item is None or not finding.note:
            continue
        if finding.state is State.UNKNOWN:
            yield f"{label_of(finding.code)}: {finding.note!r} leaves it open; counted neither way"
        elif item.kind is Kind.LAB and finding.value is not None:
            yield f"{labs()[item.section].label} {finding.value:g}: {finding.note}"
