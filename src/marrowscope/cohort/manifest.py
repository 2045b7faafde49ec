"""The manifest: one row a study, checked whole before anything runs."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from marrowscope.errors import UsageError
from marrowscope.sites import site_names

REQUIRED = ("subject", "visit", "study")
OPTIONAL = ("site", "side", "bones", "intake")
SAFE_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
LONGEST_NAME = 40
SIDES = ("", "left", "right", "both")
BODY_PART = re.compile(r"_bp-([A-Za-z]+)")

SWAPPED = "side differs from the subject's other visits: change will be not assessable"


@dataclass(frozen=True)
class Row:
    """One study of the cohort.

    Attributes:
        line: line in the manifest (1 = header), 0 for a folder. subject, visit: as given.
        study: path. site, side: overrides or empty. bones, intake: further files or empty.
    """

    line: int
    subject: str
    visit: str
    study: str
    site: str = ""
    side: str = ""
    bones: str = ""
    intake: str = ""

    @property
    def name(self) -> str:
        """A safe folder name: the words kept where they are plain, else shortened with a hash."""
        plain = "_".join(x for x in (self.subject, self.visit, self.site, self.side) if x)
        safe = SAFE_NAME.sub("-", plain).strip(".-")[:LONGEST_NAME]
        if safe == plain:
            return safe
        return f"{safe}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Fate:
    """What will become of a row, said before anything runs.

    Attributes:
        row: which. runs: whether it will be assessed. reasons: why not, or what to expect of it.
    """

    row: Row
    runs: bool
    reasons: tuple[str, ...] = ()


def read_manifest(path: Path, site: str = "", side: str = "") -> tuple[Row, ...]:
    """Rows of a CSV manifest, or of a BIDS / MIDS folder.

    Paths in a CSV are taken from the manifest's own folder.

    Args:
        path: the file or folder. site, side: for rows that state none.

    Raises:
        UsageError: no such file, an unknown or missing column, or no row.
    """
    rows = _folder_rows(path) if path.is_dir() else _csv_rows(path)
    return tuple(replace(r, site=r.site or site, side=r.side or side) for r in rows)


def _csv_rows(path: Path) -> tuple[Row, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"a manifest that cannot be read ({path.name})", "a UTF-8 CSV file") from error
    reader = csv.DictReader(text.splitlines())
    columns = tuple(c.strip() for c in reader.fieldnames or ())
    missing = [c for c in REQUIRED if c not in columns]
    unknown = [c for c, n in Counter(columns).items() if n > 1 or c not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        raise UsageError(
            f"a manifest with columns {', '.join(columns) or '(none)'}",
            f"{', '.join(REQUIRED)} and any of {', '.join(OPTIONAL)}, each once, commas between",
            f"{'add ' + ', '.join(missing) if missing else 'remove ' + ', '.join(unknown)}",
        )
    lines = list(reader)
    if long := [n for n, r in enumerate(lines, 2) if None in r]:
        raise UsageError(
            f"more cells than columns in line {long[0]} of {path.name}",
            f"{len(columns)} cells a line",
            "put quotes around cells that hold a comma",
        )
    rows = tuple(
        _row(n, {k.strip(): (v or "").strip() for k, v in r.items()}, path.parent) for n, r in enumerate(lines, 2)
    )
    if not rows:
        raise UsageError(f"{path.name} has no rows", "one row a study")
    return rows


def _row(line: int, cells: dict[str, str], base: Path) -> Row:
    files = {k: str(base / cells[k]) if cells.get(k) else "" for k in ("study", "bones", "intake")}
    return Row(line, cells["subject"], cells["visit"], site=cells.get("site", ""), side=cells.get("side", ""), **files)


def _folder_rows(root: Path) -> tuple[Row, ...]:
    """``sub-X/ses-Y`` (BIDS, MIDS) or ``sub-X`` folders, each one study of images in any depth below."""
    rows = []
    for subject in sorted(p for p in root.glob("sub-*") if p.is_dir()):
        visits = sorted(p for p in subject.glob("ses-*") if p.is_dir()) or [subject]
        for visit in visits:
            name = visit.name.removeprefix("ses-") if visit is not subject else "1"
            rows.append(Row(0, subject.name.removeprefix("sub-"), name, str(visit), _body_part(visit)))
    if not rows:
        raise UsageError(f"{root.name} holds no sub-* folders", "a BIDS or MIDS folder, or a CSV manifest")
    return tuple(rows)


def _body_part(visit: Path) -> str:
    """The site that MIDS file names state (``..._bp-knee_...``), when all agree and it is one of ours."""
    named = {m[1].lower() for p in visit.rglob("*_bp-*") if (m := BODY_PART.search(p.name))}
    return next(iter(named)) if len(named) == 1 and named <= set(site_names()) else ""


def fates(rows: Iterable[Row]) -> tuple[Fate, ...]:
    """What each row will come to: wrong paths and twins do not run, swapped sides run with a warning."""
    every = tuple(rows)
    keys = Counter((r.subject, r.visit, r.site, r.side) for r in every)
    paths = Counter(_place(r) for r in every)
    subjects: dict[str, list[Row]] = {}
    for row in every:
        subjects.setdefault(row.subject, []).append(row)
    return tuple(_fate(r, subjects[r.subject], keys, paths) for r in every)


def _place(row: Row) -> tuple[str, str, str]:
    return str(Path(row.study).resolve()), row.site, row.side


def _fate(
    row: Row, own: list[Row], keys: Counter[tuple[str, str, str, str]], paths: Counter[tuple[str, str, str]]
) -> Fate:
    stop = [f"no such {what}: {Path(p).name}" for what, p in _files(row) if not Path(p).exists()]
    if not row.subject or not row.visit or not row.study:
        stop.append("subject, visit or study is empty")
    if row.side not in SIDES:
        stop.append(f"side {row.side!r}; expected left, right or both")
    if keys[row.subject, row.visit, row.site, row.side] > 1:
        stop.append("another row has the same subject, visit, site and side")
    if row.study and paths[_place(row)] > 1:
        stop.append("another row names the same study")
    if row.site and row.site not in site_names():
        stop.append(f"site {row.site!r}; expected one of {', '.join(site_names())}")
    if stop:
        return Fate(row, False, tuple(stop))
    return Fate(row, True, (SWAPPED,) if swapped(row, row.side, [(r, r.side) for r in own]) else ())


def swapped(row: Row, side: str, every: Iterable[tuple[Row, str]]) -> bool:
    """Whether the subject's other visits of the site show the other side and none shows this one."""
    others = [s for r, s in every if r.subject == row.subject and r.site == row.site and r.visit != row.visit and s]
    return bool(side and others and side not in others)


def _files(row: Row) -> tuple[tuple[str, str], ...]:
    pairs = (("study", row.study), ("bones file", row.bones), ("intake file", row.intake))
    return tuple((what, p) for what, p in pairs if p)
