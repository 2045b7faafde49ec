"""What a stranger may type: every error is one line with its exit code, and nothing is left half written."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest

import marrowscope as ms
import phantom
from marrowscope import cli
from marrowscope.anatomy import given
from marrowscope.assessment import to_json
from marrowscope.assessment.types import RefusalRecord
from marrowscope.cli import run
from marrowscope.commands.assess import FOREIGN, tell_foreign
from marrowscope.commands.serve import check_folders, check_port
from marrowscope.errors import ExitCode, UsageError
from marrowscope.reasoning.intake import Intake
from marrowscope.results import write_folder, write_text
from marrowscope.volume import Volume
from needs import CHECKOUT

GRID = Volume(np.zeros((8, 8, 4), np.float32), np.diag([1, 1, 3, 1.0]))
SLOW = """
import sys, time
from marrowscope import cli
from marrowscope.results import write_folder, write_text
from pathlib import Path
def slow(arguments=None):
    def wait(folder):
        (folder / "begun").write_text("x")
        print("begun", flush=True)
        time.sleep(60)
    write_folder(Path(sys.argv[1]), {"slow": wait})
cli.run = slow
cli.main()
"""


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.startswith("marrowscope: ") and said.count("\n") == 1 and "Traceback" not in said, said
    return said


@pytest.mark.parametrize(
    "arguments",
    [
        ["assess", "STUDY", "-o", "FILE/results"],
        ["compare", "STUDY", "STUDY", "-o", "FILE/results"],
        ["simulate", "knee", "-o", "FILE"],
        ["demo", "-o", "FILE"],
        ["deidentify", "STUDY", "-o", "FILE/copy"],
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    named = [a.replace("FILE", str(tmp_path / "file")).replace("STUDY", str(tmp_path / "absent")) for a in arguments]
    assert run(named) == ExitCode.USAGE
    assert "file, which is not a folder" in one_line(capsys)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(UsageError, match="may not be written to"):
        write_folder(tmp_path / "new" / "results", {})


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_is_followed_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    for text in ("first", "second"):
        write_folder(tmp_path / "out", {"a": partial(write_text, name="assessment.json", text=text)})
        assert (tmp_path / "out").is_symlink()
        assert (tmp_path / "disk" / "assessment.json").read_text(encoding="utf-8") == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "out"]


def test_the_current_folder_is_named_when_it_is_no_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["assess", "absent", "-o", "."]) == ExitCode.USAGE
    assert tmp_path.name in one_line(capsys)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/somewhere/page.html"), "'page.html'"),
        (OSError(98, "Address already in use"), "a file, folder or connection"),
        (ZeroDivisionError("ZEBEDEE"), "an internal error (ZeroDivisionError in test_commands_errors.py"),
    ],
)
def test_what_nobody_foresaw_is_one_line_without_its_words(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.delenv(cli.SHOW_TRACEBACK, raising=False)
    monkeypatch.setattr(cli, "get_command", lambda _root: fails)
    assert run([]) == ExitCode.INTERNAL
    said = one_line(capsys)
    assert words in said and "ZEBEDEE" not in said and "/somewhere" not in said
    monkeypatch.setenv(cli.SHOW_TRACEBACK, "1")
    with pytest.raises(type(error)):
        run([])


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_terminated_command_leaves_nothing_half_written(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    command = [sys.executable, "-c", SLOW, str(tmp_path / "out")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert time.monotonic() - started < 30
    assert list(tmp_path.iterdir()) == []


def test_a_side_that_is_none_is_refused_before_the_study_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["assess", "absent"], ["compare", "absent", "absent"]):
        assert run([*command, "--side", "up", "-o", str(tmp_path / "out")]) == ExitCode.USAGE
        assert "side 'up'; expected: one of left, right, both" in one_line(capsys)


def mask(tmp_path: Path, names: bytes, value: int = 1) -> Path:
    """A bone mask of two labels with a YAML beside it."""
    array = np.zeros(GRID.shape, np.int32)
    array[2:4], array[5:7] = value, 2
    nibabel.save(nibabel.Nifti1Image(array, GRID.affine_ras), tmp_path / "bones.nii.gz")
    (tmp_path / "bones.yaml").write_bytes(names)
    return tmp_path / "bones.nii.gz"


@pytest.mark.parametrize(
    "names",
    [b"femur: 1\ntibia: 2\n", b"1:\n2: tibia\n", b"1: {a: b}\n2: c\n", b"1.5: a\n2: b\n", b"1: [\n", b"1: h\xfcfte\n"],
)
def test_a_yaml_that_names_no_labels_is_refused(names: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"bones\.yaml"):
        given.check(mask(tmp_path, names), GRID)


def test_good_names_are_taken_and_a_label_beyond_16_bits_is_not_wrapped(tmp_path: Path) -> None:
    given.check(mask(tmp_path, b'1: femur\n"2": tibia\n'), GRID)
    with pytest.raises(UsageError, match="label 65537"):
        given.check(mask(tmp_path, b"1: femur\n2: tibia\n", value=65537), GRID)


def test_the_bones_of_a_results_folder_bring_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "r" / "masks"
    folder.mkdir(parents=True)
    bones, run_record = mask(folder, b""), tmp_path / "r" / "run.json"
    (folder / "bones.yaml").unlink()
    with pytest.raises(UsageError, match="no names"):
        given.check(bones, GRID)
    for damaged in (b"{", b"[]", b'{"labels": {"lesions": {}}}', b'{"labels": {"bones": ["a"]}}', b"\xff"):
        run_record.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"run\.json beside masks/ holds no names for bones"):
            given.check(bones, GRID)
    run_record.write_text('{"labels": {"bones": {"1": "femur", "2": "tibia"}}}', encoding="utf-8")
    found = given.segment(phantom.exam(), bones_of_the_phantom(tmp_path / "p" / "masks"))
    assert found.bones.codes == ("femur", "tibia")
    given.check(bones, GRID)


def bones_of_the_phantom(folder: Path) -> Path:
    """The phantom's bones in a results folder."""
    folder.mkdir(parents=True)
    (folder.parent / "run.json").write_text('{"labels": {"bones": {"1": "femur", "2": "tibia"}}}', encoding="utf-8")
    volume = phantom.bones(phantom.grid()).volume
    nibabel.save(nibabel.Nifti1Image(volume.array.astype(np.uint8), volume.affine_ras), folder / "bones.nii.gz")
    return folder / "bones.nii.gz"


def test_a_cohort_does_not_write_into_the_results_of_one_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "one"
    one.mkdir()
    for name in ("assessment.json", "measurements.csv"):
        (one / name).write_text("mine", encoding="utf-8")
    (tmp_path / "m.csv").write_text("subject,visit,study\nA,1,absent\n", encoding="utf-8")
    assert run(["cohort", str(tmp_path / "m.csv"), "-o", str(one)]) == ExitCode.USAGE
    assert "one is the results folder of one study" in one_line(capsys)
    assert sorted(p.name for p in one.iterdir()) == ["assessment.json", "measurements.csv"]
    assert (one / "measurements.csv").read_text(encoding="utf-8") == "mine"


def test_serve_says_that_a_port_is_taken_or_a_folder_absent(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match="cannot be listened on"):
            check_port("127.0.0.1", other.getsockname()[1])
    with pytest.raises(UsageError, match="no folder gone"):
        check_folders(tmp_path / "data", [tmp_path, tmp_path / "gone"])
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="not a folder"):
        check_folders(tmp_path / "file", [])


@pytest.mark.parametrize("name", ["deep.json", "deep.yaml"])
def test_an_intake_nested_too_deep_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = "[" * 3000 + "]" * 3000
    (tmp_path / name).write_text(f'{{"site": {deep}}}' if name.endswith("json") else f"site: {deep}", encoding="utf-8")
    assert run(["reason", str(tmp_path / name)]) == ExitCode.USAGE
    assert "nested too deep" in one_line(capsys)


def test_a_topic_key_that_does_not_exist_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "cause:nope"]) == ExitCode.USAGE
    assert "nothing is known about 'cause:nope'" in one_line(capsys)
    assert run(["explain", "cause:gout"]) == ExitCode.DONE


def test_a_side_that_is_none_is_refused_in_python_too() -> None:
    with pytest.raises(UsageError, match="side 'up'"):
        ms.prepare(phantom.exam().study, "knee", "up")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"labels": 5}'])
def test_a_damaged_run_record_is_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assessment = to_json(ms.reason(Intake()))
    (tmp_path / "assessment.json").write_text(assessment, encoding="utf-8")
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    assert run(["release", str(tmp_path), "--by", "Dr Test"]) == ExitCode.REFUSED
    assert "run.json cannot be read" in one_line(capsys)


def test_another_patient_in_the_folder_is_told_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusals = tuple(RefusalRecord(code.replace("_", " "), code, "2 of them") for code in (*FOREIGN, "not_an_image"))
    assessment = replace(ms.reason(Intake()), refusals=refusals)
    (tmp_path / "assessment.json").write_text(to_json(assessment), encoding="utf-8")
    (tmp_path / "run.json").write_text('{"labels": {}}', encoding="utf-8")
    tell_foreign(tmp_path)
    said = capsys.readouterr().err
    assert said == "note: left out: another patient: 2 of them\nnote: left out: another study: 2 of them\n"


def test_a_listener_is_told_at_once_what_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        for sender, words in (("CT=*", "cannot be listened on"), ("CT=scanner.local", "an IP address each")):
            assert run(["listen", "--data", str(tmp_path / "d"), "--allow", sender, "--port", taken]) == ExitCode.USAGE
            assert words in one_line(capsys)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert run(["listen", "--data", str(tmp_path / "file"), "--allow", "CT=127.0.0.1"]) == ExitCode.USAGE
    assert "not a folder" in one_line(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_results_folder_is_no_study_and_no_place_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "study" / "results"
    results.mkdir(parents=True)
    for name in ("assessment.json", "run.json", "reference.nii.gz"):
        (results / name).write_text("{}", encoding="utf-8")
    assert run(["inspect", str(results)]) == ExitCode.REFUSED
    assert "'results' is a results folder, not a study" in one_line(capsys)
    assert run(["simulate", "knee", "-o", str(results)]) == ExitCode.USAGE
    assert "results is the results folder of one study" in one_line(capsys)
    np.savez(tmp_path / "study" / "arrays.npz", one=np.zeros(3))
    study = ms.read_study(tmp_path / "study")
    assert {(r.what, r.code) for r in study.refusals} == {("results", "results_folder"), ("arrays.npz", "not_an_image")}
    assert "NumPy" in next(r.reason for r in study.refusals if r.what == "arrays.npz")
