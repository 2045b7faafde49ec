"""What a report says, whichever way it is printed: the words of a page and of a PDF."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from marrowscope.report.view import ReportView

LAYOUT_ONLY = ("Measurements of lesion", "Passed:", "Cells", "Share as a bar", "Show the ", "Show versions")
"""Words that only open and close parts of the page; paper shows the parts open."""

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Text(HTMLParser):
    """The words of a page, and every tag and attribute in it."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "nav"} & set(self._open):  # links only name the sections below
            self.words.append(data)


def parsed(page: str) -> Text:
    """A page read."""
    reader = Text()
    reader.feed(page)
    return reader


def page_words(page: str) -> str:
    """Everything a page says, but for words that only open and close its parts."""
    return " ".join(w for w in parsed(page).words if not w.startswith(LAYOUT_ONLY))


def pdf_text(pdf: bytes, folder: Path) -> str:
    """Everything a PDF says, its page footers left out and broken addresses joined."""
    path = folder / "report.pdf"
    path.write_bytes(pdf)
    command = ["pdftotext", "-raw", str(path), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\f?Bone marrow report: [^\n]*\n?PRELIMINARY[^\n]*\n?\d+ / \d+\n", "\n", text)


def without_addresses(view: ReportView) -> ReportView:
    """The report without its sources' addresses: those break across lines on paper, and are compared apart."""
    return replace(view, sources=tuple(replace(s, url="") for s in view.sources))


def squeezed(text: str) -> str:
    """Text without spaces and break points."""
    return re.sub(r"[\s\u200b]", "", text)
