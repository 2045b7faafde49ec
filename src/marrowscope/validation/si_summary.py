"""What the sacroiliac bench says of all its cases, and of one in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np

from marrowscope.validation.agreement import icc_2_1, limits_of_agreement
from marrowscope.validation.figures import peak_mb, rounded
from marrowscope.validation.si_joint import SiResult

FLOOR_CM3 = 0.02
"""Where the logarithm of a volume starts."""


def summarise(results: Sequence[SiResult]) -> dict[str, Any]:
    """All figures as plain data; None where too few cases allow one."""
    read = [r for r in results if r.mean_dice is not None]
    regions = [r.region_dice for r in results if r.region_dice is not None]
    gap = [r.mean_dice - r.readers for r in read if r.mean_dice is not None and r.readers is not None]
    keys = sorted({k for r in read for k in r.reader_cm3})
    return {
        "cases": len(results),
        "refused": {r.name: r.refused for r in results if r.refused},
        "region_dice": _spread(regions),
        "leak_into_muscle_percent": _spread([r.leak_muscle_percent for r in results]),
        "edema_in_joint_space_percent": _spread([r.leak_joint_percent for r in results]),
        "lesion_dice": _spread([r.mean_dice for r in read]),
        "readers_cross_dice": _spread([r.readers for r in read]),
        "lesion_dice_minus_readers": _spread(gap),
        "lesions_found": f"{sum(r.found for r in read)} of {sum(r.lesions for r in read)}",
        "false_lesions_per_scan": _spread([float(r.false) for r in read]),
        "false_marks_on_clean_slices": f"{sum(r.false_on_clean_slices for r in read)} on "
        f"{sum(r.clean_slices for r in read)} slices",
        "log_volume_difference": {k: _bland_altman(read, k) for k in keys},
        "log_volume_difference_between_readers": _between(read, keys),
        "interval_holds_reader_mean": f"{sum(_holds(r) for r in read)} of {len(read)}",
        "sparcc": _sparcc(read, keys),
        "seconds": _spread([r.seconds for r in results]),
        "peak_memory_mb": peak_mb(),
    }


def _logs(values: Sequence[float]) -> list[float]:
    return [float(np.log(max(v, FLOOR_CM3))) for v in values]


def _bland_altman(read: Sequence[SiResult], key: str) -> list[float | None] | None:
    """Bias and 95 % limits of ln(ours) - ln(reading)."""
    limits = limits_of_agreement(_logs([r.reader_cm3[key] for r in read]), _logs([r.cm3[0] for r in read]))
    return None if limits is None else [rounded(v) for v in limits]


def _between(read: Sequence[SiResult], keys: Sequence[str]) -> list[float | None] | None:
    if len(keys) < 3:
        return None
    first, second = keys[0], next((k for k in keys if k[:2] != keys[0][:2]), keys[-1])
    limits = limits_of_agreement(
        _logs([r.reader_cm3[first] for r in read]), _logs([r.reader_cm3[second] for r in read])
    )
    return None if limits is None else [rounded(v) for v in limits]


def _holds(result: SiResult) -> bool:
    mean = float(np.mean(list(result.reader_cm3.values())))
    return result.cm3[1] <= mean <= result.cm3[2]


def _sparcc(read: Sequence[SiResult], keys: Sequence[str]) -> dict[str, Any]:
    whole = [r for r in read if r.sparcc is not None and all(r.reader_sparcc.get(k) is not None for k in keys)]
    ours = [float(r.sparcc or 0) for r in whole]
    theirs = {k: [float(r.reader_sparcc[k] or 0) for r in whole] for k in keys}
    means = [float(np.mean([theirs[k][n] for k in keys])) for n in range(len(whole))]
    pairs = [(a, b) for a, b in product(keys, keys) if a < b and a[:2] != b[:2]]
    return {
        "ours": ours,
        "readings": theirs,
        "icc_2_1_ours_with_reader_mean": rounded(icc_2_1(list(zip(ours, means, strict=True)))),
        "icc_2_1_between_readings": rounded(icc_2_1([[theirs[k][n] for k in keys] for n in range(len(whole))])),
        "mean_absolute_difference": rounded(_mean([abs(a - b) for a, b in zip(ours, means, strict=True)])),
        "readers_mean_absolute_difference": rounded(
            _mean([abs(x - y) for a, b in pairs for x, y in zip(theirs[a], theirs[b], strict=True)])
        ),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _spread(values: Sequence[float | None]) -> dict[str, float | None] | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": rounded(_mean(known)), "sd": rounded(sd), "least": rounded(min(known)), "most": rounded(max(known))}


def line(r: SiResult) -> str:
    """One case in words."""
    if r.refused:
        return f"{r.name}: refused: {r.refused} ({r.seconds:.1f} s)"
    region = "-" if r.region_dice is None else f"{r.region_dice:.3f}"
    lesion = "-" if r.mean_dice is None else f"{r.mean_dice:.3f}"
    readers = "-" if r.readers is None else f"{r.readers:.3f}"
    return (
        f"{r.name} fold {r.fold}: region {region}, lesion {lesion} (readers {readers}), found {r.found}/{r.lesions}, "
        f"false {r.false}, {r.cm3[0]:.1f} cm3 [{r.cm3[1]:.1f}-{r.cm3[2]:.1f}], cut-off {r.cutoff or 0:.2f}, "
        f"SPARCC {r.sparcc}, {r.seconds:.1f} s"
    )


def as_dict(r: SiResult) -> dict[str, Any]:
    """One case as plain data."""
    return asdict(r) | {"mean_dice": r.mean_dice}
