"""What each tissue is to the scanner: relaxation times, proton density and fat share, from ``data/tissues.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from marrowscope.errors import UsageError
from marrowscope.tables import parse_yaml

TISSUE_FILE = Path(__file__).parent / "data" / "tissues.yaml"

PROTON_MHZ_PER_T = 42.577
"""Gyromagnetic ratio of the proton over 2 pi (CODATA 2018), MHz per tesla."""


@dataclass(frozen=True)
class Tissue:
    """One tissue: its water pool and how much of it is fat.

    Attributes:
        name: key in the table, e.g. ``yellow_marrow``.
        proton_density: mobile protons relative to pure water, 0 to about 1.
        fat_fraction: share of those protons that are fat, 0 to 1.
        t1_ms, t2_ms: relaxation times of the water pool.
    """

    name: str
    proton_density: float
    fat_fraction: float
    t1_ms: float
    t2_ms: float

    def __post_init__(self) -> None:
        if not (0 <= self.proton_density <= 1.2 and 0 <= self.fat_fraction <= 1):
            raise ValueError(f"{self.name}: proton density or fat fraction out of range")
        if self.t1_ms <= 0 or self.t2_ms <= 0 or self.t2_ms > self.t1_ms:
            raise ValueError(f"{self.name}: relaxation times need 0 < T2 <= T1")


@dataclass(frozen=True)
class TissueTable:
    """All tissues at one field strength, in a fixed order: a tissue's label is its place in ``tissues``.

    Attributes:
        field_t: main field in tesla.
        fat: the fat pool shared by all tissues (its ``fat_fraction`` is 1).
        fat_shift_ppm: how far fat lies below water.
        tissues: the tissues; index 0 is air.
    """

    field_t: float
    fat: Tissue
    fat_shift_ppm: float
    tissues: tuple[Tissue, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Tissue names in label order."""
        return tuple(t.name for t in self.tissues)

    @property
    def fat_shift_hz(self) -> float:
        """Water-fat frequency difference in hertz."""
        return self.fat_shift_ppm * PROTON_MHZ_PER_T * self.field_t

    def label(self, name: str) -> int:
        """The label of a tissue.

        Raises:
            UsageError: no tissue has this name.
        """
        if name not in self.names:
            raise UsageError(f"a tissue called {name!r}", f"one of {', '.join(self.names)}")
        return self.names.index(name)

    def __getitem__(self, name: str) -> Tissue:
        return self.tissues[self.label(name)]

    def scaled(self, factors: Mapping[str, Mapping[str, float]]) -> TissueTable:
        """A table with some values multiplied, e.g. ``{"muscle": {"t2_ms": 1.1}}`` for another patient."""
        changed = {
            name: replace(self[name], **{key: getattr(self[name], key) * f for key, f in by.items()})
            for name, by in factors.items()
        }
        return replace(self, tissues=tuple(changed.get(t.name, t) for t in self.tissues))


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:

    data: dict[str, Any] = parse_yaml(TISSUE_FILE.read_text(encoding="utf-8"))
    return data


@lru_cache(maxsize=8)
def load_tissues(field_t: float) -> TissueTable:
    """The built-in table at one field strength.

    Args:
        field_t: 1.5 or 3.0 tesla; the table holds no other and none is interpolated.

    Raises:
        UsageError: another field strength.
    """
    data = _read()
    if field_t not in data["fat"]:
        known = " or ".join(f"{f:g}" for f in data["fat"])
        raise UsageError(f"a field strength of {field_t:g} T", f"{known} T", "choose one of these with --field")
    fat = data["fat"][field_t]
    tissues = tuple(
        Tissue(name, row["proton_density"], row["fat_fraction"], row["t1_ms"][field_t], row["t2_ms"][field_t])
        for name, row in data["tissues"].items()
    )
    return TissueTable(
        field_t, Tissue("fat", 1.0, 1.0, fat["t1_ms"], fat["t2_ms"]), data["fat_shift_ppm"]["value"], tissues
    )
