"""Simulated knees through the whole path: volumes against the truth, false lesions, faults, seconds, memory.

Each study is written by ``marrowscope simulate`` and assessed by ``marrowscope assess`` in processes of their own,
from DICOM to the results folder; nothing of the truth reaches the assessment (unless ``--bones truth`` asks what
the lesion detector alone does).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import shutil
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import Ran, run_measured
from benchmarks.spine_cases import FAULTS, FIRST_SEED, TUNING_SEED, Case, cases

FALSE_LESION_CM3 = 0.2
"""A false lesion counts from this volume on (issue 2)."""

BINS_CM3 = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Edges of the table by lesion size."""

BINS_CONFIDENCE = (0.0, 0.5, 0.8, 0.95, 1.01)
"""Edges of the table by confidence."""

SHARED_SHARE = 0.1
"""A found object and a true lesion belong together when they share this part of the smaller one."""

FAULT_CHECKS = {"failed_fatsat": ("fat_suppression",), "metal": ("metal",), "motion": ("motion", "motion_inside")}
"""The quality check that has to speak up for each fault."""


@dataclass(frozen=True)
class Match:
    """True lesions and found objects that touch, as one: readers would call them one lesion.

    Attributes:
        case, field, noise, fluid: where.
        true_cm3: volume from the fine grid; 0 = a false lesion.
        found_cm3: volume of the objects; 0 = missed.
        words: sites and patterns, or the bone of a false lesion.
        confidences: of the objects, space between.
    """

    case: str
    field: float
    noise: str
    fluid: str
    true_cm3: float
    found_cm3: float
    words: str
    confidences: str = ""

    @property
    def error(self) -> float:
        """Relative volume error."""
        return self.found_cm3 / self.true_cm3 - 1


@dataclass(frozen=True)
class Outcome:
    """What became of one study."""

    case: Case
    assessed: Ran
    simulated: Ran | None
    seconds: dict[str, float]
    checks: dict[str, str]
    matches: tuple[Match, ...]


def simulate(case: Case, work: Path) -> Ran | None:
    """Write one study, unless it is there.

    Raises:
        SystemExit: the command failed.
    """
    folder = work / case.name
    if (folder / "truth" / "truth.json").is_file():
        return None
    ran = run_measured(["marrowscope", *case.arguments(str(folder))], work / f"{case.name}.simulate.log")
    if ran.code != 0:
        raise SystemExit(f"{case.name}: simulate ended with {ran.code}: {ran.said}")
    return ran


def run_case(case: Case, work: Path, bones: str) -> Outcome:
    """Simulate (unless it is there) and assess one study."""
    folder, results = work / case.name, work / f"{case.name}.results"
    simulated = simulate(case, work)
    shutil.rmtree(results, ignore_errors=True)
    arguments = ["marrowscope", "assess", str(folder / "study"), "-o", str(results), "--json-progress"]
    if bones == "truth":
        arguments += ["--bones", str(folder / "truth" / "bones_ser0002.nii.gz")]
    assessed = run_measured(arguments, work / f"{case.name}.assess.log")
    if not (results / "assessment.json").is_file():
        return Outcome(case, assessed, simulated, {}, {}, missed_all(case, folder))
    run = json.loads((results / "run.json").read_text(encoding="utf-8"))
    assessment = json.loads((results / "assessment.json").read_text(encoding="utf-8"))
    checks = worst_checks(assessment["qc"])
    return Outcome(case, assessed, simulated, run["time"]["seconds"], checks, match(case, folder, results, assessment))


def worst_checks(qc: Iterable[dict[str, str]]) -> dict[str, str]:
    """The worst severity of each quality check."""
    order = ("ok", "note", "warning", "refuse")
    worst: dict[str, str] = {}
    for check in qc:
        if order.index(check["severity"]) >= order.index(worst.get(check["code"], "ok")):
            worst[check["code"]] = check["severity"]
    return worst


def missed_all(case: Case, folder: Path) -> tuple[Match, ...]:
    """The lesions of a study that was refused."""
    truth = json.loads((folder / "truth" / "truth.json").read_text(encoding="utf-8"))
    return tuple(_match(case, x["volume_mm3"] / 1000, 0.0, x["site"]) for x in truth["lesions"])


def match(case: Case, folder: Path, results: Path, assessment: dict[str, Any]) -> tuple[Match, ...]:
    """True lesions against found objects of kind edema."""
    truth = json.loads((folder / "truth" / "truth.json").read_text(encoding="utf-8"))
    found, voxel_cm3 = read_mask(results / "masks" / "lesions.nii.gz")
    true = next(m for m, _ in map(read_mask, sorted((folder / "truth").glob("lesions_ser*.nii.gz"))) if same(m, found))
    lesions: list[dict[str, Any]] = assessment["lesions"]
    edema = [x["label"] for x in lesions if x["kind"] == "edema"]
    volumes = {label: float(np.count_nonzero(found[0] == label)) * voxel_cm3 for label in edema}
    sure = {x["label"]: x["confidence"] for x in lesions}
    groups = join(true[0], found[0], edema)
    made = []
    for labels, objects in groups:
        mine = [x for x in truth["lesions"] if x["label"] in labels]
        words = "+".join(f"{x['pattern']} {x['site']}" for x in mine)
        if not mine:
            words = "false in " + "+".join(str(x["bone"]) for x in lesions if x["label"] in objects)
        volume = sum(x["volume_mm3"] for x in mine) / 1000
        confidences = " ".join(f"{sure[o]:.3f}" for o in sorted(objects))
        made.append(_match(case, volume, sum(volumes[o] for o in objects), words, confidences))
    return tuple(made)


Mask = tuple[NDArray[np.int64], NDArray[np.float64]]


def read_mask(path: Path) -> tuple[Mask, float]:
    """Labels with their affine, axes as near to right-anterior-superior as may be, and a voxel's volume in cm3."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(path))
    affine = np.asarray(image.affine)
    return (np.asarray(image.dataobj).astype(np.int64), affine), float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def same(first: Mask, second: Mask) -> bool:
    """Whether two masks lie on one grid."""
    return first[0].shape == second[0].shape and bool(np.allclose(first[1], second[1], atol=1e-2))


def join(true: NDArray[np.int64], found: NDArray[np.int64], edema: Sequence[int]) -> list[tuple[set[int], set[int]]]:
    """Groups of true labels and found objects that share voxels, each label in one group."""
    groups = [({int(t)}, set[int]()) for t in np.unique(true[true > 0])]
    for label in edema:
        mine = found == label
        hit = {
            int(t)
            for t in np.unique(true[mine & (true > 0)])
            if np.count_nonzero(mine & (true == t)) >= SHARED_SHARE * min(mine.sum(), np.count_nonzero(true == t))
        }
        touched = [g for g in groups if g[0] & hit]
        merged = (set().union(*(g[0] for g in touched)), {label}.union(*(g[1] for g in touched)))
        groups = [g for g in groups if g not in touched] + [merged]
    return groups


def _match(case: Case, true_cm3: float, found_cm3: float, words: str, confidences: str = "") -> Match:
    return Match(case.name, case.field, case.noise, case.fluid, true_cm3, found_cm3, words, confidences)


def report(outcomes: Sequence[Outcome]) -> str:
    """The table that is printed."""
    sound = [m for o in outcomes if o.case.kind == "lesions" for m in o.matches]
    lines = [
        "",
        *_by_size(sound),
        "",
        *_by("noise", sound),
        *_by("field", sound),
        *_by("fluid", sound),
        *_by_pattern(sound),
        "",
    ]
    lines += [*_false(outcomes), "", *_confidence(outcomes), "", *_faults(outcomes), ""]
    return "\n".join([*lines, *_cost(outcomes), *_ended(outcomes)])


def _row(name: str, matches: Sequence[Match]) -> str:
    true = [m for m in matches if m.true_cm3 > 0]
    hit = [m for m in true if m.found_cm3 > 0]
    errors = sorted(abs(m.error) for m in hit)
    if not errors:
        return f"{name:<26} {len(true):>4} {len(hit):>6}"
    bias, within = statistics.median(m.error for m in hit), sum(e <= 0.15 for e in errors) / len(true)
    return (
        f"{name:<26} {len(true):>4} {len(hit):>6} {statistics.median(errors):>9.1%} {bias:>+8.1%} "
        f"{errors[-1]:>8.1%} {within:>12.0%}"
    )


HEADER = f"{'true lesions':<26} {'n':>4} {'found':>6} {'median':>9} {'bias':>8} {'worst':>8} {'within 15 %':>12}"


def _by_size(matches: Sequence[Match]) -> list[str]:
    rows = [HEADER]
    for low, high in itertools.pairwise(BINS_CM3):
        rows.append(_row(f"{low:g}-{high:g} cm3", [m for m in matches if low <= m.true_cm3 < high]))
    rows.append(_row("all >= 1 cm3", [m for m in matches if m.true_cm3 >= 1]))
    return [*rows, _row("all", matches)]


def _by(name: str, matches: Sequence[Match]) -> list[str]:
    values = sorted({str(getattr(m, name)) for m in matches})
    return [
        _row(f">= 1 cm3, {name} {v}", [m for m in matches if str(getattr(m, name)) == v and m.true_cm3 >= 1])
        for v in values
    ]


def _by_pattern(matches: Sequence[Match]) -> list[str]:
    single = [m for m in matches if m.true_cm3 >= 1 and "+" not in m.words]
    patterns = sorted({m.words.split()[0] for m in single})
    return [_row(f">= 1 cm3, {p}", [m for m in single if m.words.startswith(p)]) for p in patterns]


def _false(outcomes: Sequence[Outcome]) -> list[str]:
    lines = []
    for kind, words in (("free", "lesion-free knees"), ("lesions", "knees with lesions")):
        mine = [o for o in outcomes if o.case.kind == kind]
        false = [m for o in mine for m in o.matches if m.true_cm3 == 0 and m.found_cm3 > FALSE_LESION_CM3]
        lines.append(f"false lesions over {FALSE_LESION_CM3} cm3 in {len(mine)} {words}: {len(false)}")
        lines += [f"    {m.case} {m.found_cm3:.2f} cm3 {m.words}" for m in false]
    return lines


def _confidence(outcomes: Sequence[Outcome]) -> list[str]:
    """Whether objects of a confidence are lesions that often: all sound studies."""
    matches = [m for o in outcomes if o.case.kind in ("lesions", "free") for m in o.matches]
    pairs = [(float(c), m.true_cm3 > 0) for m in matches for c in m.confidences.split()]
    lines = [f"{'confidence':<16} {'objects':>8} {'mean':>8} {'on a lesion':>12}"]
    for low, high in itertools.pairwise(BINS_CONFIDENCE):
        mine = [p for p in pairs if low <= p[0] < high]
        if mine:
            mean, hit = (statistics.mean(column) for column in zip(*mine, strict=True))
            lines.append(f"{f'{low:g} to {min(high, 1):g}':<16} {len(mine):>8} {mean:>8.2f} {hit:>12.0%}")
    if pairs:
        rate = statistics.mean(hit for _, hit in pairs)
        brier = statistics.mean((c - hit) ** 2 for c, hit in pairs)
        lines.append(f"Brier score {brier:.3f}; with the plain rate for every object {rate * (1 - rate):.3f}")
    return lines


def _faults(outcomes: Sequence[Outcome]) -> list[str]:
    lines = []
    for fault in FAULTS:
        mine = [o for o in outcomes if o.case.kind == fault]
        codes = FAULT_CHECKS[fault]
        spoke = [o for o in mine if any(o.checks.get(c) in ("warning", "refuse") for c in codes) or not o.checks]
        lines.append(f"fault {fault}: flagged in {len(spoke)} of {len(mine)}")
    healthy = [o for o in outcomes if o.case.kind not in FAULTS]
    for code in itertools.chain.from_iterable(FAULT_CHECKS.values()):
        loud = sum(o.checks.get(code) in ("warning", "refuse") for o in healthy)
        lines.append(f"check {code} in {len(healthy)} sound studies: speaks up in {loud}")
    return lines


def _cost(outcomes: Sequence[Outcome]) -> list[str]:
    stages = sorted({s for o in outcomes for s in o.seconds})
    lines = [f"{'stage':<16} {'median s':>9} {'worst s':>9} {'median peak MB':>15} {'worst peak MB':>15}"]
    for stage in stages:
        times = [o.seconds[stage] for o in outcomes if stage in o.seconds]
        peaks = [p for o in outcomes if (p := o.assessed.peak_mb_by_stage.get(stage)) is not None]
        memory = f"{statistics.median(peaks):>15.0f} {max(peaks):>15.0f}" if peaks else ""  # over before a look
        lines.append(f"{stage:<16} {statistics.median(times):>9.2f} {max(times):>9.2f} {memory}".rstrip())
    for name, runs in (
        ("assess, whole", [o.assessed for o in outcomes]),
        ("simulate, whole", [o.simulated for o in outcomes if o.simulated is not None]),
    ):
        if runs:
            seconds, cpu = [r.seconds for r in runs], [r.cpu_seconds for r in runs]
            peak = [r.peak_mb for r in runs]
            lines.append(
                f"{name:<16} {statistics.median(seconds):>9.2f} {max(seconds):>9.2f}   "
                f"processor seconds: median {statistics.median(cpu):.1f}, worst {max(cpu):.1f}   "
                f"peak RSS of the process tree: median {statistics.median(peak):.0f} MB, worst {max(peak):.0f} MB"
            )
    return lines


def _ended(outcomes: Sequence[Outcome]) -> list[str]:
    odd = [o for o in outcomes if o.assessed.code not in (0, 4)]
    return [f"{o.case.name} ended with {o.assessed.code}: {o.assessed.said}" for o in odd]


def write_rows(outcomes: Sequence[Outcome], path: Path) -> None:
    """Every match as CSV."""
    rows = [asdict(m) for o in outcomes for m in o.matches]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [f.name for f in fields(Match)])
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks spine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("runs/spine"), help="studies and results are kept here")
    parser.add_argument("--tuning", action="store_true", help="other seeds, for whoever sets a threshold")
    parser.add_argument("--bones", choices=("auto", "truth"), default="auto", help="truth = the detector alone")
    parser.add_argument("--cases", type=int, nargs=3, default=(34, 20, 10), metavar=("LESIONS", "FREE", "FAULTY"))
    parser.add_argument("--jobs", type=int, default=1, help="studies at a time; seconds are only honest with 1")
    parser.add_argument("--only-simulate", action="store_true", help="write the studies and stop")
    options = parser.parse_args(arguments)
    seed = TUNING_SEED if options.tuning else FIRST_SEED
    work: Path = options.work / ("tuning" if options.tuning else "published")
    work.mkdir(parents=True, exist_ok=True)
    chosen = cases(seed, *options.cases)
    if options.only_simulate:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda case: simulate(case, work), chosen))
        return 0
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda case: run_case(case, work, options.bones), chosen):
            outcomes.append(outcome)
            found = ", ".join(f"{m.true_cm3:.2f}>{m.found_cm3:.2f}" for m in outcome.matches)
            code, seconds = outcome.assessed.code, outcome.assessed.seconds
            print(f"{len(outcomes)}/{len(chosen)} {outcome.case.name} exit {code} {seconds:.0f} s  {found}", flush=True)
    write_rows(outcomes, work / "matches.csv")
    print(report(outcomes))
    return 0
