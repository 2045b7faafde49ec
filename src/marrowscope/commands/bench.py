"""``marrowscope bench``: accuracy on data with known answers, one sub-command a subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from marrowscope.commands.lazy import LazyGroup, lazy_app

BENCHES: dict[str, tuple[str, str]] = {
    "si-joint": ("marrowscope.commands.bench_si:bench_si", "Sacroiliac cases with readers' masks."),
    "knee": ("marrowscope.commands.bench_knee:bench_knee", "Knee label maps, simulated."),
    "reasoning": ("marrowscope.commands.reasoning:bench_reasoning", "Published cases with known diagnoses."),
}


class Benches(LazyGroup):
    """The subjects that can be measured."""

    table: ClassVar[Mapping[str, tuple[str, str]]] = BENCHES


bench = lazy_app(Benches, "Measure accuracy on data with known answers.")
