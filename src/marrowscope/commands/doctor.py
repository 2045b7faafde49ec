"""``marrowscope doctor``: what works in this installation, what is missing, and the line to type for it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from marrowscope.errors import ExitCode, MarrowscopeError

LEAST_MEMORY_GB = 2.0
"""Free memory a study may need (the goal is 1.5 GB), with room for the system."""

LEAST_DISK_GB = 1.0
"""Free space where results are written; one folder takes tens of megabytes."""

EXTRAS = {
    "web": ("fastapi", "uvicorn", "sqlalchemy", "alembic", "multipart", "argon2"),
    "cohort": ("dask", "distributed", "pyarrow"),
}
"""Modules of each optional extra; all or none is the usual state."""


class Verdict(StrEnum):
    """OK works; OPTIONAL is absent and only some commands need it; PROBLEM stops the main job."""

    OK = "ok"
    OPTIONAL = "optional"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, the verdict, what was found, what to do."""

    name: str
    verdict: Verdict
    found: str
    do: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False) -> None:
    """Check this installation and say what is missing.

    Exit code: 0 when the main job works (optional parts may be absent), 5 when it does not.
    """
    checks = list(all_checks(Path.cwd()))
    if as_json:
        typer.echo(json.dumps([asdict(c) for c in checks], indent=2))
    else:
        for line in table(checks):
            typer.echo(line)
    broken = any(c.verdict is Verdict.PROBLEM for c in checks)
    raise typer.Exit(int(ExitCode.INTERNAL if broken else ExitCode.DONE))


def table(checks: list[Check]) -> Iterator[str]:
    """One line a check, and under it what to do."""
    width = max(len(c.name) for c in checks)
    for check in checks:
        yield f"{check.verdict.value:8}  {check.name:{width}}  {check.found}"
        if check.do:
            yield f"{'':8}  {'':{width}}  do this: {check.do}"


def all_checks(folder: Path) -> Iterator[Check]:
    """Every check, cheapest first.

    Args:
        folder: where results would be written.
    """
    yield python_check()
    yield packages_check()
    yield from (extra_check(name) for name in EXTRAS)
    yield memory_check()
    yield disk_check(folder)
    yield pdf_check()
    yield from model_checks()


def python_check() -> Check:
    """Which Python, on which machine."""
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Check("python", Verdict.OK if sys.version_info >= (3, 11) else Verdict.PROBLEM, found)


def packages_check() -> Check:
    """Every package the core needs, in a version it accepts."""
    from packaging.requirements import Requirement

    try:
        needs = importlib.metadata.requires("marrowscope") or []
    except importlib.metadata.PackageNotFoundError:
        found = "marrowscope runs from its source, not installed: versions were not checked"
        return Check("packages", Verdict.OPTIONAL, found, "python3 dev.py demo")
    missing = []
    for line in needs:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{need.name} (absent)")
            continue
        if not need.specifier.contains(version, prereleases=True):
            missing.append(f"{need.name} {version} (expected {need.specifier})")
    if missing:
        return Check("packages", Verdict.PROBLEM, ", ".join(missing), "python3 dev.py demo")
    return Check("packages", Verdict.OK, "all present")


def extra_check(name: str) -> Check:
    """Whether an optional extra is installed."""
    absent = [m for m in EXTRAS[name] if importlib.util.find_spec(m) is None]
    if absent:
        return Check(f"extra {name}", Verdict.OPTIONAL, f"absent: {', '.join(absent)}", f"pip install '.[{name}]'")
    return Check(f"extra {name}", Verdict.OK, "installed")


def memory_check() -> Check:
    """Free memory against what one study needs."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    verdict = Verdict.OK if free >= LEAST_MEMORY_GB else Verdict.PROBLEM
    do = "" if verdict is Verdict.OK else f"close other programs: a study wants {LEAST_MEMORY_GB:.0f} GB"
    return Check("memory", verdict, f"{free:.1f} GB free", do)


def disk_check(folder: Path) -> Check:
    """Free space where results would be written."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < LEAST_DISK_GB:
        return Check("disk", Verdict.PROBLEM, f"{free:.1f} GB free here", f"make room for {LEAST_DISK_GB:.0f} GB")
    return Check("disk", Verdict.OK, f"{free:.0f} GB free here")


def pdf_check() -> Check:
    """Whether typst renders a page."""
    try:
        import typst

        typst.compile(b"marrow", format="pdf")
    except (ImportError, RuntimeError) as error:
        return Check("pdf", Verdict.PROBLEM, f"typst does not render: {error}", "pip install --force-reinstall typst")
    return Check("pdf", Verdict.OK, "typst renders")


def model_checks() -> Iterator[Check]:
    """Every model shipped: its card reads, its weights have the hash the card names."""
    from marrowscope.inference import load_model, model_names

    names = model_names()
    if not names:
        yield Check("models", Verdict.OPTIONAL, "none installed: bones and lesions are found by rules alone")
    for name in names:
        try:
            model = load_model(name)
        except MarrowscopeError as error:
            yield Check(f"model {name}", Verdict.PROBLEM, error.message, "install marrowscope again")
        else:
            yield Check(f"model {name}", Verdict.OK, f"{model.card.id}, hash checked")
