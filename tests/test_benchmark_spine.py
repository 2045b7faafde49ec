"""The benchmark's own arithmetic: which studies it draws, and how found and true lesions are paired."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.processes import Ran, run_measured
from benchmarks.spine import Match, Outcome, join, report, worst_checks
from benchmarks.spine_cases import FAULTS, FIRST_SEED, TUNING_SEED, cases

from marrowscope.commands.simulate import read_lesions


def test_cases_are_what_the_issue_asks_for() -> None:
    drawn = cases(FIRST_SEED)
    assert len(drawn) >= 60
    assert sum(c.kind == "free" for c in drawn) == 20
    assert sum(c.kind in FAULTS for c in drawn) == 10
    assert {c.field for c in drawn} == {1.5, 3.0}
    assert len({c.noise for c in drawn}) == 3
    volumes = [x.volume_cm3 for c in drawn if c.kind == "lesions" for x in read_lesions(c.lesions) or ()]
    assert min(volumes) < 0.3 and max(volumes) > 4
    assert {c.kind for c in drawn[:8]} >= {"lesions", "free"}  # every kind early


def test_tuning_never_sees_the_published_seeds() -> None:
    assert not {c.seed for c in cases(FIRST_SEED)} & {c.seed for c in cases(TUNING_SEED)}


def test_pairing_of_true_and_found() -> None:
    true, found = np.zeros((30, 10, 10), int), np.zeros((30, 10, 10), int)
    true[0:5], true[10:12], true[20:24] = 1, 2, 3
    found[1:4], found[9:14], found[26:29] = 7, 8, 9
    found[4:6, 0:2] = 5
    groups = [(sorted(t), sorted(f)) for t, f in join(true, found, [5, 7, 8, 9])]
    assert ([1], [5, 7]) in groups  # two objects on one lesion count together
    assert ([2], [8]) in groups
    assert ([3], []) in groups  # missed
    assert ([], [9]) in groups  # false


def test_one_object_over_two_lesions_joins_them() -> None:
    true, found = np.zeros((12, 4, 4), int), np.ones((12, 4, 4), int)
    true[0:4], true[6:10] = 1, 2
    assert join(true, found, [1]) == [({1, 2}, {1})]


def test_the_worst_severity_of_a_check_counts() -> None:
    qc = [{"code": "metal", "severity": s} for s in ("ok", "warning", "note")]
    assert worst_checks(qc) == {"metal": "warning"}


def test_report_of_nothing_is_a_table_without_figures() -> None:
    assert "true lesions" in report([])


def test_confidence_is_compared_with_how_often_it_is_right() -> None:
    case = next(c for c in cases(FIRST_SEED) if c.kind == "lesions")
    found = Match(case.name, 3.0, "low", "pd_fs", 1.0, 1.1, "contusion", "0.900 0.600")
    false = Match(case.name, 3.0, "low", "pd_fs", 0.0, 0.1, "false in femur", "0.600")
    missed = Match(case.name, 3.0, "low", "pd_fs", 1.0, 0.0, "contusion")
    ran = Ran(code=0, said="", seconds=1.0, cpu_seconds=1.0, peak_mb=1.0, peak_mb_by_stage={})
    rows = [r.split() for r in report([Outcome(case, ran, None, {}, {}, (found, false, missed))]).splitlines()]
    assert ["0.5", "to", "0.8", "2", "0.60", "50%"] in rows
    assert ["0.8", "to", "0.95", "1", "0.90", "100%"] in rows
    brier = (0.1**2 + 0.4**2 + 0.6**2) / 3
    assert any(r[:3] == ["Brier", "score", f"{brier:.3f};"] for r in rows)


def test_memory_is_told_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "stages.py").write_text(
        "import sys, time\n"
        'sys.stderr.write(\'{"stage": "small", "done": 0, "total": 1}\\n\'); sys.stderr.flush(); time.sleep(0.3)\n'
        'sys.stderr.write(\'{"stage": "large", "done": 0, "total": 1}\\n\'); sys.stderr.flush()\n'
        "held = bytearray(b'x') * 200_000_000; time.sleep(0.3)\n",
        encoding="utf-8",
    )
    ran = run_measured(["stages"], tmp_path / "log")
    assert ran.code == 0
    assert ran.peak_mb_by_stage["large"] - ran.peak_mb_by_stage["small"] > 150
    assert ran.peak_mb == max(ran.peak_mb_by_stage.values())
