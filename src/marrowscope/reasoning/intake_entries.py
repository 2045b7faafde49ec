"""Entries of an intake, one kind at a time: a code or value becomes a Finding, or a mistake with the nearest word."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from marrowscope.findings import Finding, Origin, State
from marrowscope.knowledge.choices import choices, choose
from marrowscope.knowledge.findings import FindingDef, Kind, vocabulary
from marrowscope.knowledge.labs import Lab, labs
from marrowscope.knowledge.search import nearest, plain, rank
from marrowscope.reasoning.intake_text import Lined, Path

STATES = {
    **dict.fromkeys(("yes", "present", "true", "positive", "y", "seen", "confirmed", "definite"), State.PRESENT),
    **dict.fromkeys(
        ("no", "absent", "false", "negative", "n", "none", "not seen", "excluded", "ruled out"), State.ABSENT
    ),
    **dict.fromkeys(("unknown", "?", "not assessed", "", "null"), State.UNKNOWN),
}
_DOUBTING = (
    "possible possibly probable probably likely suspected suspicious suspicion questionable equivocal uncertain "
    "unclear doubtful indeterminate borderline maybe perhaps"
)
_NOT_EXCLUDED = {"cannot be excluded", "can not be excluded", "cannot exclude", "not excluded", "not ruled out"}
DOUBTS = frozenset(_DOUBTING.split()) | _NOT_EXCLUDED
"""Words that leave a finding open: it is kept as unknown with the word beside it, and counts neither way."""
_AMOUNT = re.compile(r"([<>]?)\s*([-+]?\d[\d.,]*)\s*(\D.*|)")
"""A bound as a laboratory prints it, a number, and the unit behind it, with or without a space."""

WEEK = "wk"
"""Unit (UCUM) of how long a symptom lasts."""


class Reader:
    """Reads entries and keeps the mistakes met on the way, as lines of text."""

    def __init__(self, lined: Lined) -> None:
        self._lined = lined
        self.mistakes: list[str] = []

    def mistake(self, path: Path, found: str, expected: str) -> None:
        """Keep one mistake with its place."""
        self.mistakes.append(f"{self._lined.where(path)}: {found}; expected: {expected}")

    def unknown_word(self, path: Path, word: str, known: Iterable[str], what: str) -> None:
        """Keep the mistake of a word that is not known, with the nearest ones."""
        close = nearest(word, known)
        self.mistake(path, f"{word!r} is not {what}", f"perhaps {' or '.join(close)}" if close else "another word")

    @staticmethod
    def number(raw: Any) -> float | None:
        """A finite number, or ``None``; a truth value is no number."""
        if isinstance(raw, bool):
            return None
        try:
            value = float(str(raw).replace(",", "."))
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def choice(self, path: Path, name: str, raw: Any) -> str | None:
        """The id of a closed choice such as the site."""
        found = choose(name, str(raw))
        if found is None:
            words = choices()[name]
            close = nearest(str(raw), [*words, *(also for choice in words.values() for also in choice.also)], 1)
            hint = f"perhaps {choose(name, close[0])}; all: " if close else ""
            self.mistake(path, f"{name} {raw!r}", f"{hint}{', '.join(words)}")
        return found

    def texts(self, name: str, raw: Any) -> list[str]:
        """A list of free texts."""
        if raw is None:
            return []
        if isinstance(raw, str):
            return [raw]
        if isinstance(raw, list) and all(isinstance(item, str | int | float) for item in raw):
            return [str(item) for item in raw]
        self.mistake((name,), f"{name} is {type(raw).__name__}", "a list of texts")
        return []

    def clinical(self, kind: Kind, raw: Any) -> list[Finding]:
        """Symptoms, history, conditions or drugs."""
        allowed = {Kind.SYMPTOM, Kind.HISTORY, Kind.CONDITION, Kind.DRUG}
        return self._coded((kind.value,), raw, allowed, Origin.HISTORY, "")

    def regions(self, raw: Any) -> list[Finding]:
        """Parts of the site."""
        return self._coded(("regions",), [raw] if isinstance(raw, str) else raw, {Kind.REGION}, Origin.READ, "")

    def imaging(self, raw: Any) -> list[Finding]:
        """Findings by modality, with the reader's name under ``by``."""
        if raw is None:
            return []
        if not isinstance(raw, dict):
            self.mistake(
                ("imaging",), f"imaging is {type(raw).__name__}", "modalities, e.g. `mri: {fracture_line: yes}`"
            )
            return []
        by = str(raw.get("by") or "person")
        found: list[Finding] = []
        for key, entries in raw.items():
            if key == "by":
                continue
            if (modality := choose("modality", key)) is None:
                self.unknown_word(("imaging", key), key, choices()["modality"], "a modality")
                continue
            found += self._coded(
                ("imaging", key), entries, {Kind.IMAGING, Kind.REGION}, Origin.READ, f"{by} / {modality}"
            )
        return found

    def _coded(self, path: Path, raw: Any, kinds: set[Kind], origin: Origin, by: str) -> list[Finding]:
        if raw is None or raw == "":
            return []
        if isinstance(raw, list):
            entries = [(str(code), "yes", (*path, str(i))) for i, code in enumerate(raw)]
        elif isinstance(raw, dict):
            entries = [(code, value, (*path, code)) for code, value in raw.items()]
        else:
            self.mistake(path, f"{path[-1]} is {raw!r}", "codes with yes, no or unknown, e.g. `fever: no`")
            return []
        found = (self._one(code, value, place, kinds, origin, by) for code, value, place in entries)
        return [finding for finding in found if finding is not None]

    def _one(self, code: str, raw: Any, path: Path, kinds: set[Kind], origin: Origin, by: str) -> Finding | None:
        item = vocabulary().get(code) or _by_words(code, kinds)
        if item is None or item.kind not in kinds:
            self._unknown_code(code, path, kinds, item)
            return None
        entry = raw if isinstance(raw, dict) else {"state": raw}
        if surplus := entry.keys() - {"state", "side", "note", "value", "unit", "weeks"}:
            self.mistake(path, f"{code} has {min(surplus)!r}", "state, side, note, weeks, value, unit")
            return None
        word = " ".join(str(entry.get("state", "yes")).lower().split()) if entry.get("state") is not None else ""
        state, doubt = (State.UNKNOWN, word) if word in DOUBTS else (STATES.get(word), "")
        if state is None:
            self.mistake(path, f"{code}: {entry.get('state')!r}", "yes, no or unknown")
            return None
        side = choose("side", str(entry.get("side", ""))) or ""
        value, unit = self._value(code, entry, path)
        note = "; ".join(text for text in (doubt, str(entry.get("note") or "")) if text)
        return Finding(item.code, state, origin, value, unit, side, by, note)

    def _value(self, code: str, entry: dict[str, Any], path: Path) -> tuple[float | None, str]:
        """The number of an entry: ``weeks`` it lasts, or ``value`` with ``unit``."""
        key = "weeks" if entry.get("weeks") is not None else "value"
        if entry.get(key) is None:
            return None, ""
        number = self.number(entry[key])
        if number is None or number < 0:
            self.mistake(path, f"{code}: {key} {entry[key]!r}", "a number from 0")
        return number, WEEK if key == "weeks" else str(entry.get("unit") or "")

    def _unknown_code(self, code: str, path: Path, kinds: set[Kind], item: FindingDef | None) -> None:
        if item is not None:
            self.mistake(path, f"{item.code} does not belong under {path[0]}", f"{item.code} under {item.kind.value}")
            return
        known = {key: (entry.label, *entry.also) for key, entry in vocabulary().items() if entry.kind in kinds}
        close = rank(code.replace("_", " "), known, 3)
        hint = f"perhaps {', '.join(close)}" if close else "a code of `marrowscope intake vocabulary`"
        self.mistake(path, f"{code!r} is not in the vocabulary", f"{hint}; what has no code goes under `uncoded`")

    def labs(self, raw: Any, sex: str, age: float | None) -> list[Finding]:
        """Laboratory values (``31 mg/L``), words (``high``) or ``{value, unit}``."""
        if raw is None:
            return []
        if not isinstance(raw, dict):
            self.mistake(("labs",), f"labs is {type(raw).__name__}", "items, e.g. `crp: 31 mg/L`")
            return []
        found = (self._lab(code, value, ("labs", code), sex, age) for code, value in raw.items())
        return [finding for finding in found if finding is not None]

    def _lab(self, code: str, raw: Any, path: Path, sex: str, age: float | None) -> Finding | None:
        lab = labs().get(code) or next((lab for lab in labs().values() if _named(lab, code)), None)
        if lab is None:
            close = rank(code.replace("_", " "), {key: (item.label, *item.also) for key, item in labs().items()}, 3)
            hint = f"perhaps {', '.join(close)}" if close else f"one of {', '.join(labs())}"
            self.mistake(path, f"{code!r} is not a laboratory item", hint)
            return None
        if raw is None or STATES.get(str(raw).lower()) is State.UNKNOWN:
            return None
        entry = raw if isinstance(raw, dict) else _split(raw)
        value = self.number(entry.get("value")) if "value" in entry else None
        if value is None:
            return self._lab_word(lab, entry, path)
        if entry.get("bound"):
            return self._lab_bound(lab, value, entry, path, lambda number: lab.level(number, sex, age))
        return self._lab_value(lab, value, str(entry.get("unit", "")), path, sex, age)

    def _lab_word(self, lab: Lab, entry: dict[str, Any], path: Path) -> Finding | None:
        word = str(entry.get("level", entry.get("value", "")))
        level = lab.word(word)
        if level is None:
            number = f"a number in {lab.unit}, or " if lab.numeric else ""
            self.mistake(path, f"{lab.code} {word!r}", f"{number}{' / '.join(lab.levels)}")
            return None
        return Finding(f"{lab.code}_{level}", State.PRESENT, Origin.LAB)

    def _lab_bound(
        self, lab: Lab, value: float, entry: dict[str, Any], path: Path, level: Callable[[float], str]
    ) -> Finding | None:
        """``<5 mg/L``: a level without a number, where everything beyond the bound has the same one."""
        below = entry["bound"] == "<"
        converted = lab.convert(value, entry["unit"]) if lab.numeric else None
        if converted is None or level(converted) != (lab.levels[0] if below else lab.levels[-1]):
            said = f"{lab.code} {entry['bound']}{value:g} {entry['unit']}".rstrip()
            self.mistake(path, said, f"a number in {lab.unit}, or {' / '.join(lab.levels)}: the bound leaves it open")
            return None
        return Finding(f"{lab.code}_{level(converted)}", State.PRESENT, Origin.LAB)

    def _lab_value(self, lab: Lab, value: float, unit: str, path: Path, sex: str, age: float | None) -> Finding | None:
        converted = lab.convert(value, unit) if lab.numeric else None
        if converted is None:
            units = " or ".join((lab.unit, *lab.factors)) if lab.numeric else " / ".join(lab.levels)
            self.mistake(path, f"{lab.code} {value:g} {unit}".rstrip(), units)
            return None
        if not lab.minimum <= converted <= lab.maximum:
            missing = lab.factors and not unit and value > 0
            also = f"; in {' or '.join(lab.factors)} write the unit" if missing else ""
            expected = f"{lab.minimum:g} to {lab.maximum:g} {lab.unit}{also}"
            self.mistake(path, f"{lab.code} {value:g} {unit}".rstrip(), expected)
            return None
        level, note = lab.level(converted, sex, age), "" if unit else _assumed(lab, converted, sex, age)
        return Finding(f"{lab.code}_{level}", State.PRESENT, Origin.LAB, converted, lab.unit, note=note)


def _split(raw: Any) -> dict[str, Any]:
    """``31 mg/L``, ``31mg/L`` or ``<5 mg/L`` to bound, value and unit; a bare word stays a level."""
    text = str(raw).strip()
    if (amount := _AMOUNT.fullmatch(text)) is None or Reader.number(amount[2]) is None:
        return {"level": text}
    return {"bound": amount[1], "value": amount[2], "unit": amount[3]}


def _assumed(lab: Lab, value: float, sex: str, age: float | None) -> str:
    """What to say of a bare number that another unit would put on another level; empty when there is no doubt."""
    other = lab.other_reading(value, sex, age)
    if other is None:
        return ""
    return (
        f"no unit was said, read as {lab.unit}; in {other[0]} it would be {other[1].replace('_', ' ')}: write the unit"
    )


def _named(lab: Lab, word: str) -> bool:
    return plain(word) in {plain(name) for name in (lab.code, lab.label, *lab.also)}


def _by_words(word: str, kinds: set[Kind]) -> FindingDef | None:
    """The one code a label or synonym names exactly; ``None`` when none or several."""
    wanted = plain(word)
    matches = [
        item
        for item in vocabulary().values()
        if item.kind in kinds and wanted in {plain(text) for text in (item.code, item.label, *item.also)}
    ]
    return matches[0] if len(matches) == 1 else None
