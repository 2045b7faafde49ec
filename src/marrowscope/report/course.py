"""The line over all visits: edema volume with its interval, steps that may not be compared dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from PIL import Image, ImageDraw

from marrowscope.measurement import Measurement
from marrowscope.report.changed import LINE_FROM
from marrowscope.report.figures import Figure, figure_of
from marrowscope.report.raster import LETTER_PX, font

SIZE = (760, 360)
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 36, 58
PAPER, INK_COLOUR, SOFT, LINE = (255, 255, 255), (34, 34, 34), (150, 150, 150), (0, 114, 178)
DOT_PX, DASH_PX = 5, 9

Point = tuple[float, float]


def course_figure(change: Mapping[str, Any] | None) -> dict[str, Figure]:
    """``change_course``, where there are more than two visits with a volume; else nothing."""
    visits = [v for v in (change or {}).get("visits", ()) if v["volume"].get("value") is not None]
    if len(visits) <= LINE_FROM:
        return {}
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    volumes = [Measurement.from_dict(dict(v["volume"])) for v in visits]
    highest = max(float(m.high if m.high is not None else m.value or 0.0) for m in volumes) or 1.0
    places, by_date = _places([v["date"] for v in visits])
    _axes(draw, highest)
    points = [(_x(x), _y(m.value or 0.0, highest)) for x, m in zip(places, volumes, strict=True)]
    for n in range(1, len(points)):
        _step(draw, points[n - 1], points[n], dashed=not visits[n]["comparable"])
    for point, m, visit, n in zip(points, volumes, visits, range(1, len(points) + 1), strict=True):
        _visit(draw, point, m, highest, visit["date"] or f"visit {n}")
    scale = "spaced by date" if by_date else "evenly spaced"
    caption = f"Edema volume (cm3) over {len(visits)} visits, {scale}, with its interval"
    caption += "; dashed: not comparable with the visit before" if not all(v["comparable"] for v in visits) else ""
    return {"change_course": figure_of("change_course", picture, caption)}


def _places(dates: Sequence[str]) -> tuple[list[float], bool]:
    """Where each visit stands, 0 to 1: by date where all are stated and rise, else evenly."""
    try:
        days = [date.fromisoformat(d).toordinal() for d in dates]
    except ValueError:
        days = []
    if days and all(b > a for a, b in pairwise(days)):
        return [(d - days[0]) / (days[-1] - days[0]) for d in days], True
    return [n / (len(dates) - 1) for n in range(len(dates))], False


def _x(place: float) -> float:
    return LEFT + 20 + place * (SIZE[0] - LEFT - RIGHT - 40)


def _y(volume: float, highest: float) -> float:
    return SIZE[1] - BOTTOM - volume / highest * (SIZE[1] - TOP - BOTTOM)


def _axes(draw: ImageDraw.ImageDraw, highest: float) -> None:
    floor = SIZE[1] - BOTTOM
    draw.line([(LEFT, TOP), (LEFT, floor), (SIZE[0] - RIGHT, floor)], fill=INK_COLOUR, width=1)
    for value in (0.0, highest / 2, highest):
        y = _y(value, highest)
        draw.line([(LEFT - 4, y), (LEFT, y)], fill=INK_COLOUR)
        draw.text((LEFT - 8, y), f"{value:.1f}", fill=INK_COLOUR, font=font(LETTER_PX), anchor="rm")
    draw.text((LEFT - 8, TOP - 14), "cm3", fill=INK_COLOUR, font=font(LETTER_PX), anchor="rm")


def _step(draw: ImageDraw.ImageDraw, a: Point, b: Point, dashed: bool) -> None:
    if not dashed:
        draw.line([a, b], fill=LINE, width=2)
        return
    length = max(1.0, ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5)
    for start in range(0, int(length), 2 * DASH_PX):
        ends = [min(1.0, (start + d) / length) for d in (0, DASH_PX)]
        draw.line([(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) for t in ends], fill=SOFT, width=2)


def _visit(draw: ImageDraw.ImageDraw, point: Point, m: Measurement, highest: float, words: str) -> None:
    x, y = point
    if m.low is not None and m.high is not None:
        draw.line([(x, _y(m.low, highest)), (x, _y(m.high, highest))], fill=SOFT, width=2)
    draw.ellipse([x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX], fill=LINE)
    draw.text((x + DOT_PX + 3, y - DOT_PX), f"{m.value:.2f}", fill=INK_COLOUR, font=font(LETTER_PX), anchor="ls")
    draw.text((x, SIZE[1] - BOTTOM + 8), words, fill=INK_COLOUR, font=font(LETTER_PX), anchor="ma")
