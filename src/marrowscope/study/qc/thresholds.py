"""The numbers of ``study/data/qc.yaml``."""

from __future__ import annotations

from marrowscope.study.words import load


def threshold(check: str, name: str) -> float:
    """A threshold by check and name, e.g. ``threshold("snr", "warn")``."""
    return float(load("qc.yaml")[check][name]["value"])
