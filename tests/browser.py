"""Headless Chromium on the real app: start both, look at pixels, panels and accessibility."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error, sync_playwright

from chromium import FLAGS, PATH

CHECKOUT = Path(__file__).resolve().parents[1]
BUNDLE = CHECKOUT / "src" / "marrowscope" / "web" / "static" / "bundle" / "viewer.js"
AXE = CHECKOUT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
SECONDS = 300_000
"""Milliseconds anything may take: a test machine may be busy."""

BROWSER = [
    pytest.mark.needs("chromium"),
    pytest.mark.skipif(not BUNDLE.is_file(), reason="front end not built: .venv/bin/python frontend/build.py"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, port: int, *more: str) -> Iterator[str]:
    """``marrowscope serve`` as a user starts it; the address it prints."""
    command = [
        sys.executable,
        "-m",
        "marrowscope",
        "serve",
        "--data",
        str(data),
        "--port",
        str(port),
        "--no-browser",
        *more,
    ]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=PATH, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=False)
        page.set_default_timeout(SECONDS)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console", lambda m: page.complaints.append(m.text) if m.type == "error" and "404" not in m.text else None
        )
        yield page
        browser.close()


def go(page: Any, address: str) -> None:
    for _ in range(100):
        try:
            page.goto(address)
            return
        except Error as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            time.sleep(0.3)


def forgive(page: Any) -> None:
    """Forget complaints that the test's own tools caused, once they have arrived."""
    page.wait_for_timeout(300)
    page.complaints.clear()


def keep(page: Any, name: str) -> None:
    if folder := os.environ.get("MARROWSCOPE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", caret="initial")
        forgive(page)


def accessible(page: Any, name: str) -> None:
    """No complaint in the console and no serious violation by axe-core.

    Complaints are looked at first: the test tools themselves add styles, which the policy rightly blocks.
    """
    page.wait_for_timeout(200)
    assert page.complaints == [], (name, page.complaints)
    keep(page, name)
    if not AXE.is_file():
        return
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run({ iframes: false })")
    forgive(page)
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == [], (name, [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in serious])


def pixels(page: Any, role: str) -> np.ndarray[Any, Any]:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(400)
    shot = page.locator(f".pane[data-role={role}]").screenshot(caret="initial")
    forgive(page)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def coloured(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where the overlay is: saturated and warm or green (the crosshair is blue, the letters are grey)."""
    spread = image.max(axis=2) - image.min(axis=2)
    return (spread > 60) & (image[..., 2] < image[..., :2].max(axis=2) - 30)


def panel(page: Any) -> tuple[float, dict[str, str]]:
    """Edema volume and every score as the side panel shows them."""
    total = float(page.locator("#totals dd").first.inner_text().split()[0])
    scores = {h.locator("span").inner_text(): h.locator("b").inner_text() for h in page.locator(".score summary").all()}
    return total, scores


def edited(page: Any, act: Any) -> tuple[float, dict[str, str]]:
    before = page.locator("#revision").inner_text()
    act()
    page.wait_for_function("r => document.getElementById('revision').textContent !== r", arg=before)
    return panel(page)
