"""Numbers for sources: each statement carries the number of its source, and the report lists them once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from marrowscope.report.view import SourceLine

if TYPE_CHECKING:
    from marrowscope.knowledge.load import Claim

JUDGEMENT = "[J]"
"""What stands where no source was opened for a statement."""

LEGEND = "[J] marks expert judgement: no source was opened for that statement."


class References:
    """Gives every source a number at its first mention."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def keys(self, sources: Iterable[str]) -> str:
        """``[1, 4]`` for source keys, or :data:`JUDGEMENT` for none."""
        numbers = [self._numbers.setdefault(key, len(self._numbers) + 1) for key in sources]
        return f"[{', '.join(map(str, sorted(numbers)))}]" if numbers else JUDGEMENT

    def claim(self, claim: Claim) -> str:
        """The statement with its basis."""
        return f"{claim.text} {self.keys(claim.sources)}"

    def lines(self) -> tuple[SourceLine, ...]:
        """Every source mentioned, in the order of its number."""
        from marrowscope.knowledge.load import sources

        known = sources()
        found = []
        for key, number in self._numbers.items():
            source = known.get(key)
            year = f", {source.year}" if source and source.year else ""
            found.append(SourceLine(number, f"{source.title}{year}" if source else key, source.url if source else ""))
        return tuple(found)
