"""The layout of a report: text, sections, sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from marrowscope.errors import IntakeError
from marrowscope.knowledge.report_words import report_data
from marrowscope.reasoning.written.privacy import any_of

MAX_CHARACTERS = 50_000
"""Longest report read, in characters: ten times a long one."""

MAX_SENTENCE = 600
"""Characters of one sentence that are read; run-on text is cut there, so that no reach is endless."""

FEWEST_LETTERS = 0.5
"""Share of letters and spaces below which a text is none."""

OPENING = "opening"
"""The section of what stands before any heading."""


@dataclass(frozen=True)
class Sentence:
    """One sentence, the section it stands in and the side its paragraph is about (or empty)."""

    text: str
    section: str
    side: str = ""


MAX_BYTES = 4 * MAX_CHARACTERS
"""Largest file opened: four bytes a character at most in UTF-8."""


def report_text(name: str) -> str:
    """The text of a report file, or of standard input for ``-``.

    Raises:
        IntakeError: the file cannot be read, is too large, or is not text. The name is never repeated: it may hold a
            patient's.
    """
    import sys

    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise IntakeError("the report file cannot be read", "a text file", "check the path") from error
    if len(raw) > MAX_BYTES:
        raise IntakeError("a file that is too large", f"a report of at most {MAX_CHARACTERS} characters")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise IntakeError("no readable text", "a radiology report in plain text", "export it as .txt (UTF-8)")


_WIDE, _EMPTY = re.compile(r"[^\S\n]{9,}"), re.compile(r"\n(?:[^\S\n]*\n){3,}")


def without_wide_gaps(text: str) -> str:
    """The text with long runs of blanks and empty lines shortened: they say nothing, and patterns dwell on them."""
    return _EMPTY.sub("\n\n\n", _WIDE.sub(" " * 8, text))


def check_text(text: str) -> None:
    """Refuse what cannot be a report.

    Raises:
        IntakeError: empty, too long, or not text.
    """
    if len(text) > MAX_CHARACTERS:
        raise IntakeError(f"{len(text)} characters", f"a report of at most {MAX_CHARACTERS}", "one report at a time")
    if not text.strip():
        raise IntakeError("an empty text", "a radiology report in plain text")
    plain_part = sum(char.isalpha() or char.isspace() for char in text)
    if _CONTROL.search(text) or "\ufffd" in text or plain_part < FEWEST_LETTERS * len(text):
        raise IntakeError("no readable text", "a radiology report in plain text", "export it as .txt (UTF-8)")


_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""Characters no text file holds."""


@cache
def _heading() -> re.Pattern[str]:
    names = any_of([name for names in report_data("text")["sections"].values() for name in names])
    inline = rf"(?:^|(?<=[.!?;\n])\s+|(?<=\n))[ \t]*(?P<name>{names})[ \t]*(?::|\s-\s|[ \t]*(?=\n|\Z))"
    return re.compile(rf"(?im){inline}")


@cache
def _section_of(name: str) -> str:
    wanted = " ".join(name.lower().split())
    return next(str(section) for section, names in report_data("text")["sections"].items() if wanted in names)


def sections(text: str) -> list[tuple[str, str]]:
    """The text cut at its headings: ``(section, text)``; without headings all of it is the opening."""
    found, section, at = [], OPENING, 0
    for match in _heading().finditer(text):
        found.append((section, text[at : match.start()]))
        section, at = _section_of(match["name"]), match.end()
    return [(name, part.strip()) for name, part in [*found, (section, text[at:])] if part.strip()]


_BULLET = re.compile(r"^\s*(?:[-*•·]|\d{1,2}[.)])\s+")
_LABEL = re.compile(r"^[A-Z][\w /,&-]{1,40}:")
_POINT = re.compile(
    r"(?<=[.!;])(?<!\b[Dd][Rr]\.)(?<!\b[Mm]r\.)(?<!\b[Mm]rs\.)(?<!\b[Mm]s\.)(?<!\b[Pp]rof\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bapprox\.)(?<!\by\.o\.)(?<!\byr\.)(?<!\byrs\.)\s+"
)


def _lines(text: str) -> Iterator[str]:
    """Lines joined where a sentence goes on in the next one."""
    held = ""
    for raw in text.splitlines():
        line = _BULLET.sub("", raw).strip()
        if not line:
            goes_on = False
        else:
            goes_on = bool(held) and held[-1] not in ".:;!?" and not _BULLET.match(raw) and not _LABEL.match(line)
        if held and not goes_on:
            yield held
            held = ""
        held = f"{held} {line}".strip()
    if held:
        yield held


def sentences(text: str) -> list[Sentence]:
    """Every sentence with its section; a paragraph's heading such as ``Left knee:`` gives the side."""
    found = []
    for section, part in sections(text):
        side = ""
        for line in _lines(part):
            side = _side_heading(line, side)
            for sentence in _POINT.split(line):
                pieces = [sentence[i : i + MAX_SENTENCE] for i in range(0, len(sentence), MAX_SENTENCE)]
                found += [Sentence(piece.strip(), section, side) for piece in pieces if piece.strip()]
    return found


_SIDE_HEADING = re.compile(r"(?i)^(?:the\s+)?(left|right)\b[\w ]{0,25}:")


def _side_heading(line: str, side: str) -> str:
    if match := _SIDE_HEADING.match(line):
        return match[1].lower()
    return "" if _LABEL.match(line) else side
