"""The same cohort by one worker, two workers, a cluster started by hand, and a run that was killed: the same bytes?

    python -m benchmarks cohort_same MANIFEST.csv WORK

The cluster by hand is ``dask scheduler`` and two ``dask worker`` processes on loopback. The killed run gets SIGKILL
after its second study and is started again. Tables and every study's files are compared (``run.json`` without its field
``time``), and one study with what ``marrowscope assess`` alone makes of it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

TABLES = ("measurements", "studies", "changes", "lesion_changes")
KILL_AFTER = 2
START_SECONDS = 120
MEMORY = "3GiB"


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text; 0 when all agree."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cohort_same",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("work", type=Path)
    given = parser.parse_args(arguments)
    manifest, work = given.manifest, given.work
    runs = {name: work / name for name in ("one", "two", "by_hand", "killed")}
    _cohort(manifest, runs["one"], "--workers", "1")
    _cohort(manifest, runs["two"], "--workers", "2")
    with dask_by_hand() as address:
        _cohort(manifest, runs["by_hand"], "--scheduler", address)
    kept = killed_and_resumed(manifest, runs["killed"])
    marks = {name: everything(folder) for name, folder in runs.items()}
    same = [name for name, found in marks.items() if found == marks["one"]]
    for name, found in marks.items():
        differing = sorted(k for k in {*found, *marks["one"]} if found.get(k) != marks["one"].get(k))
        print(f"{name}: {len(found)} files, {len(differing)} differ from one worker {differing[:5]}")
    alone = as_alone(manifest, runs["one"], work / "alone")
    print(f"killed after {kept} studies and resumed; assess alone gives the same bytes: {alone}")
    return 0 if len(same) == len(runs) and alone else 1


def _cohort(manifest: Path, out: Path, *options: str) -> None:
    started = time.perf_counter()
    done = subprocess.run(_command("cohort", str(manifest), "-o", str(out), "--quiet", *options), check=False)
    print(f"{out.name}: exit {done.returncode}, {time.perf_counter() - started:.0f} s", flush=True)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "marrowscope", *words]


@contextmanager
def dask_by_hand() -> Iterator[str]:
    """A scheduler and two workers on loopback, ended again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    started = [subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"])]
    try:
        for _ in range(2):
            options = ["--nthreads", "1", "--nworkers", "1", "--memory-limit", MEMORY, "--no-dashboard"]
            started.append(subprocess.Popen([*dask, "worker", address, "--host", "127.0.0.1", *options]))
        _wait_for(address, 2)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)


def _wait_for(address: str, workers: int) -> None:
    from distributed import Client

    with Client(address, timeout=START_SECONDS) as client:
        client.wait_for_workers(workers, timeout=START_SECONDS)


def killed_and_resumed(manifest: Path, out: Path) -> int:
    """Kill a run after :data:`KILL_AFTER` studies, then run it to its end; how many studies it had then."""
    run = subprocess.Popen(_command("cohort", str(manifest), "-o", str(out), "--quiet"))
    family = psutil.Process(run.pid)
    while len(list(out.glob("state/*.json"))) < KILL_AFTER and run.poll() is None:
        time.sleep(0.2)
    children = family.children(recursive=True)
    run.send_signal(signal.SIGKILL)
    run.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    kept = len(list(out.glob("state/*.json")))
    print(f"killed with {kept} studies done; processes left over: {len(alive)}", flush=True)
    _cohort(manifest, out, "--workers", "1")
    return kept


def everything(out: Path) -> dict[str, str]:
    """Hash of every table, and of every file of every study."""
    names = [out / f"{t}.{kind}" for t in TABLES for kind in ("csv", "parquet")]
    files = [*names, *(p for p in sorted(out.glob("studies/**/*")) if p.is_file())]
    return {p.relative_to(out).as_posix(): _mark(p) for p in files}


def _mark(path: Path) -> str:
    data = path.read_bytes()
    if path.name == "run.json":
        run = json.loads(data)
        run.pop("time")
        data = json.dumps(run, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def as_alone(manifest: Path, cohort: Path, out: Path) -> bool:
    """Whether the first study that was assessed has the bytes that ``assess`` alone makes."""
    with (cohort / "studies.csv").open(encoding="utf-8") as stream:
        name = next(Path(r["folder"]).name for r in csv.DictReader(stream) if r["folder"])
    with manifest.open(encoding="utf-8") as stream:
        row = next(r for r in csv.DictReader(stream) if name.startswith(f"{r['subject']}_{r['visit']}"))
    base = manifest.parent
    options: Sequence[str] = [
        part for key in ("site", "side", "bones", "intake") if row.get(key)
        for part in (f"--{key}", str(base / row[key]) if key in ("bones", "intake") else row[key])
    ]  # fmt: skip
    subprocess.run(
        _command("assess", str(base / row["study"]), "-o", str(out / name), "--quiet", *options), check=False
    )
    ours = {p.relative_to(cohort / "studies" / name): _mark(p) for p in (cohort / "studies" / name).rglob("*.*")}
    theirs = {p.relative_to(out / name): _mark(p) for p in (out / name).rglob("*.*")}
    return bool(ours) and ours == theirs
