"""Two visits of simulated knees with known change, as a cohort: what is recovered, called and falsely called.

    python -m benchmarks cohort_change simulate WORK --subjects 60     studies, manifest and truth
    marrowscope cohort WORK/manifest.csv -o WORK/out --light --workers 2
    python -m benchmarks cohort_change judge WORK                      recovered change against truth
    python -m benchmarks cohort_change simulate WORK2 --retest --subjects 14; marrowscope cohort ...
    python -m benchmarks cohort_change retest WORK2                    smallest detectable change from unchanged pairs

A study is a sagittal STIR and T1 (27 and 30 slices, pixels averaged two by two) with the true marrow as the mask to
search: a few seconds each, so that 120 fit a small machine, and change is judged apart from bone finding. With
``--full`` it is STIR and coronal T1 as DICOM, and bones are found. Running ``simulate`` again with more subjects only
adds to what is there; the cohort then resumes.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.agreement import interval_of
from marrowscope.simulate import Fault, KneeOptions, LesionRequest, SimulatedStudy, knee, write_dicom
from marrowscope.simulate.lesions import lesion_data
from marrowscope.simulate.study import BONE_LABELS
from marrowscope.volume import Volume

CHANGE_SEED, RETEST_SEED = 9000, 8000
VOXEL_MM = 1.5
SMALLEST_CM3, LARGEST_CM3 = 0.3, 4.0

PLANS = ("unchanged", "grown", "shrunk", "new", "resolved", "unchanged")
"""What happens to a subject's lesions, in turn."""

FAULTS = {7: "failed_fatsat", 17: "other_side", 27: "mixed_class", 37: "motion", 47: "metal", 57: "failed_fatsat"}
"""Subjects (modulo 60) whose second visit has a fault."""

GROWTH, SHRINKAGE = 2.5, 0.4
VOLUME = "edema_volume"


class SamePlane(KneeOptions):
    """A knee study of one fluid and one T1 series, both sagittal."""

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series."""
        return (f"{self.fluid}_sag", "t1_sag")


class TwoSeries(KneeOptions):
    """A knee study of one fluid and one T1 series."""

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series."""
        return (f"{self.fluid}_sag", "t1_cor")


@dataclass(frozen=True)
class Plan:
    """One subject: lesions at both visits, what happens, fault at the second visit."""

    name: str
    seed: int
    what: str
    lesions: tuple[tuple[LesionRequest, ...], tuple[LesionRequest, ...]]
    fault: str = ""

    def side(self, visit: int) -> str:
        """Whose knee is scanned at a visit: the other one where that is the fault."""
        left = bool(self.seed % 2) != (self.fault == "other_side" and visit == 2)
        return "left" if left else "right"


def plan_of(number: int, retest: bool) -> Plan:
    """The plan of a subject; the same number gives the same plan."""
    seed = (RETEST_SEED if retest else CHANGE_SEED) + number
    rng = np.random.default_rng([seed, 1])
    sites = [s for s in sorted(lesion_data()["sites"]) if s.startswith(("medial", "lateral", "poster", "trochlea"))]
    chosen = [str(s) for s in rng.permutation(sites)[: int(rng.integers(1, 3))]]
    sizes = [float(np.exp(rng.uniform(np.log(SMALLEST_CM3), np.log(LARGEST_CM3)))) for _ in chosen]
    first = [LesionRequest(s, round(v, 2)) for s, v in zip(chosen, sizes, strict=True)]
    what = "unchanged" if retest else PLANS[number % len(PLANS)]
    if number % 12 == 0:
        first = []  # a knee without edema, which stays so
    then = list(first)
    if what in ("grown", "shrunk") and first:
        factor = GROWTH if what == "grown" else SHRINKAGE
        then[0] = LesionRequest(first[0].site, round(float(np.clip(first[0].volume_cm3 * factor, 0.1, 8.0)), 2))
    elif what == "new":
        other = next(s for s in sites if s not in chosen)
        then.append(LesionRequest(other, round(float(rng.uniform(0.5, 3.0)), 2)))
    elif what == "resolved" and first:
        then.pop()
    name = f"{'r' if retest else 's'}{number:03d}"
    fault = "" if retest else FAULTS.get(number % 60, "")
    return Plan(name, seed, what, (tuple(first), tuple(then)), fault)


def simulate(work: Path, subjects: int, retest: bool, full: bool) -> None:
    """Studies and truth below ``work``, and the manifest of all of them."""
    plans = [plan_of(n, retest) for n in range(1, subjects + 1)]
    for plan in plans:
        for visit in (1, 2):
            _simulate_visit(plan, visit, work, full)
    with (work / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(("subject", "visit", "study", "site", "side", "bones"))
        for p in plans:
            for visit in (1, 2):
                name, side = f"{p.name}_{visit}", "" if full else p.side(visit)
                out.writerow((p.name, visit, name, "knee", side, "" if full else f"{name}_bones.nii.gz"))


def _simulate_visit(plan: Plan, visit: int, work: Path, full: bool) -> None:
    truth = work / "truth" / f"{plan.name}_{visit}.json"
    if truth.is_file():
        return
    fault = plan.fault if visit == 2 else ""
    options = (TwoSeries if full else SamePlane)(
        lesions=plan.lesions[visit - 1], fluid="pd_fs" if fault == "mixed_class" else "stir",
        side=plan.side(visit), visit=visit,
        faults=(Fault(fault),) if fault in [f.value for f in Fault] else (), voxel_mm=VOXEL_MM,
    )  # fmt: skip
    study = knee(plan.seed, options)
    folder = work / f"{plan.name}_{visit}"
    shutil.rmtree(folder, ignore_errors=True)
    if full:
        write_dicom(study, folder)
    else:
        _write_nifti(study, folder)
    volume = float(np.count_nonzero(study.truth.lesions.array)) * study.truth.lesions.voxel_volume_mm3 / 1000
    truth.parent.mkdir(parents=True, exist_ok=True)
    truth.write_text(json.dumps({"cm3": volume, "what": plan.what, "fault": plan.fault}), encoding="utf-8")


def _write_nifti(study: SimulatedStudy, folder: Path) -> None:
    """Both series at half their matrix, and the true marrow on the fluid one as the mask to search."""
    from marrowscope.anatomy.knee import CORTEX_MM, within

    folder.mkdir(parents=True)
    for series in study.series:
        name = series.protocol.name.removesuffix("_sag")
        _save(_halved(series.volume), folder / f"{name}.nii.gz")
    grid = _halved(study.series[0].volume)
    bones = study.truth.on_grid(study.truth.bones, grid)
    marrow = np.zeros(grid.shape, np.uint8)
    for label in BONE_LABELS.values():
        marrow[within(bones.array == label, grid, CORTEX_MM)] = label
    _save(grid.with_array(marrow), folder.with_name(f"{folder.name}_bones.nii.gz"))
    names = "".join(f"{label}: {bone}\n" for bone, label in BONE_LABELS.items())
    folder.with_name(f"{folder.name}_bones.yaml").write_text(names, encoding="utf-8")


def _halved(volume: Volume) -> Volume:
    """Pixels averaged two by two."""
    array = volume.array.astype(np.float32)
    mean = (array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]) / 4
    affine = volume.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    affine[:3, 3] = volume.to_world((0.5, 0.5, 0))
    return Volume(np.round(mean).astype(np.int16), affine, volume.slice_axis)


def _save(volume: Volume, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(volume.array, volume.affine_ras), path)


@dataclass(frozen=True)
class Pair:
    """One subject's true and recovered change of volume (cm3); None where it was not assessable."""

    name: str
    what: str
    fault: str
    true: tuple[float, float]
    found: tuple[float, float] | None
    verdict: str


def pairs_of(work: Path) -> list[Pair]:
    """Every subject of the cohort with its truth."""
    with (work / "out" / "changes.csv").open(encoding="utf-8") as stream:
        changes = {r["subject"]: r for r in csv.DictReader(stream) if r["code"] == VOLUME}
    pairs = []
    for path in sorted((work / "truth").glob("*_1.json")):
        name = path.name.removesuffix("_1.json")
        both = [json.loads((path.parent / f"{name}_{v}.json").read_text()) for v in (1, 2)]
        row = changes.get(name)
        if row is None:
            continue
        known = row["difference"] != ""
        found = (float(row["before"]), float(row["after"])) if known else None
        true = (both[0]["cm3"], both[1]["cm3"])
        pairs.append(Pair(name, both[0]["what"], both[0]["fault"], true, found, row["verdict"]))
    return pairs


def judge(work: Path) -> int:
    """Recovered change against truth, calls above and below the smallest detectable change."""
    from marrowscope.followup.sdc import limits_of, passes

    pairs = pairs_of(work)
    compared = [p for p in pairs if p.found is not None]
    refused = [p for p in pairs if p.found is None]
    print(f"{len(pairs)} pairs, {len(compared)} compared; not assessable: {[(p.name, p.fault) for p in refused]}")
    for p in compared:
        assert p.found is not None
        print(f"{p.name} {p.what:9} {p.fault:13} true {p.true[0]:.2f} -> {p.true[1]:.2f}"
              f"  found {p.found[0]:.2f} -> {p.found[1]:.2f}  {p.verdict}")  # fmt: skip
    for words, chosen in (("all", compared), ("without faults", [p for p in compared if not p.fault])):
        error = np.array([(p.found[1] - p.found[0]) - (p.true[1] - p.true[0]) for p in chosen if p.found])
        if len(error) > 2:
            half = 1.96 * error.std(ddof=1)
            print(f"{words}, n {len(error)}: bias of change {error.mean():+.3f} cm3, limits of agreement "
                  f"{error.mean() - half:+.3f} to {error.mean() + half:+.3f}")  # fmt: skip
    given = bool(list(work.glob("*_bones.nii.gz")))
    limits = limits_of(VOLUME, "knee", given)
    large = [p for p in compared if passes(limits, *p.true)]
    called = [p for p in large if p.verdict == ("increase" if p.true[1] > p.true[0] else "decrease")]
    still = [p for p in compared if p.what == "unchanged" or p.true[0] == p.true[1]]
    false = [p for p in still if p.verdict in ("increase", "decrease")]
    wrong = [p for p in large if p.verdict in ("increase", "decrease") and p not in called]
    print(f"true changes above the limit: {len(called)} of {len(large)} called, {len(wrong)} called the wrong way")
    print(f"unchanged: {len(false)} of {len(still)} falsely called {[p.name for p in false]}")
    return 0


RATIOS = (VOLUME, "edema_brightness")
"""Numbers whose error grows with their size: a factor is worked out too, from the knees that truly have edema."""


def retest(work: Path) -> int:
    """Smallest detectable changes from unchanged pairs, with their intervals: as a factor for volume and brightness."""
    with (work / "out" / "changes.csv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if r["difference"] != ""]
    truth = {p.name.removesuffix("_1.json"): json.loads(p.read_text())["cm3"] for p in work.glob("truth/*_1.json")}
    for code in sorted({r["code"] for r in rows}):
        own = [r for r in rows if r["code"] == code]
        values = np.array([(float(r["before"]), float(r["after"])) for r in own])
        diseased = np.array([truth[r["subject"]] > 0 for r in own])
        print(f"{code}: {_retested(values, diseased if code in RATIOS else None)}")
    return 0


def _retested(values: np.ndarray, diseased: np.ndarray | None) -> str:
    """Bias and smallest detectable change of one number; ``values`` has a row a pair, ``diseased``: a factor too."""
    gap = values[:, 1] - values[:, 0]
    size, low, high = _detectable(gap)
    line = f"n {len(gap)}, {values.min():.2f} to {values.max():.2f}, bias {gap.mean():+.3f}"
    line += f", SDC {size:.3f} ({low:.3f} to {high:.3f}) absolute"
    if diseased is None:
        return line
    both = values[diseased & (values > 0).all(axis=1)]
    size, low, high = np.exp(_detectable(np.log(both[:, 1] / both[:, 0])))
    line += f", factor {size:.3f} ({low:.3f} to {high:.3f}, n {len(both)})"
    return line + f", differences of knees without edema: {np.round(gap[~diseased], 3).tolist()}"


def _detectable(gaps: np.ndarray) -> tuple[float, float, float]:
    """1.96 x sqrt(2) x SEM, which is 1.96 x the root mean square of the differences, and its 95 % interval."""
    size = float(1.96 * np.sqrt((gaps**2).mean()))
    return (size, *interval_of(size, len(gaps)))


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks cohort_change",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=("simulate", "judge", "retest"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--retest", action="store_true", help="unchanged pairs of other knees")
    parser.add_argument("--full", action="store_true", help="DICOM with T1, bones found by the model")
    given = parser.parse_args(arguments)
    if given.step == "simulate":
        given.work.mkdir(parents=True, exist_ok=True)
        simulate(given.work, given.subjects, given.retest, given.full)
        return 0
    return judge(given.work) if given.step == "judge" else retest(given.work)
