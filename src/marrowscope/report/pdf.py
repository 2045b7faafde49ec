"""The report as PDF/A-2b, by typst with its embedded fonts only, from the same text as the HTML page.

typst refuses to write PDF/A where no font covers a character, and names each one; those are printed as ``U+XXXX``
and the report says so.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marrowscope.errors import MarrowscopeError
from marrowscope.report.view import ReportView

if TYPE_CHECKING:
    from marrowscope.report.figures import Figure

STANDARD: Final = "a-2b"

EPOCH = (1970, 1, 1)
"""PDF/A demands a date, and the same study must give the same bytes: a study without a date prints this one."""

MOST_PASSES = 20
"""Each pass replaces every uncovered character typst named; text that needs more is not text."""

LONGEST_WORD = 40
"""Longer words get break points, so that a hostile file name cannot run off the page."""

_UNCOVERED = re.compile(r'the text `"((?:\\.|[^"\\])*)"` could not be displayed')
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|(.))")
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_WORD_BREAK = "\u200b"


def render_pdf(view: ReportView, figures: Mapping[str, Figure], date: str = "") -> bytes:
    """The report as PDF/A-2b bytes; the same input gives the same bytes.

    Args:
        view: what it says. figures: its pictures. date: YYYY-MM-DD for the file's own metadata, or empty.

    Raises:
        MarrowscopeError: typst refuses the page for another reason than a missing glyph.
    """
    import typst

    fonts = typst.Fonts(include_system_fonts=False)
    uncovered: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="marrowscope-pdf-") as name:
        folder = Path(name)
        _write_inputs(folder, figures)
        for _ in range(MOST_PASSES):
            _write_data(folder, printable(view, uncovered), figures, date)
            compiler = typst.Compiler(str(folder / "report.typ"), font_paths=fonts, ignore_system_fonts=True)
            try:
                document = compiler.compile(format="pdf", pdf_standards=[STANDARD])
                assert isinstance(document, bytes)  # a PDF is one file; only pictures come page by page
                return document
            except typst.TypstError as error:
                named = uncovered_characters(error.diagnostic) - uncovered
                if not named:
                    raise MarrowscopeError(f"typst refused the report: {error.message}") from error
                uncovered |= named
    raise MarrowscopeError(f"{len(uncovered)} characters that no font covers", "text that can be printed")


def uncovered_characters(diagnostic: str) -> set[str]:
    """The characters typst's diagnostic says no embedded font covers."""
    return {c for quoted in _UNCOVERED.findall(diagnostic) for c in _ESCAPE.sub(_unescape, quoted)}


def _unescape(match: re.Match[str]) -> str:
    code, plain = match.groups()
    return chr(int(code, 16)) if code else _PLAIN_ESCAPES.get(plain, plain)


def printable(view: ReportView, uncovered: set[str]) -> dict[str, Any]:
    """The view as plain data with uncovered characters written out, and a line that says so."""
    if uncovered:
        listed = ", ".join(sorted(f"U+{ord(c):04X}" for c in uncovered))
        note = f"Printed by their code, because no embedded font shows them: {listed}"
        view = replace(view, warnings=(*view.warnings, note))
    data: dict[str, Any] = _deep(asdict(view), str.maketrans({c: f"U+{ord(c):04X}" for c in uncovered}))
    return data


def _deep(value: Any, table: Mapping[int, str]) -> Any:
    if isinstance(value, str):
        return _broken(value.translate(table))
    if isinstance(value, dict):
        return {key: _deep(part, table) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_deep(part, table) for part in value]
    return value


def _broken(text: str) -> str:
    """The text with break points inside words that are too long; identifiers stay whole."""
    if len(text) <= LONGEST_WORD or re.fullmatch(r"[0-9a-f.]{1,64}", text):
        return text
    cut = re.compile(rf"(\S{{{LONGEST_WORD}}})(?=\S)")
    return cut.sub(rf"\1{_WORD_BREAK}", text)


def _write_inputs(folder: Path, figures: Mapping[str, Figure]) -> None:
    template = resources.files("marrowscope.report") / "templates" / "report.typ"
    (folder / "report.typ").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    for name, figure in figures.items():
        (folder / f"{name}.png").write_bytes(figure.png)


def _write_data(folder: Path, view: dict[str, Any], figures: Mapping[str, Figure], date: str) -> None:
    data = {
        "view": view,
        "figures": {name: {"caption": f.caption} for name, f in figures.items()},
        "date": _date_parts(date),
    }
    (folder / "report.json").write_text(json.dumps(data, ensure_ascii=True), encoding="utf-8")


def _date_parts(date: str) -> tuple[int, int, int]:
    match = re.match(r"(\d{4})-(\d{2})-(\d{2})", date)
    if match is None:
        return EPOCH
    year, month, day = (int(n) for n in match.groups())
    return year, month, day
