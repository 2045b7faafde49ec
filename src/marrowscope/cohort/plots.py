"""Plots as SVG: volume by visit, and Bland-Altman against a second reader's table. Nothing but lines, points, words."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from marrowscope.cohort.tables import natural
from marrowscope.errors import UsageError

WIDTH, HEIGHT, MARGIN = 640, 400, 56
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Okabe and Ito's colours, distinguishable in colour-blind vision."""

LIMITS_OF_AGREEMENT = 1.96
"""Standard deviations around the mean difference (Bland and Altman 1986)."""

FEWEST_SHARED = 2
"""Studies below which no spread of differences can be given."""

Point = tuple[float, float]
Study = tuple[str, str]
"""Subject and visit."""


def volume_by_visit(studies: Sequence[dict[str, Any]], column: str = "edema_volume_cm3") -> str:
    """A line a joint over its visits, in the order of their names."""
    visits = sorted({s["visit"] for s in studies}, key=natural)
    lines: dict[str, list[Point]] = {}
    for s in studies:
        if s.get(column) is not None:
            joint = f"{s['subject']} {s.get('site', '')} {s.get('side', '')}"
            lines.setdefault(joint, []).append((float(visits.index(s["visit"])), float(s[column])))
    highest = max((y for line in lines.values() for _, y in line), default=1.0) or 1.0
    lines = {joint: sorted(line) for joint, line in lines.items()}
    frame = _Frame(None, (0.0, highest), len(visits))
    parts = [frame.line(line, COLOURS[n % len(COLOURS)]) for n, line in enumerate(lines.values())]
    parts += [frame.x_label(float(n), v) for n, v in enumerate(visits)]
    return frame.svg("Edema volume by visit", "visit", "cm3", parts)


def bland_altman(
    ours: dict[tuple[str, str], float], reader: dict[tuple[str, str], float]
) -> tuple[str, dict[str, float]]:
    """Difference against mean, with bias and limits of agreement.

    Args:
        ours, reader: (subject, visit) to volume in cm3.

    Returns:
        The SVG, and ``n``, ``bias``, ``lower``, ``upper`` in cm3.

    Raises:
        UsageError: fewer than two studies in common.
    """
    shared = shared_studies(ours, reader)
    a, b = np.array([ours[k] for k in shared]), np.array([reader[k] for k in shared])
    mean, difference = (a + b) / 2, a - b
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    limits = (bias - LIMITS_OF_AGREEMENT * spread, bias + LIMITS_OF_AGREEMENT * spread)
    low, high = min(0.0, float(difference.min()), limits[0]), max(0.0, float(difference.max()), limits[1])
    frame = _Frame((0.0, float(mean.max()) or 1.0), (low, high if high > low else low + 1.0))
    parts = [frame.dot((float(x), float(y))) for x, y in zip(mean, difference, strict=True)]
    parts += [frame.level(y, dashed=n > 0) for n, y in enumerate((bias, *limits))]
    figures = {"n": float(len(shared)), "bias": bias, "lower": limits[0], "upper": limits[1]}
    return frame.svg("Bland-Altman: marrowscope minus reader", "mean (cm3)", "difference (cm3)", parts), figures


def shared_studies(ours: Iterable[Study], reader: Iterable[Study]) -> list[Study]:
    """Studies (subject, visit) in both, sorted.

    Raises:
        UsageError: fewer than two.
    """
    shared = sorted(set(ours) & set(reader))
    if len(shared) < FEWEST_SHARED:
        raise UsageError(
            f"a reader's table with {len(shared)} of our studies",
            f"at least {FEWEST_SHARED} in common",
            "give subject and visit as the manifest does",
        )
    return shared


def read_reader_table(path: Path) -> dict[tuple[str, str], float]:
    """``subject,visit,volume_cm3`` of a second reader; a study without a volume was not read.

    Raises:
        UsageError: not such a table, a volume that is none, or a study twice.
    """
    expected = "CSV with columns subject, visit, volume_cm3: 0 or more, empty where not read, a line a study"
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        read = [((r["subject"].strip(), r["visit"].strip()), r["volume_cm3"].strip()) for r in rows]
        table = {key: float(cell) for key, cell in read if cell}
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UsageError(f"{path.name} is not a reader's table", expected) from error
    wrong = [key for key, value in table.items() if not (math.isfinite(value) and value >= 0)]
    wrong += [key for key, count in Counter(key for key, _ in read).items() if count > 1]
    if wrong:
        raise UsageError(f"{path.name}: {' '.join(wrong[0])} has no volume or is there twice", expected)
    return table


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers that span an interval, its ends inside."""
    raw = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, last + 1)]


class _Frame:
    """Axes from data to pixels, with round numbers along them.

    Args:
        x: interval along the bottom; None for places 0 to ``places - 1`` that are named. y: interval up the side.
    """

    def __init__(self, x: Point | None, y: Point, places: int = 0) -> None:
        self._up = ticks(*y)
        self._along = ticks(*x) if x is not None else []
        self._x = (self._along[0], self._along[-1]) if x is not None else (-0.25, max(1, places) - 0.75)
        self._y = (self._up[0], self._up[-1])

    def _at(self, p: Point) -> Point:
        across = (p[0] - self._x[0]) / (self._x[1] - self._x[0])
        up = (p[1] - self._y[0]) / (self._y[1] - self._y[0])
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    def line(self, points: list[Point], colour: str) -> str:
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in map(self._at, points))
        return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="1.5" opacity="0.8"/>{dots}'

    def dot(self, point: Point) -> str:
        x, y = self._at(point)
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[0]}" fill-opacity="0.7"/>'

    def level(self, value: float, dashed: bool) -> str:
        _, y = self._at((self._x[0], value))
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        words = f'<text x="{WIDTH - MARGIN + 4}" y="{y + 4:.1f}">{value:.2f}</text>'
        return f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#555"{dash}/>{words}'

    def x_label(self, value: float, words: str) -> str:
        x, _ = self._at((value, self._y[0]))
        return f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{escape(words)}</text>'

    def _scale(self) -> str:
        """Numbers along both axes, a faint line at each height."""
        parts = [self.x_label(v, f"{v:g}") for v in self._along]
        for value in self._up:
            _, y = self._at((self._x[0], value))
            parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
            parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        return "".join(parts)

    def svg(self, title: str, x: str, y: str, parts: Sequence[str]) -> str:
        axes = f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#222"/>'
        words = (
            f'<text x="{WIDTH / 2}" y="24" text-anchor="middle" font-size="15">{escape(title)}</text>'
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x)}</text>'
            f'<text x="16" y="{MARGIN - 14}">{escape(y)}</text>'
        )
        box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
        body = f"{self._scale()}{axes}{''.join(parts)}{words}"
        return f'{head}<rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n'
