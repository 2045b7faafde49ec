"""The reading room under load: 20 readers while a study is assessed; a 2 GB upload and a zip bomb by memory.

    python -m benchmarks web_load [--readers 20] [--rounds 5]

Starts its own server on a free loopback port with an empty data folder; prints medians in ms and MB above idle.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2 as httpx
import psutil

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = (
    "/",
    "/studies/{id}",
    "/studies/{id}/intake",
    "/studies/{id}/report",
    "/cohort",
    "/knowledge",
    "/studies/{id}/history",
)


def start(data: Path) -> tuple[subprocess.Popen[str], str, str]:
    """A server of our own: its process, address and token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "marrowscope", "serve", "--data", str(data), "--port", str(port), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    base, token = address.split("/sign-in?token=")
    for _ in range(200):
        try:
            httpx.get(f"{base}/healthz")
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    return process, base, token


def megabytes(process: psutil.Process) -> float:
    """Resident memory."""
    return process.memory_info().rss / 1e6


def peak_while(process: psutil.Process, work: threading.Thread) -> float:
    """Highest resident memory while a thread works."""
    peak = megabytes(process)
    work.start()
    while work.is_alive():
        peak = max(peak, megabytes(process))
        time.sleep(0.01)
    return peak


def two_gigabytes() -> Iterator[bytes]:
    """A multipart body of 2 GiB in pieces."""
    yield b'--B\r\ncontent-disposition: form-data; name="files"; filename="big.dcm"\r\n\r\n'
    for _ in range(2048):
        yield b"\0" * 2**20
    yield b"\r\n--B--\r\n"


def send_big(base: str, headers: dict[str, str], answers: list[str]) -> None:
    """No length is declared, so only real bytes can stop it."""
    kind = {**headers, "content-type": "multipart/form-data; boundary=B"}
    try:
        answer = httpx.post(f"{base}/api/studies", content=two_gigabytes(), headers=kind, timeout=600)
        answers.append(f"{answer.status_code} {answer.json()['code']}")
    except httpx.TransportError as error:
        answers.append(f"connection ended ({type(error).__name__})")


def send_bomb(base: str, headers: dict[str, str], answers: list[str]) -> None:
    """4 MB that would inflate to 2 GiB."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for n in range(4):
            archive.writestr(f"{n}.dcm", b"\0" * (512 * 2**20))
    answer = httpx.post(
        f"{base}/api/studies", files={"files": ("b.zip", bomb.getvalue())}, headers=headers, timeout=600
    )
    answers.append(f"{answer.status_code} {answer.json()['code']} ({len(bomb.getvalue()) / 1e6:.1f} MB)")


def drop(base: str, headers: dict[str, str], study: Path) -> str:
    """Drop a study; its id."""
    files = [("files", (p.name, p.read_bytes())) for p in sorted(study.rglob("*")) if p.is_file()]
    answer = httpx.post(f"{base}/api/studies", files=files, data={"site": "knee"}, headers=headers, timeout=120)
    return str(answer.json()["id"])


def wait(base: str, headers: dict[str, str], study: str) -> None:
    """Until the study is assessed."""
    while "hx-refresh" not in httpx.get(f"{base}/studies/{study}/progress", headers=headers, timeout=60).headers:
        time.sleep(0.5)


def read(base: str, headers: dict[str, str], study: str, rounds: int, times: list[float]) -> None:
    """One reader going round the pages."""
    with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
        for _ in range(rounds):
            for page in PAGES:
                began = time.perf_counter()
                client.get(page.format(id=study)).raise_for_status()
                times.append(1000 * (time.perf_counter() - began))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks web_load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    from marrowscope.commands.simulate import simulate_to

    with tempfile.TemporaryDirectory() as scratch:
        study = simulate_to(Path(scratch) / "sim", 7)
        process, base, token = start(Path(scratch) / "data")
        headers = {"authorization": f"Bearer {token}", "x-reader": "load"}
        try:
            server = psutil.Process(process.pid)
            for name, send in (("2 GB upload", send_big), ("zip bomb", send_bomb)):
                answers: list[str] = []
                idle = megabytes(server)
                peak = peak_while(server, threading.Thread(target=send, args=(base, headers, answers)))
                print(f"{name}: {answers[0]}, {peak - idle:.0f} MB above idle ({idle:.0f} MB)")
            first = drop(base, headers, study)
            wait(base, headers, first)
            second = drop(base, headers, study)
            times: list[float] = []
            readers = [
                threading.Thread(target=read, args=(base, headers, first, chosen.rounds, times))
                for _ in range(chosen.readers)
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            busy = "hx-refresh" not in httpx.get(f"{base}/studies/{second}/progress", headers=headers).headers
            cut = statistics.quantiles(times, n=20)[18]
            print(
                f"{chosen.readers} readers, {len(times)} pages, assessment {'still running' if busy else 'done'}: "
                f"median {statistics.median(times):.0f} ms, 95th percentile {cut:.0f} ms, "
                f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            )
        finally:
            process.terminate()
            process.wait(30)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
