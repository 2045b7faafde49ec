"""Seconds to the first image, to every pane and from an edit to its numbers, in a real browser on loopback.

    python -m benchmarks web_viewer STUDY [--site si_joint] [--rounds 5]

Drops STUDY (a folder or archive) into a server of its own and opens the viewer again and again in headless Chromium,
each time from an empty cache, then edits. Graphics run in software there: a reader's machine is faster.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.web_load import start
from chromium import FLAGS, PATH


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks web_viewer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--site", default="")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as play:
        process, base, token = start(Path(scratch) / "data")
        browser = play.chromium.launch(executable_path=PATH, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(300_000)
            study = drop(page, f"{base}/sign-in?token={token}", chosen.study, chosen.site)
            first, every = zip(*(opened(page, study) for _ in range(chosen.rounds)), strict=True)
            edits = [edit(page, key) for key in "xz" * chosen.rounds]
        finally:
            browser.close()
            process.terminate()
            process.wait(30)
    for name, seconds in (("first image", first), ("every pane", every), ("edit to numbers", edits)):
        print(f"{name}: median {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


def drop(page: Any, address: str, study: Path, site: str) -> str:
    """Upload, wait for the result; the study's address."""
    page.goto(address)
    page.fill("#reader-name", "Dr Bench")
    page.click("#reader button")
    page.wait_for_selector("#reader button:has-text('Change')")
    page.select_option("#site", site)
    page.set_input_files("#folder" if study.is_dir() else "#files", study)
    page.wait_for_url(re.compile(r"/studies/[0-9a-f]{12}$"))
    page.wait_for_selector("a:has-text('Open the viewer')")
    return str(page.url)


def opened(page: Any, study: str) -> tuple[float, float]:
    """Seconds from the navigation's start to the first image and to all of them."""
    session = page.context.new_cdp_session(page)
    session.send("Network.clearBrowserCache")
    page.goto(f"{study}/viewer")
    page.wait_for_selector("#viewer[data-ready=yes]")
    viewer = page.locator("#viewer")
    return float(viewer.get_attribute("data-first")) / 1000, float(viewer.get_attribute("data-both")) / 1000


def edit(page: Any, key: str) -> float:
    """Seconds from a key to the new numbers."""
    page.locator("#lesions button").first.wait_for()
    began = time.monotonic()
    before = page.locator("#revision").inner_text()
    page.keyboard.press(key)
    page.wait_for_function("r => document.getElementById('revision').textContent !== r", arg=before)
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
