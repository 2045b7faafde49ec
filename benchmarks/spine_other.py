"""Knees as another simulator would make them: other tissue tables, echo times, slices and pixels.

``python -m benchmarks spine_other [--seed 9300] [--cases 16 6] [--ages 8 16] [--jobs 2]``. Relaxation times, proton
densities and fat shares of every tissue are drawn far wider than people differ, timings and geometry far wider than
the built-in protocols, children's knees where ages are given; each study goes from DICOM to the results folder as in
``spine``. Seeds 9500 to 9613, 9700 to 9717 and 9720 to 9743 led to rules (decisions 0025 to 0027).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import marrowscope.simulate as sim
from benchmarks.spine import Outcome, report, run_case, write_rows
from benchmarks.spine_cases import FIELDS, FLUIDS, NOISE, Case, lesions_for
from marrowscope.simulate.protocols import SeriesProtocol
from marrowscope.simulate.tissues import TissueTable, load_tissues

SPREAD = {"t1_ms": 0.12, "t2_ms": 0.15, "proton_density": 0.05}
"""Standard deviations of the logarithm of each tissue's factor."""
FAT_T1_SPREAD = 0.06
FAT_SHARES = {"yellow_marrow": (0.82, 0.96), "red_marrow": (0.4, 0.68), "marrow_edema": (0.2, 0.55)}
TE, TR, TI = (0.6, 1.6), (0.8, 1.3), (0.88, 1.08)
"""Factors on the timings of fat-suppressed series."""
THICKNESS, PIXELS, TURN_DEG, TURNED = (0.85, 1.4), (0.75, 1.3), 15.0, 0.4
"""Factors on slice thickness and matrix; the most that slices are turned, and the share of studies that are."""


@dataclass(frozen=True)
class Other:
    """One case and what makes it another simulator's."""

    case: Case
    table: TissueTable
    changed: Callable[[SeriesProtocol], SeriesProtocol]
    turned_deg: float
    age_years: int | None


def other(index: int, seed: int, free: bool, ages: Sequence[int] | None = None) -> Other:
    """The case of one seed; of a child between two ``ages``, both included, if they are given."""
    rng = np.random.default_rng(seed)
    field, noise, fluid = FIELDS[index % 2], NOISE[(index // 2) % 3], FLUIDS[index % 6]
    lesions = "none" if free else lesions_for(rng, 0)
    kind = "free" if free else "lesions"
    table = load_tissues(field)
    factors = {t.name: {key: float(np.exp(rng.normal(0, sd))) for key, sd in SPREAD.items()} for t in table.tissues[1:]}
    for name, ends in FAT_SHARES.items():
        factors[name]["fat_fraction"] = float(rng.uniform(*ends)) / table[name].fat_fraction
    table = table.scaled(factors)
    table = replace(table, fat=replace(table.fat, t1_ms=table.fat.t1_ms * float(np.exp(rng.normal(0, FAT_T1_SPREAD)))))
    te, tr, ti, thickness, pixels = (float(rng.uniform(*ends)) for ends in (TE, TR, TI, THICKNESS, PIXELS))
    turned = float(rng.uniform(-TURN_DEG, TURN_DEG)) if rng.random() < TURNED else 0.0

    def changed(protocol: SeriesProtocol) -> SeriesProtocol:
        sequence = protocol.sequence
        if sequence.suppression.value != "none":
            inversion = {"ti_ms": sequence.ti_ms * ti} if sequence.ti_ms else {}
            sequence = replace(sequence, te_ms=sequence.te_ms * te, tr_ms=sequence.tr_ms * tr, **inversion)
        columns, rows = (int(n * pixels) // 2 * 2 for n in protocol.matrix)
        slices = int(np.ceil(protocol.slices / thickness))
        return replace(
            protocol,
            sequence=sequence,
            matrix=(columns, rows),
            thickness_mm=protocol.thickness_mm * thickness,
            slices=slices,
        )

    case = Case(f"{seed}_{kind}", seed, kind, field, noise, fluid, lesions)
    age = None if ages is None else int(np.random.default_rng((seed, 1)).integers(ages[0], ages[1] + 1))
    return Other(case, table, changed, turned, age)


def write(one: Other, work: Path) -> None:
    """Simulate the study, unless it is there."""
    case, folder = one.case, work / one.case.name
    if (folder / "truth" / "truth.json").is_file():
        return
    parts = [part.split(":") for part in case.lesions.split(",")] if case.kind == "lesions" else []
    requests = tuple(sim.LesionRequest(site, float(volume), pattern) for site, volume, pattern in parts)
    options = sim.KneeOptions(
        lesions=requests,
        field_t=case.field,
        noise=case.noise,
        fluid=case.fluid,
        oblique_deg=one.turned_deg,
        age_years=one.age_years,
    )
    study = sim.knee(case.seed, options, one.table, one.changed)
    folder.mkdir(parents=True, exist_ok=True)
    sim.write_dicom(study, folder / "study")
    sim.write_truth(study, folder / "truth")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks spine_other", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/spine_other"), help="studies and results are kept here")
    parser.add_argument("--seed", type=int, default=9300, help="of the first study")
    parser.add_argument("--cases", type=int, nargs=2, default=(16, 6), metavar=("LESIONS", "FREE"))
    parser.add_argument("--ages", type=int, nargs=2, metavar=("YOUNGEST", "OLDEST"), help="years; adults by default")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    with_lesions, free = options.cases
    made = [other(i, options.seed + i, False, options.ages) for i in range(with_lesions)]
    made += [other(i, options.seed + with_lesions + i, True, options.ages) for i in range(free)]

    def ran(one: Other) -> Outcome:
        write(one, options.work)
        return run_case(one.case, options.work, "auto")

    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(ran, made):
            outcomes.append(outcome)
            found = ", ".join(f"{m.true_cm3:.2f}>{m.found_cm3:.2f}" for m in outcome.matches)
            print(f"{len(outcomes)}/{len(made)} {outcome.case.name} exit {outcome.assessed.code}  {found}", flush=True)
    write_rows(outcomes, options.work / "matches.csv")
    print(report(outcomes))
    return 0
