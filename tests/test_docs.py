"""What the documents say is so: commands and options exist, links and files are there, Python calls what there is."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import marrowscope as ms
from marrowscope.cli import COMMANDS
from marrowscope.commands.lazy import load_command
from marrowscope.report.folder import FILE_WORDS
from needs import CHECKOUT

sys.path.insert(0, str(CHECKOUT))

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
LINKED = [*PAGES, CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs" / "decisions").glob("*.md"))]
PYTHON = [
    (page, text) for page in PAGES for text in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("page", LINKED, ids=lambda p: p.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_named_exists(page: Path) -> None:
    code = re.findall(r"`(?:\.venv/bin/)?marrowscope ([a-z]+)", page.read_text(encoding="utf-8"))
    assert set(code) <= set(COMMANDS), set(code) - set(COMMANDS)
    if page.name == "README.md":
        assert len(set(code)) > 10


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words after ``marrowscope`` of every command line of a page, in a block or between backticks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^    .*$", text, re.MULTILINE)
    blocks += [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for line in (*blocks, *re.findall(r"`([^`\n]+)`", text)):
        if found := re.match(r"\s*(?:\.venv/bin/)?marrowscope ([a-z][^#|]*)", line):
            yield shlex.split(found[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_and_sub_command_named_exists(page: Path) -> None:
    for name, *words in command_lines(page):
        command: Any = load_command(name, COMMANDS[name][0])
        if hasattr(command, "list_commands"):
            inner = words.pop(0) if words else ""
            if re.fullmatch(r"[a-z-]+", inner):
                assert inner in command.list_commands(None), (name, inner)
                command = command.get_command(None, inner)
        known = {"-h", "--help", *(word for p in command.params for word in (*p.opts, *p.secondary_opts))}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known, (name, used - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_benchmark_and_script_named_exists(page: Path) -> None:
    from benchmarks.__main__ import names

    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"python -m benchmarks ([a-z]\w*)", text)) <= set(names())
    for script in re.findall(r"(?:training|tests|benchmarks|frontend)/[\w/]+\.(?:py|mjs)", text):
        assert (CHECKOUT / script).is_file(), script
    for module in re.findall(r"python -m (training[\w.]+)", text):
        assert (CHECKOUT / f"{module.replace('.', '/')}.py").is_file(), module


@pytest.mark.parametrize("code", [text for _, text in PYTHON], ids=[page.name for page, _ in PYTHON])
def test_python_on_a_page_imports_and_calls_what_there_is(code: str) -> None:
    tree = ast.parse(code)
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: getattr(import_module(node.module), a.name) for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.asname or a.name: import_module(a.name) for a in node.names}
    called = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        root, *parts = ast.unparse(node.func).split(".")
        if root not in names:
            continue
        function = names[root]
        for part in parts:
            function = getattr(function, part)
        signature = inspect.signature(function)
        signature.bind(*node.args, **{word.arg: word.value for word in node.keywords if word.arg})
        called += 1
    assert called, "a page's Python calls something of ours"


def test_every_command_of_the_table_can_be_loaded() -> None:
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


def test_the_table_of_rooms_is_the_import_contract() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    layers = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
    text = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == [x for x in layers if x != "(__main__)"]


def test_public_functions_stay_functions_after_use() -> None:
    import_module("marrowscope.assessment.conclusions")

    assert callable(ms.conclude)
