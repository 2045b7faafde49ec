"""Every benchmark answers through the one dispatcher, whatever is installed."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.__main__ import names, run
from benchmarks.agreement import interval_of


@pytest.mark.parametrize("name", names())
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run([name, "--help"])
    assert stopped.value.code == 0
    assert f"python -m benchmarks {name}" in capsys.readouterr().out
    main = inspect.signature(importlib.import_module(f"benchmarks.{name}").main)
    assert [p.default for p in main.parameters.values()] == [None]
    assert main.return_annotation == "int"


def test_package_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["si_joint_speed", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in ("needs the package torch", "found:", "expected:", "do this:"))


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nothing"]) == 2
    assert "reading" in capsys.readouterr().err


def test_a_smallest_detectable_change_from_ten_pairs_is_known_only_roughly() -> None:
    low, high = interval_of(1.0, 10)
    assert (low, high) == pytest.approx((np.sqrt(10 / 20.483), np.sqrt(10 / 3.247)), rel=1e-3)  # printed tables
