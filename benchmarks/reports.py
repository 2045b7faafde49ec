"""How well written reports are read: made-up reports with the codes a person reads from them.

python -m benchmarks reports            what was looked at while developing, and two sets that were held out
python -m benchmarks reports --misses   every error of the first set

A set is held out once: the faults its first run showed were repaired afterwards, so that only the figures of that run,
kept here, are an estimate; those of today say that nothing was lost since.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks import ROOT

HALVES = {"first": "developed on", "second": "held out once", "third": "held out once", "fourth": "held out once"}

FIRST_RUN = {
    "second": "at 0c57d11: precision 0.970, recall 0.945; denied read as present 2 of 76; signs not read 4 of 132",
    "third": "at 13828bd: precision 0.983, recall 0.950; denied read as present 0 of 62; signs not read 4 of 73",
    "fourth": "at cbf0251: precision 0.987, recall 0.917; denied read as present 1 of 29; signs not read 3 of 33",
}
"""Figures of the run before anyone had looked at the set's errors, and the commit that prints them again."""


@dataclass
class Score:
    """Counts over reports; a pair is (code, present or absent)."""

    found: int = 0
    spurious: int = 0
    missed: int = 0
    turned: int = 0
    grave: int = 0
    denied: int = 0
    red_said: int = 0
    red_missed: int = 0
    red_unseen: int = 0
    person_right: int = 0
    person_asked: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Share of the pairs read that are right."""
        return self.found / max(1, self.found + self.spurious)

    @property
    def recall(self) -> float:
        """Share of the pairs to be read that were read."""
        return self.found / max(1, self.found + self.missed)


def cases(half: str, folder: Path = ROOT / "tests" / "reports") -> dict[str, dict[str, Any]]:
    """The reports of one set by name."""
    data: dict[str, dict[str, Any]] = yaml.safe_load((folder / f"{half}.yaml").read_text(encoding="utf-8"))
    return data


def red_flags() -> frozenset[str]:
    """Codes a criterion or flag of the cancer or infection check names: what must not be missed."""
    from marrowscope.knowledge.load import read_yaml

    def words(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (word for part in node.values() for word in words(part))
        elif isinstance(node, list):
            yield from (word for part in node for word in words(part))
        else:
            yield str(node)

    from marrowscope.knowledge.findings import vocabulary

    named = {
        word
        for check in ("cancer", "infection")
        for part in read_yaml(f"checks/{check}.yaml").values()
        for word in words(part)
    }
    return frozenset(named & vocabulary().keys())


def read_case(case: dict[str, Any]) -> Any:
    """The report read as asked."""
    from marrowscope.reasoning.written.read import read_report

    return read_report(case["text"], **case.get("asked", {}))


def pairs_of(read: Any) -> dict[str, str]:
    """Code -> present or absent, laboratory levels included."""
    from marrowscope.reasoning.written.laboratory import finding_of

    found = {item.code: item.state.value for item in read.coded}
    for item in read.labs:
        finding = finding_of(item.code, item.value, read.sex, read.age)
        if finding is not None:
            found[finding.code] = "present"
    return found


def score(half: str) -> Score:
    """Read every report of a set and compare."""
    from marrowscope.knowledge.findings import implied

    total, red = Score(), red_flags()
    for name, case in cases(half).items():
        read = read_case(case)
        got = pairs_of(read)
        wanted = dict.fromkeys(case["present"], "present") | dict.fromkeys(case["absent"], "absent")
        free = set(case.get("may", ()))
        general = {code for item in case["present"] for code in implied(item)}
        unsure = {item.code for item in read.left}
        for code, state in got.items():
            if wanted.get(code) == state:
                total.found += 1
            elif code not in free and not (state == "present" and code in general):
                total.spurious += 1
                total.turned += code in wanted
                grave = state == "present" and (wanted.get(code) == "absent" or code in case.get("open", ()))
                total.grave += grave
                total.lines.append(f"{name}: read {code} {state}{', IS DENIED' if grave else ''}")
        missing = [code for code, state in wanted.items() if got.get(code) != state]
        total.missed += len(missing)
        total.lines += [f"{name}: missed {code} {wanted[code]}" for code in missing]
        total.denied += len(case["absent"])
        said_red = [code for code in case["present"] if code in red]
        gone = [code for code in said_red if got.get(code) != "present"]
        total.red_said += len(said_red)
        total.red_missed += len(gone)
        total.red_unseen += sum(code not in unsure for code in gone)
        total.lines += [f"{name}: RED FLAG missed {code}" for code in gone]
        for key, value in case.get("said", {}).items():
            total.person_asked += 1
            right = getattr(read, key) == value or (key == "weeks" and abs((read.weeks or 0) - value) < 0.1 * value)
            total.person_right += right
            if not right:
                total.lines.append(f"{name}: {key} {getattr(read, key)!r}, not {value!r}")
    return total


def line_of(half: str, total: Score) -> list[str]:
    """The figures of one set in words."""
    return [
        f"{half} set ({HALVES[half]}), {len(cases(half))} reports, {total.found + total.missed} codes to read",
        *([f"  first run: {FIRST_RUN[half]}"] if half in FIRST_RUN else []),
        f"  precision {total.precision:.3f}, recall {total.recall:.3f} of (code, present or absent)",
        f"  denied or asked, read as present: {total.grave} of {total.denied}",
        f"  cancer or infection signs said present, not read: {total.red_missed} of {total.red_said}",
        f"  site, side, age, sex, weeks, onset: {total.person_right} of {total.person_asked} right",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="every error of the first set")
    parser.add_argument("--half", choices=tuple(HALVES), action="append", help="only this set")
    chosen = parser.parse_args(arguments)
    for half in chosen.half or HALVES:
        total = score(half)
        print("\n".join(line_of(half, total)))
        if chosen.misses and half == "first":
            print("\n".join(f"  {line}" for line in total.lines))
    return 0
