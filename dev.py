#!/usr/bin/env python3
"""The newcomer's door: needs Python 3.11 or newer and nothing else.

    python3 dev.py demo     simulate a knee study, assess it, say where the report is
    python3 dev.py test     every check: ruff, mypy, import contract, tests (more words go to pytest)
    python3 dev.py bench    accuracy, seconds and memory on data with known answers
    python3 dev.py lock     write the lock files anew after a change of dependencies
    python3 dev.py changelog  fold the lines of changelog.d into CHANGELOG.md

Each command first makes what it needs in .venv: hashed packages from a lock file, marrowscope itself in editable
form, and a stamp, so that the second call starts at once.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
OLDEST_PYTHON = (3, 11)
LOCKS = {"core": "requirements.lock", "dev": "requirements-dev.lock"}
"""What each kind of set-up installs; ``dev`` holds everything ``core`` does, in the same versions."""

TEST_WORKERS = "2"
"""Test processes: the memory of two fits a small machine, and two cores are what CI has."""


class DoorError(Exception):
    """Something the person at the keyboard has to do first."""


def main() -> int:
    """Run one command; its exit status is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    arguments, rest = parser.parse_known_args()
    try:
        check_python()
        return COMMANDS[arguments.command](rest)
    except DoorError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dev.py: stopped", file=sys.stderr)
        return 130


def check_python() -> None:
    """Refuse an older Python by name, before anything is made."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise DoorError(
            f"found Python {found}; expected 3.11 or newer; do this: python3.11 dev.py {' '.join(sys.argv[1:])}"
        )


def ensure(kind: str) -> None:
    """The environment for ``kind`` (core or dev), made only when its stamp does not fit."""
    kinds = ("core", "dev") if kind == "core" else ("dev",)
    if any(stamp_file(k).is_file() and stamp_file(k).read_text() == stamp(k) for k in kinds):
        return
    if not (BIN / "python").exists():
        make_venv()
    say(f"installing {LOCKS[kind]} (hashes checked)")
    pip("install", "--require-hashes", "--only-binary", ":all:", "-r", LOCKS[kind])
    say("installing marrowscope, editable")
    pip("install", "--no-deps", "--no-build-isolation", "-e", ".")
    stamp_file(kind).write_text(stamp(kind))


def make_venv() -> None:
    """.venv, or the line to type where Python came without ensurepip."""
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise DoorError(
            "found a Python without ensurepip; expected the venv package of your system; "
            f"do this: sudo apt-get install python{version}-venv"
        )
    say(f"making {VENV.name}")
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise DoorError(f"could not make {VENV.name}; see the message above")


def pip(*arguments: str) -> None:
    """Run the environment's pip quietly, without a cache in HOME."""
    command = [str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "-q", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise DoorError("pip could not install; see its message above, and run the same command again")


def stamp_file(kind: str) -> Path:
    """Where the set-up of one kind notes what it was made from."""
    return VENV / f"marrowscope-{kind}.stamp"


def stamp(kind: str) -> str:
    """Changes whenever the environment has to be made anew: lock, project file, Python, place."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in (LOCKS[kind], "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def say(text: str) -> None:
    """One line of progress."""
    print(f"dev.py: {text}", flush=True)


def tool(name: str, *arguments: str) -> list[str]:
    """The command line of a program of the environment."""
    return [str(BIN / name), *arguments]


def call(command: list[str]) -> int:
    """Run in the checkout; the environment's programs come first on PATH."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(VENV)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def demo(rest: list[str]) -> int:
    """Two minutes from a fresh clone to a report."""
    ensure("core")
    return call(tool("marrowscope", "demo", *rest))


def test(rest: list[str]) -> int:
    """Every check, each to its end, then which failed and how long each took."""
    ensure("dev")
    steps = {
        "frontend": tool("python", "frontend/build.py"),
        "ruff": tool("ruff", "check", "."),
        "format": tool("ruff", "format", "--check", "-q", "."),
        "imports": tool("lint-imports"),
        "mypy": tool("mypy"),
        "pytest": tool("pytest", "-n", TEST_WORKERS, "--dist", "worksteal", "--durations", "10", *rest),
    }
    outcome = {}
    for name, command in steps.items():
        say(name)
        begun = time.monotonic()
        failed = call(command) != 0
        outcome[name] = (failed, time.monotonic() - begun)
    for name, (failed, seconds) in outcome.items():
        say(f"{name:8} {'FAILED' if failed else 'passed'} in {seconds:.0f} s")
    return int(any(failed for failed, _ in outcome.values()))


def bench(rest: list[str]) -> int:
    """Figures on data with known answers."""
    ensure("dev")
    return call(tool("python", "-m", "benchmarks", *rest))


def lock(rest: list[str]) -> int:
    """Both lock files from pyproject.toml, with hashes, for every supported Python; the dev one agrees with core."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(BIN))
    if uv is None:
        raise DoorError("no uv found; expected Astral's uv; do this: .venv/bin/pip install uv")
    base = [uv, "pip", "compile", "pyproject.toml", "-q", "--universal", "--python-version", "3.11"]
    base += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", *rest]
    more = ["--group", "dev", "--extra", "web", "--extra", "cohort", "-c", LOCKS["core"]]
    return call([*base, "--group", "build", "-o", LOCKS["core"]]) or call(
        [*base, "--group", "build", *more, "-o", LOCKS["dev"]]
    )


def changelog(rest: list[str]) -> int:
    """The lines that wait in changelog.d go to the end of their areas in CHANGELOG.md; the files go."""
    log, waiting = ROOT / "CHANGELOG.md", sorted((ROOT / "changelog.d").glob("*.md"))
    lines = {path.stem: path.read_text(encoding="utf-8").strip() for path in waiting if path.name != "README.md"}
    log.write_text(fold(log.read_text(encoding="utf-8"), lines), encoding="utf-8", newline="\n")
    for area in lines:
        (ROOT / "changelog.d" / f"{area}.md").unlink()
    return 0


def fold(log: str, lines: dict[str, str]) -> str:
    """The changelog with each area's lines at its end in the newest version; an area it lacks comes last there."""
    head, newest, *older = re.split(r"^(?=## )", log, maxsplit=2, flags=re.MULTILINE)
    begin, *areas = (part.strip() for part in re.split(r"^(?=### )", newest, flags=re.MULTILINE))
    titles = [area.partition("\n")[0].casefold() for area in areas]
    for name, added in lines.items():
        title = f"### {name.replace('-', ' ').capitalize()}"
        if not added:
            continue
        if title.casefold() in titles:
            areas[titles.index(title.casefold())] += f"\n{added}"
        else:
            areas.append(f"{title}\n\n{added}")
    return "\n\n".join(part.strip() for part in (head, begin, *areas, *older)) + "\n"


COMMANDS = {"demo": demo, "test": test, "bench": bench, "lock": lock, "changelog": changelog}

if __name__ == "__main__":
    sys.exit(main())
