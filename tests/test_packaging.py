"""What the package says it needs is what it imports, no more and no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from needs import CHECKOUT

PLUGINS = {"pylibjpeg", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm", "psycopg"}
"""Loaded by name by pydicom and SQLAlchemy, or under another name than the distribution's."""

COMES_WITH = {"starlette": "fastapi"}
"""Imported beside the package whose own interface it is."""


def distribution(requirement: str) -> str:
    """The normalised name of what a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def declared() -> tuple[set[str], set[str]]:
    """Distributions of the core, and those of all extras together."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name for extra in project["optional-dependencies"].values() for name in extra}
    return {distribution(r) for r in project["dependencies"]}, {distribution(r) for r in extras}


def imported() -> set[str]:
    """Distributions that some module of the package imports, wherever in it."""
    names = set()
    for path in (CHECKOUT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    third = names - set(sys.stdlib_module_names) - {"marrowscope"}
    known = packages_distributions()
    if absent := third - known.keys():
        pytest.skip(f"extras are not installed: {', '.join(sorted(absent))}")
    found = {COMES_WITH.get(name, name) for name in third}
    return {distribution(known[name][0]) for name in found}


def test_every_import_is_declared_and_every_declared_package_is_imported() -> None:
    core, extras = declared()
    used = imported()
    assert used - core - extras == set(), "imported, not declared"
    assert (core | extras) - used - PLUGINS == set(), "declared, never imported"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_hold_every_core_package_with_hashes(lock: str) -> None:
    text = (CHECKOUT / lock).read_text(encoding="utf-8")
    locked = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in locked)
    assert declared()[0] <= {distribution(entry) for entry in locked}
