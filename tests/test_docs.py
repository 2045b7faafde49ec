"""What the documents say is so: commands exist, links lead somewhere, the Python example runs, parts are the parts."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import marrowscope as ms
from marrowscope.cli import COMMANDS
from marrowscope.report.folder import FILE_WORDS
from needs import CHECKOUT

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_named_exists(page: Path) -> None:
    code = re.findall(r"`(?:\.venv/bin/)?marrowscope ([a-z]+)", page.read_text(encoding="utf-8"))
    assert set(code) <= set(COMMANDS), set(code) - set(COMMANDS)
    assert code or page.name != "README.md"


def test_every_command_of_the_table_can_be_loaded() -> None:
    from marrowscope.commands.lazy import load_command

    for name, (path, _) in COMMANDS.items():
        assert load_command(name, path) is not None, name


def test_public_names_are_what_the_package_says() -> None:
    for name in ms.__all__:
        assert getattr(ms, name) is not None
    with pytest.raises(AttributeError):
        _ = ms.nothing_of_that_name


def test_the_results_page_lists_every_part() -> None:
    text = (CHECKOUT / "docs" / "results-folder.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z_]+(?:\.[a-z]+)?)[/`]", text))
    for part in FILE_WORDS:
        assert part.split("/")[0] in listed, part


def test_public_functions_stay_functions_after_use() -> None:
    import_module("marrowscope.assessment.conclusions")

    assert callable(ms.conclude)
