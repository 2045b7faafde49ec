"""The cohort table: every result of the app and of the result folders named at the start, one row each."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from marrowscope.errors import ResultsError
from marrowscope.measurement import Severity
from marrowscope.web import records
from marrowscope.web.db import Revision, Study, VerdictRow
from marrowscope.web.standing import in_step
from marrowscope.web.views import assessment_of

if TYPE_CHECKING:
    from marrowscope.assessment.types import Assessment
    from marrowscope.web.desk import Desk

MAX_ROWS = 2000
"""Rows of one page; a larger cohort is read as tables."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


@dataclass(frozen=True)
class CohortRow:
    """One result.

    Attributes:
        key: opaque name that verdicts are kept under. label: what it is called. href: its page, or empty.
        site, outcome: as assessed. volume: edema volume in cm3 or None. lesions: how many.
        scores: label and total. problems: quality checks that are not fine. thumbnail: address, or empty.
        verdict: good, artefact, fail or empty. failed: why there is no result, or empty.
    """

    key: str
    label: str
    href: str = ""
    site: str = ""
    outcome: str = ""
    volume: float | None = None
    lesions: int | None = None
    scores: tuple[tuple[str, float | None], ...] = ()
    problems: tuple[str, ...] = ()
    thumbnail: str = ""
    verdict: str = ""
    failed: str = ""


def rows(desk: Desk) -> list[CohortRow]:
    """Every row, failures last."""
    with desk.database.begin() as db:
        verdicts = {v.key: v.verdict for v in db.scalars(select(VerdictRow))}
        studies = [
            in_step(desk, s)
            for s in db.scalars(select(Study).where(Study.with_images).order_by(Study.created_at).limit(MAX_ROWS))
        ]
        found = [_of_study(desk, s, records.latest(db, s.id), verdicts) for s in studies if s.state != "waiting"]
    for root in desk.settings.results:
        found += [_of_folder(root, folder, verdicts) for folder in result_folders(root)]
    return sorted(found[:MAX_ROWS], key=lambda row: bool(row.failed))


def _of_study(desk: Desk, study: Study, revision: Revision | None, verdicts: dict[str, str]) -> CohortRow:
    href = f"/studies/{study.id}"
    verdict = verdicts.get(study.id, "")
    if revision is None:
        found = (study.error or {}).get("found", study.state)
        return CohortRow(study.id, study.label, href, study.site, verdict=verdict, failed=str(found))
    picture = thumbnail_file(desk.folder.study(study.id).revision(1))
    address = f"/cohort/thumbnails/{study.id}.png" if picture else ""
    return _row(study.id, study.label, href, assessment_of(revision), address, verdict)


def _of_folder(root: Path, folder: Path, verdicts: dict[str, str]) -> CohortRow:
    key = folder_key(root, folder)
    label = folder.relative_to(root).as_posix() if folder != root else folder.name
    try:
        assessment = _read(folder, (folder / "assessment.json").stat().st_mtime_ns)
    except (ResultsError, OSError) as error:
        found = error.found if isinstance(error, ResultsError) else "the folder cannot be read"
        return CohortRow(key, label, verdict=verdicts.get(key, ""), failed=found)
    address = f"/cohort/thumbnails/{key}.png" if thumbnail_file(folder) else ""
    return _row(key, label, f"/cohort/results/{key}", assessment, address, verdicts.get(key, ""))


def _row(key: str, label: str, href: str, a: Assessment, picture: str, verdict: str) -> CohortRow:
    volume = a.total("edema_volume")
    bad = (Severity.WARNING, Severity.REFUSE)
    return CohortRow(
        key=key,
        label=label,
        href=href,
        site=a.site,
        outcome=a.outcome.value,
        volume=volume.value if volume else None,
        lesions=len(a.edema),
        scores=tuple((s.label, s.total.value) for s in a.scores),
        problems=tuple(dict.fromkeys(c.code for c in a.qc if c.severity in bad)),
        thumbnail=picture,
        verdict=verdict,
    )


@lru_cache(MAX_ROWS)
def _read(folder: Path, _changed: int) -> Assessment:
    from marrowscope.results import read_results

    return read_results(folder).assessment


def result_folders(root: Path) -> Iterator[Path]:
    """Folders below ``root`` (itself included) that hold an assessment, at most three deep, in name order."""
    for pattern in ("assessment.json", "*/assessment.json", "*/*/assessment.json"):
        yield from (p.parent for p in sorted(root.glob(pattern)))


def folder_key(root: Path, folder: Path) -> str:
    """The opaque name of a result folder: stable while it stays where it is."""
    return hashlib.sha256(f"{root.resolve()}\0{folder.relative_to(root)}".encode()).hexdigest()[:24]


def folder_of(desk: Desk, key: str) -> Path | None:
    """The result folder of a key: a study's automatic result, or one below the folders named at the start."""
    if len(key) == 12:
        return desk.folder.study(key).revision(1)
    for root in desk.settings.results:
        for folder in result_folders(root):
            if folder_key(root, folder) == key:
                return folder
    return None


def thumbnail_file(folder: Path) -> Path | None:
    """The picture that shows a result best: its first lesion, else the overview."""
    figures = folder / "figures"
    for pattern in ("lesion_*_fluid.png", "overview.png", "*.png"):
        if found := sorted(figures.glob(pattern)):
            return found[0]
    return None


def as_csv(found: Sequence[CohortRow]) -> str:
    """The table as CSV; texts that a spreadsheet would run are quoted with an apostrophe."""
    names = list(dict.fromkeys(name for row in found for name, _ in row.scores))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["key", "label", "site", "outcome", "edema_volume_cm3", "lesions", *names, "problems", "verdict", "failed"]
    writer.writerow([_safe(cell) for cell in head])
    for row in found:
        scores = dict(row.scores)
        numbers = [row.volume, row.lesions, *(scores.get(name) for name in names)]
        texts = [row.key, row.label, row.site, row.outcome]
        ends = [" ".join(row.problems), row.verdict, row.failed]
        cells = [*map(_safe, texts), *("" if n is None else f"{n:g}" for n in numbers), *map(_safe, ends)]
        writer.writerow(cells)
    return out.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
