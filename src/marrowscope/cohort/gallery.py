"""``gallery.html``: one picture a study, outline on and off, a verdict by key, failures as CSV for a re-run."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment

from marrowscope.cohort.manifest import Row
from marrowscope.cohort.run import STUDIES, Outcome
from marrowscope.errors import UsageError
from marrowscope.report.folder import CAPTIONS

STATUS_WORDS = {"done": "assessed", "partly_not_assessable": "assessed in part", "not_run": "not run"}


@dataclass(frozen=True)
class Card:
    """One study of the gallery; paths are relative to the gallery."""

    subject: str
    visit: str
    name: str
    plain: str
    outlined: str
    alt: str
    words: str
    report: str


def write_gallery(rows: Sequence[Row], outcomes: Sequence[Outcome], out: Path) -> None:
    """Write ``gallery.html`` below ``out``."""
    cards = [_card(row, outcome, out) for row, outcome in zip(rows, outcomes, strict=True)]
    template = (resources.files("marrowscope.cohort") / "templates" / "gallery.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(template).render(cards=cards)
    (out / "gallery.html").write_text(page, encoding="utf-8", newline="\n")


def _card(row: Row, outcome: Outcome, out: Path) -> Card:
    folder = out / STUDIES / row.name
    base = f"{STUDIES}/{row.name}"
    first = _largest(folder)
    plain, outlined = (f"{base}/figures/{first}_plain.png", f"{base}/figures/{first}_fluid.png") if first else ("", "")
    if not first and (folder / "figures" / "overview.png").is_file():
        plain = f"{base}/figures/overview.png"
    impression = folder / "impression.txt"
    words = impression.read_text(encoding="utf-8").strip() if impression.is_file() else outcome.reason
    report = f"{base}/index.html" if (folder / "index.html").is_file() else ""
    return Card(
        row.subject,
        row.visit,
        row.name,
        plain,
        outlined,
        f"Key image of {row.name}",
        f"{STATUS_WORDS.get(outcome.status, outcome.status)}: {words}",
        report,
    )


def _largest(folder: Path) -> str:
    """The code of the largest lesion that has pictures: captions are kept in the order of drawing, largest first."""
    captions = folder / CAPTIONS
    if not captions.is_file():
        return ""
    names = json.loads(captions.read_text(encoding="utf-8"))
    return next((n.removesuffix("_plain") for n in names if n.startswith("lesion_") and n.endswith("_plain")), "")


def only_failures(rows: Sequence[Row], failures: Path) -> frozenset[str]:
    """Names of the rows that an exported ``failures.csv`` names.

    Raises:
        UsageError: not such a file, or it names none of the manifest's rows.
    """
    try:
        listed = list(csv.DictReader(failures.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"no file {failures.name}", "failures.csv exported from the gallery") from error
    chosen = frozenset(r.get("name", "") for r in listed) & {r.name for r in rows}
    if not chosen:
        raise UsageError(f"{failures.name} names no row of the manifest", "failures.csv exported from this cohort")
    return chosen
