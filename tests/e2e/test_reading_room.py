"""The real app in a real browser, the long way: drop, read, edit, reason, sign, download, restart.

It runs with MARROWSCOPE_E2E=1. Set MARROWSCOPE_SCREENSHOTS to a folder to keep a picture of every page.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from browser import BROWSER, accessible, coloured, edited, free_port, go, keep, page, panel, pixels, serving

__all__ = ["page"]

pytestmark = BROWSER


@pytest.fixture(scope="module")
def knee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from marrowscope.commands.simulate import simulate_to

    return Path(simulate_to(tmp_path_factory.mktemp("simulated"), 7))


@pytest.mark.skipif(not os.environ.get("MARROWSCOPE_E2E"), reason="takes minutes: set MARROWSCOPE_E2E=1")
def test_the_reading_room(page: Any, knee: Path, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with serving(tmp_path / "data", port) as address:
        go(page, address)
        assert page.url == f"{base}/", "the token left the address"
        accessible(page, "studies-empty")
        page.fill("#reader-name", "Dr Example")
        page.click("#reader button")
        page.wait_for_selector("#reader button:has-text('Change')")
        page.fill("#label", "Knee <b>of</b> “simulated” person")
        page.select_option("#site", "knee")
        page.set_input_files("#folder", knee)
        page.wait_for_url(re.compile(r"/studies/[0-9a-f]{12}$"))
        study = page.url
        accessible(page, "progress")
        page.wait_for_selector("a:has-text('Open the viewer')")
        assert page.locator(".study-name").inner_text() == "Knee <b>of</b> “simulated” person"
        accessible(page, "overview")

        read_images(page, study, tmp_path)
        after = edit_lesions(page, study)

        page.goto(f"{study}/intake")
        accessible(page, "intake")
        page.click("a:has-text('Reasoning')")
        before = page.locator("details summary strong").all_inner_texts()
        accessible(page, "reasoning")
        page.goto(f"{study}/intake")
        page.fill("#find", "fever")
        with page.expect_response(re.compile("/intake$")):
            page.locator("fieldset:has-text('Fever') label:has-text('yes')").first.click()
        with page.expect_response(re.compile("/intake$")):
            page.locator("#findings input[name='lab.crp']").evaluate(
                "e => { e.value = '140 mg/L'; e.dispatchEvent(new Event('change', {bubbles: true})); }"
            )
        page.goto(f"{study}/reasoning")
        causes = page.locator("details summary strong").all_inner_texts()
        assert causes != before, "the ranking follows the intake"
        assert page.locator(".check.raised").count() >= 1
        accessible(page, "reasoning-infection")
        page.goto(f"{study}/leaflet")
        accessible(page, "leaflet")

        page.goto(f"{study}/report")
        accessible(page, "report")
        page.click("button:has-text('Sign')")
        page.wait_for_selector(".tag.final")
        for what, magic in (("DICOM SEG", b"DICM"), ("PDF", b"%PDF-")):
            with page.expect_download() as got:
                page.click(f"a:has-text('({what})')")
            assert magic in Path(got.value.path()).read_bytes()[:140]
        page.goto(f"{study}/history")
        accessible(page, "history")
        for name in ("cohort", "knowledge", "knowledge/cause/osteoarthritis", "pacs"):
            page.goto(f"{base}/{name}")
            accessible(page, name.replace("/", "-"))
    with serving(tmp_path / "data", port) as address:
        go(page, address)
        accessible(page, "studies")
        page.click("th a:has-text('simulated')")
        page.goto(f"{study}/viewer")
        page.wait_for_selector("#viewer[data-ready=yes]")
        assert panel(page) == after, "found again after a restart"
        assert "final" in page.locator("#status").inner_text()


def read_images(page: Any, study: str, tmp_path: Path) -> None:
    """Image and overlay are really there, move with the slice, and lie where the file says."""
    began = time.monotonic()
    page.goto(f"{study}/viewer")
    page.wait_for_selector("#viewer[data-ready=yes]")
    if os.environ.get("MARROWSCOPE_SCREENSHOTS"):
        first = page.locator("#viewer").get_attribute("data-first")
        print(f"first image after {first} ms, both after {time.monotonic() - began:.2f} s")
    assert page.locator("#viewer").get_attribute("data-axes") == "true"
    page.wait_for_timeout(800)
    plain = pixels(page, "fluid")
    assert plain.std() > 15 and pixels(page, "t1").std() > 15, "pictures, not black panes"
    assert not coloured(plain).any(), "the overlay is off at first"
    letters = {
        role: [
            page.locator(f".pane[data-role={role}] .letter.{side}").inner_text()
            for side in ("left", "right", "up", "down")
        ]
        for role in ("fluid", "t1")
    }
    assert letters == {"fluid": ["A", "P", "S", "I"], "t1": ["R", "L", "S", "I"]}
    the_picture_is_the_file(page, study, tmp_path)

    middle_of_the_knee(page)
    page.keyboard.press("o")
    with_overlay = pixels(page, "fluid")
    keep(page, "viewer")
    assert coloured(with_overlay).sum() > 20
    page.keyboard.press("f")
    filled = pixels(page, "fluid")
    assert coloured(filled).sum() > 2 * coloured(with_overlay).sum()
    page.keyboard.press("f")
    pane = page.locator(".pane[data-role=fluid]")
    start = int(pane.get_attribute("data-slice"))
    page.locator(".pane[data-role=fluid] .glass").focus()
    page.locator(".pane[data-role=fluid] .glass").hover()
    page.mouse.wheel(0, 100)
    at_slice(page, start + 1)
    page.keyboard.press("ArrowDown")
    at_slice(page, start + 2)
    moved = pixels(page, "fluid")
    assert np.abs(moved - with_overlay).mean() > 1, "another slice looks different"
    assert (coloured(moved) != coloured(with_overlay)).any(), "the overlay moves with the slice"
    window = pane.get_attribute("data-window")
    page.keyboard.press("3")
    assert pane.get_attribute("data-window") != window
    page.keyboard.press("1")
    assert pane.get_attribute("data-window") == window
    page.keyboard.press("p")
    page.keyboard.press("m")
    assert page.locator(".pane:visible").count() == 1
    page.keyboard.press("m")
    page.keyboard.press("p")
    page.keyboard.press("p")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    accessible(page, "viewer-keys")
    page.keyboard.press("Escape")


def at_slice(page: Any, number: int) -> None:
    page.wait_for_selector(f".pane[data-role=fluid][data-slice='{number}']")


def the_picture_is_the_file(page: Any, study: str, tmp_path: Path) -> None:
    """Grey values on the screen against the voxels an independent reader finds at the clicked world positions."""
    for role in ("fluid", "t1"):
        raw = page.request.get(f"{study.replace('/studies/', '/api/studies/')}/volumes/{role}.nii").body()
        path = tmp_path / f"{role}.nii"
        path.write_bytes(raw)
        image = nibabel.load(path)
        array, inverse = np.asarray(image.dataobj), np.linalg.inv(image.affine)
        box = page.locator(f".pane[data-role={role}]").bounding_box()
        middle_of_the_knee(page)
        shot = pixels(page, role)
        low, high = map(float, page.locator(f".pane[data-role={role}]").get_attribute("data-window").split(","))
        seen, stored = [], []
        for x in np.linspace(0.2, 0.8, 6):
            for y in np.linspace(0.33, 0.67, 5):
                page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
                world = [float(n) for n in page.locator("#viewer").get_attribute("data-world").split(",")]
                voxel = np.rint(inverse @ [*world, 1])[:3].astype(int)
                around = [slice(max(0, v - 1), v + 2) for v in voxel]
                around[int(np.argmin(array.shape))] = slice(voxel[int(np.argmin(array.shape))], None)
                stored.append(float(np.median(array[tuple(around)].take(0, int(np.argmin(array.shape))))))
                px, py = int(x * shot.shape[1]), int(y * shot.shape[0])
                patch = shot[py - 2 : py + 3, px - 2 : px + 3].reshape(-1, 3)
                grey = patch[patch.max(axis=1) - patch.min(axis=1) < 20].mean(axis=1)
                if len(grey) < 10:  # the crosshair lies there
                    stored.pop()
                    continue
                seen.append(float(np.median(grey)))
        expected = np.clip((np.asarray(stored) - low) / (high - low), 0, 1)
        assert np.corrcoef(seen, expected)[0, 1] > 0.8, role


def middle_of_the_knee(page: Any) -> None:
    """Both panes on the first lesion's slice, that lesion chosen (a click on a chosen one lets it go)."""
    first = page.locator("#lesions li:nth-child(1) button")
    first.click()
    if first.get_attribute("aria-pressed") != "true":
        first.click()


def edit_lesions(page: Any, study: str) -> tuple[float, dict[str, str]]:
    """Reject, undo, erase, paint and set a cell: the numbers become the recomputed ones."""
    middle_of_the_knee(page)
    start = panel(page)
    assert start[0] > 0 and start[1]
    first = float(page.locator("#lesions li:nth-child(1) button span:nth-of-type(3)").inner_text().split()[0])
    began = time.monotonic()
    rejected = edited(page, lambda: page.keyboard.press("x"))
    if os.environ.get("MARROWSCOPE_SCREENSHOTS"):
        print(f"edit to numbers in {time.monotonic() - began:.2f} s")
    assert rejected[0] == pytest.approx(start[0] - first, abs=0.03)
    assert rejected[1] != start[1], "a score follows"
    assert edited(page, lambda: page.keyboard.press("z")) == start

    box = page.locator(".pane[data-role=fluid]").bounding_box()
    centre = (box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.45)
    middle_of_the_knee(page)
    page.keyboard.press("b")

    def stroke() -> None:
        page.mouse.move(*centre)
        page.mouse.down()
        page.mouse.move(centre[0] + 30, centre[1] + 5, steps=6)
        page.mouse.up()

    painted = edited(page, stroke)
    assert painted[0] > start[0], "painted voxels count"
    keep(page, "viewer-edit")
    cell = page.locator(".cell").first
    page.keyboard.press("v")
    set_cell = edited(page, cell.click)
    assert set_cell[1] != painted[1] or page.locator(".cell.mine").count() == 1
    page.keyboard.press("a")
    page.wait_for_function("() => document.getElementById('revision').textContent === '1'")
    assert panel(page)[0] == start[0], "the automatic result is one key away"
    page.keyboard.press("a")
    page.wait_for_function("() => document.getElementById('revision').textContent !== '1'")
    accessible(page, "viewer-after")
    return set_cell


def test_a_phone_can_fill_an_intake(page: Any, tmp_path: Path) -> None:
    """A case without images on a small screen: from the first page to the leaflet, nothing wider than the screen."""
    with serving(tmp_path / "data", port := free_port()) as address:
        page.set_viewport_size({"width": 390, "height": 800})
        go(page, address)
        page.fill("#case-label", "knee, woman of 62")
        page.click("button:has-text('Begin a case')")
        page.wait_for_selector("#intake")
        with page.expect_response(re.compile("/intake$")):
            page.select_option("#i-site", "knee")
        page.fill("#i-age", "62")
        with page.expect_response(re.compile("/intake$")):
            page.select_option("#i-sex", "female")
        page.locator("label:has-text('Medial femoral condyle')").click()
        page.wait_for_selector("#live .bars li")
        accessible(page, "phone-intake")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        page.click("#live a:has-text('Leaflet')")
        page.wait_for_selector("iframe")
        page.wait_for_timeout(500)
        accessible(page, "phone-leaflet")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        assert f"127.0.0.1:{port}" in page.url
    page.set_viewport_size({"width": 1280, "height": 800})
