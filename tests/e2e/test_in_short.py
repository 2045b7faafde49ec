"""The reading room in a real browser, in short: every way to edit by real clicks, the prior beside, both databases.

Two small visits with known bright spots; the second one lies 6 mm further forward. The long way through a simulated
knee is ``test_reading_room.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import BROWSER, accessible, coloured, edited, forgive, free_port, go, page, panel, pixels, serving
from web_helpers import NAMES, SHAPE, SPACING, nifti, postgresql

__all__ = ["page", "postgresql"]

pytestmark = BROWSER

SHIFT = 6
"""Voxels (1 mm) between the two visits along the second axis."""

SPOTS = ((slice(10, 17), slice(9, 19), slice(3, 7)), (slice(24, 30), slice(10, 17), slice(5, 9)))
"""Two bright spots of the first bone."""


def visit(folder: Path, shift: int, spots: tuple[tuple[slice, ...], ...]) -> tuple[list[Path], list[Path]]:
    """Image files and mask files of one visit."""
    rng = np.random.default_rng(5 + shift)
    bones = np.zeros(SHAPE, dtype=np.uint8)
    bones[8:32, 5:21, 1:11] = 1
    bones[10:30, 25:39, 2:10] = 2
    fluid = np.full(SHAPE, 300.0) + rng.normal(0, 12, SHAPE)
    fluid[bones > 0] = 100 + rng.normal(0, 8, int((bones > 0).sum()))
    for spot in spots:
        fluid[spot] = 420
    fluid[12:16, 22:25, 2:10] = 900
    t1 = np.where(bones > 0, 800.0, 300.0) + rng.normal(0, 12, SHAPE)
    affine = np.diag([*SPACING, 1.0])
    folder.mkdir()
    paths = []
    for name, array in (("stir_ax", fluid.astype(np.float32)), ("t1_ax", t1.astype(np.float32)), ("bones", bones)):
        path = folder / f"{name}.nii.gz"
        path.write_bytes(nifti(np.roll(array, shift, axis=1), affine))
        paths.append(path)
    (folder / "bones.yaml").write_bytes(NAMES)
    return paths[:2], [paths[2], folder / "bones.yaml"]


def drop(page: Any, base: str, label: str, files: tuple[list[Path], list[Path]]) -> str:
    """Drop a visit and wait until it is assessed; its address."""
    page.goto(f"{base}/")
    page.fill("#label", label)
    page.select_option("#site", "knee")
    page.set_input_files("#bones", files[1])
    page.set_input_files("#files", files[0])
    page.wait_for_url(re.compile(r"/studies/[0-9a-f]{12}$"))
    page.wait_for_selector("a:has-text('Open the viewer')")
    return str(page.url)


def read(page: Any, study: str) -> None:
    page.goto(f"{study}/viewer")
    page.wait_for_selector("#viewer[data-ready=yes]")


def begin(page: Any, address: str) -> None:
    go(page, address)
    page.fill("#reader-name", "Dr Short")
    page.click("#reader button")
    page.wait_for_selector("#reader button:has-text('Change')")


def lesions(page: Any) -> list[tuple[int, float]]:
    """(label, cm3) of every lesion listed."""
    rows = page.locator("#lesions button").all()
    return [(int(r.get_attribute("data-label")), float(r.locator("span").nth(2).inner_text().split()[0])) for r in rows]


def choose(page: Any, label: int) -> None:
    button = page.locator(f"#lesions button[data-label='{label}']")
    if button.get_attribute("aria-pressed") != "true":
        button.click()


def world(page: Any) -> np.ndarray[Any, Any]:
    return np.array([float(n) for n in page.locator("#viewer").get_attribute("data-world").split(",")])


def voxel(page: Any, role: str) -> np.ndarray[Any, Any]:
    return np.array([int(n) for n in page.locator(f".pane[data-role={role}]").get_attribute("data-voxel").split(",")])


def place_on_screen(page: Any) -> Callable[[np.ndarray[Any, Any]], tuple[float, float]]:
    """World mm to a point of the fluid pane, learnt from three clicks on it (axial: x and y)."""
    page.keyboard.press("v")
    box = page.locator(".pane[data-role=fluid]").bounding_box()
    middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    spots = [middle, middle + np.array([40, 0]), middle + np.array([0, 40])]
    seen = []
    for x, y in spots:
        page.mouse.click(x, y)
        seen.append(world(page)[:2])
    step = np.column_stack([seen[1] - seen[0], seen[2] - seen[0]]) / 40

    def place(mm: np.ndarray[Any, Any]) -> tuple[float, float]:
        x, y = spots[0] + np.linalg.solve(step, mm[:2] - seen[0])
        return float(x), float(y)

    return place


def by(x: float, y: float) -> np.ndarray[Any, Any]:
    """A step in the slice, mm."""
    return np.array([x, y, 0.0])


def total(found: list[tuple[int, float]]) -> float:
    return sum(v for _, v in found)


def stroke(page: Any, tool: str, size: int, points: list[tuple[float, float]]) -> None:
    page.keyboard.press(tool)
    page.locator("#brush-size").evaluate("(e, v) => { e.value = v }", str(size))
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


@pytest.fixture(scope="module")
def room(page: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A running app with two visits; the later one has the earlier as its prior."""
    folder = tmp_path_factory.mktemp("short")
    port = free_port()
    with serving(folder / "data", port) as address:
        base = f"http://127.0.0.1:{port}"
        begin(page, address)
        earlier = drop(page, base, "earlier visit", visit(folder / "a", 0, SPOTS[:1]))
        later = drop(page, base, "later visit", visit(folder / "b", SHIFT, SPOTS))
        yield {"base": base, "earlier": earlier, "later": later}


def test_split_merge_erase_grow_and_undo_by_real_clicks(page: Any, room: Mapping[str, str]) -> None:
    read(page, room["later"])
    start, before = lesions(page), panel(page)
    big, small = sorted(start, key=lambda row: -row[1])[:2]
    choose(page, big[0])
    centre, place = world(page), place_on_screen(page)
    choose(page, small[0])
    choose(page, big[0])
    page.keyboard.press("o")
    assert coloured(pixels(page, "fluid")).any()

    ends = [place(centre + by(3, -6)), place(centre + by(3, 6))]
    after_split = edited(page, lambda: stroke(page, "s", 5, ends))
    parts = lesions(page)
    assert len(parts) == len(start) + 1 and total(parts) == pytest.approx(total(start), abs=0.02)
    assert after_split[0] == pytest.approx(before[0], abs=0.02)
    new = next(label for label, _ in parts if label not in dict(start))

    choose(page, new)
    page.keyboard.press("j")
    edited(page, lambda: page.click(f"#lesions button[data-label='{big[0]}']"))
    assert dict(lesions(page)) == pytest.approx(dict(start), abs=0.011), "merged back: the volumes of before"

    choose(page, big[0])
    erased = edited(page, lambda: stroke(page, "e", 15, [place(centre), place(centre + by(0, 1))]))
    assert erased[0] < before[0] - 0.1
    grown = edited(page, lambda: (page.keyboard.press("g"), page.mouse.click(*place(centre))))
    assert grown[0] == pytest.approx(before[0], abs=0.06), "grown back to the spot, not beyond its bone"
    assert edited(page, lambda: page.keyboard.press("z"))[0] == erased[0]
    assert edited(page, lambda: page.keyboard.press("z"))[0] == before[0]
    page.keyboard.press("v")
    outside = place(centre + by(0, 9))
    page.keyboard.press("g")
    page.mouse.click(*outside)
    page.wait_for_selector("#message.bad")
    forgive(page)  # the browser itself notes the refusal in its console
    assert panel(page)[0] == before[0], "a click outside marrow grows nothing"

    page.click(f"#lesions button[data-label='{small[0]}']")
    rejected = edited(page, lambda: page.click("button:has-text('Reject')"))
    assert rejected[0] == pytest.approx(before[0] - small[1], abs=0.011)
    accessible(page, "short-viewer")
    page.goto(f"{room['later']}/history")
    text = page.locator("main").inner_text()
    for word in ("split", "merge", "remove voxels", "add voxels", "reject", "Dr Short", "undone", "grown from a click"):
        assert word in text, word
    read(page, room["later"])
    page.keyboard.press("a")
    page.wait_for_function("() => document.getElementById('revision').textContent === '1'")
    assert lesions(page) == start, "the automatic result stays reachable"


def test_score_cells_follow_a_click(page: Any, room: Mapping[str, str]) -> None:
    read(page, room["earlier"])
    cells = page.locator(".score[open] .cell")
    assert cells.count() > 3, "a sheet of cells"
    cell = cells.first
    name, was = cell.get_attribute("data-cell"), cell.inner_text().split()[-1]
    after = edited(page, cell.click)
    mine = page.locator(f".cell.mine[data-cell='{name}']")
    assert mine.inner_text().split()[-1] != was
    undone = edited(page, lambda: page.click("button[data-act=undo]"))
    assert undone[1] != after[1] or page.locator(".cell.mine").count() == 0


def test_the_prior_lies_beside_and_follows_by_registration(page: Any, room: Mapping[str, str]) -> None:
    page.goto(room["later"])
    page.select_option("#prior", room["earlier"].rsplit("/", 1)[-1])
    page.click("button:has-text('Compare')")
    page.wait_for_selector("h2:has-text('Change since the earlier visit')")
    accessible(page, "short-change")
    read(page, room["later"])
    assert page.locator(".pane").count() == 3
    assert "registered by femur" in page.locator(".pane[data-role=prior] .name").inner_text()
    choose(page, lesions(page)[0][0])
    difference = voxel(page, "fluid") - voxel(page, "prior")
    assert abs(difference - [0, SHIFT, 0]).max() <= 1, "the same spot of the bone in both visits"
    box = page.locator(".pane[data-role=prior]").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.55)
    assert abs(voxel(page, "fluid") - voxel(page, "prior") - [0, SHIFT, 0]).max() <= 1, "and back"
    page.keyboard.press("o")
    accessible(page, "short-prior")
    page.goto(f"{room['later']}/report")
    assert "Change since the earlier visit" in page.locator("main").inner_text()


def test_every_page_is_accessible_and_fits_a_phone(page: Any, room: Mapping[str, str]) -> None:
    """No serious violation by axe-core in the light and the dark theme, no complaint, nothing wider than a phone."""
    study, base = room["earlier"], room["base"]
    addresses = [
        f"{study}{part}" for part in ("", "/viewer", "/intake", "/reasoning", "/leaflet", "/report", "/history")
    ]
    addresses += [f"{base}/{part}" for part in ("", "cohort", "knowledge", "knowledge/cause/osteoarthritis", "pacs")]
    for address in addresses:
        page.goto(address)
        if address.endswith("/viewer"):
            page.wait_for_selector("#viewer[data-ready=yes]")
        accessible(page, "page-" + address.removeprefix(base).replace("/", "-"))
    page.set_viewport_size({"width": 390, "height": 844})
    for address in addresses:
        page.goto(address)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, address
    page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.needs("postgres")
def test_drop_edit_sign_and_restart_on_postgresql(page: Any, tmp_path: Path, postgresql: str) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with serving(tmp_path / "data", port, "--db", postgresql) as address:
        begin(page, address)
        study = drop(page, base, "on PostgreSQL", visit(tmp_path / "a", 0, SPOTS))
        read(page, study)
        before = panel(page)
        choose(page, lesions(page)[0][0])
        after = edited(page, lambda: page.keyboard.press("x"))
        assert after[0] < before[0]
        page.goto(f"{study}/report")
        page.click("button:has-text('Sign')")
        page.wait_for_selector(".tag.final")
    with serving(tmp_path / "data", port, "--db", postgresql) as address:
        go(page, address)
        page.click("th a:has-text('on PostgreSQL')")
        read(page, study)
        assert panel(page) == after and "final" in page.locator("#status").inner_text()
