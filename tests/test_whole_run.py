"""The command as a user runs it: the same bytes every time, whole or nothing, silent towards network and HOME."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import pytest

import marrowscope as ms
from marrowscope.assessment import to_json
from marrowscope.cli import COMMANDS
from marrowscope.results import read_results
from marrowscope.study import Role
from needs import CHECKOUT
from report_sample import sample_objects

PATIENT = "ZEBEDEE"

HEAVY = {
    "numpy", "scipy", "pydicom", "highdicom", "pynetdicom", "nibabel", "SimpleITK", "onnxruntime", "fhir", "pydantic",
    "jinja2", "PIL", "typst", "yaml", "jsonschema", "psutil", "httpx", "fastapi", "sqlalchemy", "dask", "polars",
    "pyarrow", "rich", "asyncio",
}  # fmt: skip
"""What ``--help`` must not load: each alone costs a good part of the 0.3 s it may take."""

WATCH = """
import json, os, sys
seen = {"network": [], "written": []}
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind")
LOOPBACK = ("::1", "127.0.0.1")  # a library asks the kernel in this way whether IPv6 works; nothing leaves
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def hook(event, args):
    if event in NETWORK and not (event == "socket.bind" and args[1][0] in LOOPBACK):
        seen["network"].append(event + " " + repr(args[1:]))
    elif event == "open" and isinstance(args[2], int) and args[2] & FLAGS:
        seen["written"].append(str(args[0]))
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
        seen["written"].append(str(args[0]))
sys.addaudithook(hook)
from marrowscope.cli import run
code = run(sys.argv[2:])
report = json.dumps(seen)
with open(sys.argv[1], "w") as out:
    out.write(report)
sys.exit(code)
"""


@pytest.fixture(scope="session")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is a patient's, with a small NIfTI exam and its bones."""
    folder = tmp_path_factory.mktemp("study") / PATIENT
    folder.mkdir()
    objects = sample_objects()
    t1 = objects.exam.companion(Role.T1)
    assert t1 is not None
    volumes = {"fluid": objects.exam.fluid.volume, "t1": t1.volume, "bones": objects.anatomy.bones.volume}
    for name, volume in volumes.items():
        nibabel.save(nibabel.Nifti1Image(volume.array, volume.affine_ras), folder / f"{name}.nii.gz")
    (folder / "bones.yaml").write_text("1: femur\n2: tibia\n", encoding="utf-8")
    return folder


def assess(exam: Path, out: Path) -> list[str]:
    """The arguments of one run."""
    files = [f"--series={role}={exam / f'{role}.nii.gz'}" for role in ("fluid", "t1")]
    return ["assess", *files, "--bones", str(exam / "bones.nii.gz"), "--site", "knee", "--side", "left", "-o", str(out)]


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """As after a fresh login: nothing that switches telemetry off or says that this is a test."""
    kept = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(CHECKOUT / "src"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def marrowscope(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "marrowscope", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file; of ``run.json`` without its time field."""
    hashes = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.name == "run.json":
            data = json.dumps({k: v for k, v in json.loads(data).items() if k != "time"}, sort_keys=True).encode()
        hashes[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return hashes


@dataclass(frozen=True)
class Watched:
    """One run under watch: the folder it wrote, everything it said, what it sent, what it wrote, what it left."""

    out: Path
    said: str
    network: list[str]
    written: list[str]
    home: Path
    scratch: Path


@pytest.fixture(scope="module")
def watched(exam: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """One run on one thread, seen through Python's audit events."""
    place = tmp_path_factory.mktemp("watched")
    home, scratch, out = place / "home", place / "scratch", place / "out" / "results"
    home.mkdir()
    scratch.mkdir()
    (place / "watch.py").write_text(WATCH, encoding="utf-8")
    seen = place / "seen.json"
    command = [sys.executable, str(place / "watch.py"), str(seen), *assess(exam, out), "--json-progress"]
    environment = bare_environment(home, TMPDIR=str(scratch), **threads("1"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 4), done.stderr
    report = json.loads(seen.read_text(encoding="utf-8"))
    return Watched(out, done.stdout + done.stderr, report["network"], report["written"], home, scratch)


def threads(count: str) -> dict[str, str]:
    """The usual ways to say how many threads, and another order of Python's hashes with it."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED")
    return dict.fromkeys(names, count)


def test_the_same_bytes_on_one_thread_and_on_two(exam: Path, tmp_path: Path, watched: Watched) -> None:
    out = tmp_path / "results"
    done = marrowscope([*assess(exam, out), "--quiet"], bare_environment(tmp_path, **threads("2")))
    assert done.returncode in (0, 4), done.stderr
    assert contents(out) == contents(watched.out)
    assert {"index.html", "report.pdf", "impression.txt", "measurements.csv", "assessment.json"} <= set(contents(out))


def test_nothing_is_sent_and_nothing_is_written_elsewhere(watched: Watched) -> None:
    assert watched.network == []
    allowed = (str(watched.scratch), str(watched.out.parent), "/dev/null", "/dev/shm")
    assert [p for p in watched.written if not p.startswith(allowed) and not p.isdigit()] == []
    assert watched.written, "the watch must see the results being written"
    assert list(watched.home.rglob("*")) == []
    assert list(watched.scratch.rglob("*")) == []
    assert [p.name for p in watched.out.parent.iterdir()] == ["results"]


def test_the_watch_sees_a_connection_and_a_file(tmp_path: Path) -> None:
    code = WATCH.replace("from marrowscope.cli import run\n", "").replace(
        "code = run(sys.argv[2:])",
        "import socket; code = 0\nsocket.socket().connect_ex(('127.0.0.1', 9)); open(sys.argv[2], 'w').close()",
    )
    (tmp_path / "watch.py").write_text(code, encoding="utf-8")
    seen, planted = tmp_path / "seen.json", tmp_path / "planted"
    subprocess.run([sys.executable, str(tmp_path / "watch.py"), str(seen), str(planted)], check=True)
    report = json.loads(seen.read_text(encoding="utf-8"))
    assert len(report["network"]) == 1
    assert str(planted) in report["written"]


ATTEMPTS = """
import sys
for line in open("/proc/net/snmp"):
    if line.startswith("Ip:"):
        rows = sys.modules.setdefault("rows", []); rows.append(line.split())
print(dict(zip(*rows))["OutNoRoutes"])
"""
CONTROL = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect_ex(('192.0.2.1', 9)); "


@pytest.mark.needs("unshare")
def test_the_kernel_saw_no_packet_looking_for_a_way_out(exam: Path, tmp_path: Path) -> None:
    """In a network namespace without any route every attempt is counted, also one made by native code."""
    counter = tmp_path / "count.py"
    counter.write_text(ATTEMPTS, encoding="utf-8")
    run = " ".join(["-m", "marrowscope", *assess(exam, tmp_path / "results"), "--quiet"])

    def attempts(work: str) -> int:
        script = f"{sys.executable} {work} >&2; {sys.executable} {counter}"
        command = ["unshare", "-rn", "sh", "-c", script]
        done = subprocess.run(command, env=bare_environment(tmp_path), capture_output=True, text=True, check=False)
        if done.returncode and "unshare" in done.stderr:
            pytest.skip(f"no network namespace here: {done.stderr.strip()}")
        return int(done.stdout)

    assert attempts(f'-c "{CONTROL}"') == 1, "the counter must count"
    assert attempts(run) == 0
    assert (tmp_path / "results" / "index.html").is_file()


def test_a_patients_name_in_the_path_reaches_nothing(watched: Watched) -> None:
    assert PATIENT not in watched.said
    for path in watched.out.rglob("*"):
        assert PATIENT not in path.name
        assert not path.is_file() or PATIENT.encode() not in path.read_bytes(), path.name


def test_the_python_way_gives_the_same_assessment(exam: Path, tmp_path: Path, watched: Watched) -> None:
    study = ms.read_study(exam, series={role: Path(f"{role}.nii.gz") for role in ("fluid", "t1")})
    assessed = ms.assess_with_objects(study, site="knee", side="left", bones=exam / "bones.nii.gz")
    assert ms.assess(study, site="knee", side="left", bones=exam / "bones.nii.gz") == assessed.assessment
    assert to_json(assessed.assessment) == (watched.out / "assessment.json").read_text(encoding="utf-8")
    ms.write_results(tmp_path / "results", assessed)
    again, first = contents(tmp_path / "results"), contents(watched.out)
    assert {k: v for k, v in again.items() if k != "run.json"} == {k: v for k, v in first.items() if k != "run.json"}


def stages(process: subprocess.Popen[str]) -> Iterator[str]:
    """The stages a running command reports, as they come."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{"):
            yield json.loads(line)["stage"]


@pytest.mark.parametrize("stage", ["lesions", "writing"])
def test_a_killed_run_leaves_no_results_folder(exam: Path, tmp_path: Path, stage: str) -> None:
    out = tmp_path / "out" / "results"
    command = [sys.executable, "-m", "marrowscope", *assess(exam, out), "--json-progress"]
    environment = bare_environment(tmp_path)
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as run:
        assert stage in stages(run)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert not out.exists()


def test_a_run_that_fails_while_writing_leaves_the_old_folder_whole(
    exam: Path, tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marrowscope.cli import run
    from marrowscope.errors import MarrowscopeError

    out = tmp_path / "results"
    shutil.copytree(watched.out, out)

    def broken(*_: object) -> bytes:
        raise MarrowscopeError("a printer on fire")

    monkeypatch.setattr("marrowscope.report.folder.render_pdf", broken)
    assert run([*assess(exam, out), "--quiet"]) == 5
    assert contents(out) == contents(watched.out)
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


def test_a_folder_that_is_not_ours_is_left_alone(exam: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.txt").write_text("dear reader", encoding="utf-8")
    done = marrowscope([*assess(exam, out), "--quiet"], bare_environment(tmp_path))
    assert done.returncode == 2
    assert "not a results folder" in done.stderr
    assert [p.name for p in out.iterdir()] == ["chapter1.txt"]


def test_a_results_folder_reads_back(watched: Watched) -> None:
    out = watched.out
    results = read_results(out)
    assert results.assessment.site == "knee"
    assert set(results.mask("bones").codes) == {"femur", "tibia"}
    assert results.mask("lesions").codes == tuple(x.code for x in results.assessment.lesions)
    words = (out / "impression.txt").read_text(encoding="utf-8").split()
    assert 0 < len(words) <= 80
    for name, digest in results.run["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from marrowscope.cli import run; run(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "marrowscope" in loaded
    assert loaded & HEAVY == set()
    for name in COMMANDS:
        assert name in done.stdout


def test_doctor_says_what_works() -> None:
    done = marrowscope(["doctor", "--json"], {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")})
    checks = {c["name"]: c for c in json.loads(done.stdout)}
    assert checks["pdf"]["verdict"] == "ok"
    assert {"python", "packages", "extra web", "extra cohort", "memory", "disk"} <= set(checks)
    broken = [c for c in checks.values() if c["verdict"] == "problem"]
    assert done.returncode == (5 if broken else 0)
    assert all(c["do"] for c in checks.values() if c["verdict"] == "problem")


def test_the_door_refuses_an_old_python_and_names_the_missing_package(tmp_path: Path) -> None:
    door = tmp_path / "dev.py"
    shutil.copy(CHECKOUT / "dev.py", door)
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    start = "import sys, importlib.util as u; __file__ = 'dev.py'; sys.argv = ['dev.py', 'demo']; "
    go = "; exec(open('dev.py').read())"
    old, bare = "sys.version_info = (3, 9, 1)", "u.find_spec = lambda name: None"
    for change, said in ((old, "found Python 3.9.1"), (bare, "sudo apt-get install python3.")):
        command = [sys.executable, "-c", start + change + go]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / ".venv").exists()


def test_the_door_folds_waiting_lines_into_the_newest_version(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "dev.py", tmp_path)
    waiting, log = tmp_path / "changelog.d", tmp_path / "CHANGELOG.md"
    waiting.mkdir()
    head, older = "# Changelog\n\n## 2, unreleased\n\nNew.\n\n", "## 1\n\n### Web\n\n- c\n"
    log.write_text(f"{head}### SI joint\n\n- a\n\n### Web\n\n- b\n\n{older}")
    for name, text in (("README", "How."), ("si-joint", "- d\n  e\n"), ("care", "- f\n"), ("web", "")):
        (waiting / f"{name}.md").write_text(text)
    for _ in range(2):  # a second time there is nothing to fold
        subprocess.run([sys.executable, "dev.py", "changelog"], cwd=tmp_path, check=True)
        assert log.read_text() == f"{head}### SI joint\n\n- a\n- d\n  e\n\n### Web\n\n- b\n\n### Care\n\n- f\n\n{older}"
        assert [path.name for path in waiting.iterdir()] == ["README.md"]


def pins(text: str) -> dict[str, str]:
    """Package to pinned version of a lock file."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, flags=re.MULTILINE)
    return {plain_name(name): version for name, version in found}


def plain_name(name: str) -> str:
    """A package's normalised name."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", name)[0]).lower()


def test_the_locks_name_every_dependency_with_hashes_and_no_host() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    core = project["project"]["dependencies"]
    more = [d for extra in project["project"]["optional-dependencies"].values() for d in extra]
    dev = project["dependency-groups"]["dev"]
    locked = {}
    for name, needs in (("requirements.lock", core), ("requirements-dev.lock", [*core, *more, *dev])):
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        locked[name] = pins(text)
        assert "://" not in text
        assert text.count("--hash=sha256:") >= len(locked[name]) > len(needs)
        missing = {plain_name(n) for n in needs} - set(locked[name])
        assert not missing, f"{missing} not in {name}: run python3 dev.py lock"
    assert locked["requirements.lock"].items() <= locked["requirements-dev.lock"].items()


@pytest.mark.needs("shared:data/dicom/pelvis_study")
def test_a_study_without_a_fluid_series_is_refused_with_an_inspection(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    study = shared / "data" / "dicom" / "pelvis_study"
    for _ in range(2):  # a refusal may be written over by the next one
        done = marrowscope(["assess", str(study), "-o", str(out), "--quiet"], bare_environment(tmp_path))
        assert done.returncode == 3
    assert "no usable fat-suppressed fluid-sensitive series" in done.stderr
    assert "series 3: T2-weighted, but no fat suppression stated" in done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "inspection.json"]
    found = json.loads((out / "inspection.json").read_text(encoding="utf-8"))
    assert found["refusal"]["code"] == "no_fluid_series"
    assert {s["role"] for s in found["series"]} >= {"t2_nofs", "adc"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "nothing here says that the marrow is normal" in page
    for series in found["series"]:
        assert series["description"] in page
