"""Writing beside and changing places: what a killed run leaves is cleared or put back, running ones are left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from marrowscope.errors import ResultsError
from marrowscope.results import ASSESSMENT, holds_results, read_results, write_folder, write_text
from marrowscope.results.aside import place_beside


def write(out: Path, words: str) -> None:
    write_folder(out, {"assessment": lambda folder: write_text(folder, ASSESSMENT, words)})


WRITE = """
import os, signal, sys
from pathlib import Path
from marrowscope.results import write_folder
out, rename = Path(sys.argv[1]), Path.rename
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def write(folder):
    (folder / "assessment.json").write_text("a patient")
"""
WHILE_WRITING = WRITE + 'write_folder(out, {"assessment": write, "bang": die})'
BETWEEN_THE_RENAMES = (
    WRITE
    + """
Path.rename = lambda self, target: die() if target == out else rename(self, target)
write_folder(out, {"assessment": write})
"""
)


def killed(job: str, out: Path) -> None:
    """Run the job in a process of its own, which ends by SIGKILL."""
    done = subprocess.run([sys.executable, "-c", job, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_next_run_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    out = tmp_path / "r"
    killed(WHILE_WRITING, out)
    assert len(names(tmp_path)) == 1  # what the kill left
    with place_beside(tmp_path / "r.b"):  # of another name, and running
        write(out, "second")
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["r"]
    assert (out / ASSESSMENT).read_text() == "second"


def test_a_running_one_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "r"
    mine = tmp_path / ".r.settings"
    mine.mkdir()
    with place_beside(out) as place:
        write(out, "of the other run")
        assert place.is_dir()
    assert names(tmp_path) == [".r.settings", "r"]


def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "r"
    for again in (holds_results, lambda folder: write(folder, "newer") or True):
        write(out, "old")
        killed(BETWEEN_THE_RENAMES, out)
        assert not out.exists()
        assert again(out)
        assert names(tmp_path) == ["r"]
        assert (out / ASSESSMENT).read_text() in ("old", "newer")
    killed(BETWEEN_THE_RENAMES, out)
    with pytest.raises(ResultsError, match=r"no run\.json"):  # found again, and read
        read_results(out)
    assert (out / ASSESSMENT).read_text() == "newer"


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "r"
    write(out, "old")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="no"):
        write(out, "new")
    assert names(tmp_path) == ["r"]
    assert (out / ASSESSMENT).read_text() == "old"
