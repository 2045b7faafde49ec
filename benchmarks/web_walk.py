"""A case without images, from the first page to the leaflet, at the pace of a person who has never seen it.

    python -m benchmarks web_walk [--pace 1.0] [--pictures FOLDER]

The real app in a real browser. Before every act the script waits as long as a person takes by the keystroke-level model
(Card, Moran, Newell 1983: 0.28 s a key, 1.1 s to point, 0.2 s to click, 1.35 s to decide), and reads every text it has
not met before at 4 words a second. It prints seconds and acts; an automatic walk is no user test.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.web_load import start
from chromium import FLAGS, PATH

KEY, POINT, CLICK, DECIDE = 0.28, 1.1, 0.2, 1.35
WORDS_A_SECOND = 4.0
SHORTEST_WORD = 2
SHOWN = """element => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("option, details:not([open]) > :not(summary)").forEach(hidden => hidden.remove());
    return copy.textContent;
}"""
"""Text on the page without the entries of closed lists."""


class Person:
    """Somebody at a page: reads what is new, decides, points, clicks, types."""

    def __init__(self, page: Any, pace: float, pictures: Path | None) -> None:
        self.page, self.pace, self.pictures = page, pace, pictures
        self.acts, self.seconds, self.known = 0, 0.0, set[str]()

    def read(self, selector: str) -> None:
        """Take the time that the words not met before need."""
        words = re.findall(rf"\w{{{SHORTEST_WORD},}}", self.page.locator(selector).first.evaluate(SHOWN))
        fresh = [w for w in words if w not in self.known]
        self.known.update(fresh)
        self._take(len(fresh) / WORDS_A_SECOND)

    def click(self, selector: str) -> None:
        """Decide, point, click."""
        self._act(DECIDE + POINT + CLICK)
        self.page.locator(selector).first.click()

    def choose(self, selector: str, value: str) -> None:
        """Open a list, choose from it."""
        self._act(DECIDE + 2 * (POINT + CLICK))
        with self.page.expect_response(re.compile("/intake$")):
            self.page.select_option(selector, value)

    def type(self, selector: str, text: str) -> None:
        """Point, click, type."""
        self._act(DECIDE + POINT + CLICK)
        self.page.click(selector)
        for letter in text:
            self._take(KEY)
            self.page.keyboard.type(letter)

    def answer(self, finding: str, name: str, value: str) -> None:
        """Look a finding up by typing and answer it."""
        self.page.fill("#find", "")
        self.type("#find", finding)
        with self.page.expect_response(re.compile("/intake$")):
            self.click(f"fieldset:visible:has-text('{name}') label:has-text('{value}')")

    def look(self, name: str) -> None:
        """Keep a picture."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{name}.png")

    def _act(self, seconds: float) -> None:
        self.acts += 1
        self._take(seconds)

    def _take(self, seconds: float) -> None:
        self.seconds += self.pace * seconds
        time.sleep(self.pace * seconds)


def walk(person: Person) -> None:
    """A woman of 62 with sudden pain on the inner side of the knee and the words of a report."""
    person.read("main")
    person.type("#case-label", "knee, woman of 62")
    person.click("button:has-text('Begin a case')")
    person.page.wait_for_selector("#intake")
    person.read("main h1 + p")
    person.choose("#i-site", "knee")
    person.type("#i-age", "62")
    person.choose("#i-sex", "female")
    person.choose("#i-onset", "sudden")
    person.click("label:has-text('Medial femoral condyle')")
    person.page.wait_for_selector("#live .bars li")
    person.read("#live")
    person.look("located")
    person.answer("fracture line", "fracture line", "yes")
    person.answer("fever", "Fever", "no")
    person.read("#live")
    person.look("answered")
    person.click("#live a:has-text('Leaflet')")
    person.page.wait_for_selector("iframe")
    person.page.frame_locator("iframe").locator("h1").first.wait_for()
    person.look("leaflet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks web_walk", description=__doc__)
    parser.add_argument("--pace", type=float, default=1.0, help="2 = half as quick a person")
    parser.add_argument("--pictures", type=Path)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as play:
        process, base, token = start(Path(scratch) / "data")
        browser = play.chromium.launch(executable_path=PATH, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{base}/sign-in?token={token}")
            person = Person(page, chosen.pace, chosen.pictures)
            began = time.monotonic()
            walk(person)
            seconds = time.monotonic() - began
        finally:
            browser.close()
            process.terminate()
            process.wait(30)
    print(f"first page to leaflet: {seconds:.0f} s ({person.seconds:.0f} s the person's, the rest the app's)")
    print(f"{person.acts} acts, {len(person.known)} words read")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
