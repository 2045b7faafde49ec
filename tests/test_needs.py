"""The ``needs`` mark: a skip with its reason, or a failure when the tool is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from needs import CHECKOUT, shared_root, why_missing

PROBE = """
import pytest
@pytest.mark.needs("no-such-tool")
def test_probe():
    assert True
"""


def _probe(folder: Path, require: str) -> str:
    (folder / "test_probe.py").write_text(PROBE, encoding="utf-8")
    tests = CHECKOUT / "tests"
    (folder / "conftest.py").write_text((tests / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = needs(tool): x\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tests), "MARROWSCOPE_REQUIRE": require}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_an_absent_tool_skips_with_its_reason(tmp_path: Path) -> None:
    out = _probe(tmp_path, "")
    assert "1 skipped" in out
    assert "not installed: no-such-tool" in out


def test_a_required_absent_tool_fails(tmp_path: Path) -> None:
    assert "required by MARROWSCOPE_REQUIRE" in _probe(tmp_path, "shared,no-such-tool")


def test_the_shared_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARROWSCOPE_SHARED", str(tmp_path))
    assert shared_root() == tmp_path.resolve()
    assert why_missing("shared") == ""
    assert "no data/nothing" in why_missing("shared:data/nothing")
    monkeypatch.setenv("MARROWSCOPE_SHARED", str(tmp_path / "absent"))
    assert "MARROWSCOPE_SHARED" in why_missing("shared")
