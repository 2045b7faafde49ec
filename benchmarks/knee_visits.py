"""Two visits of one simulated knee through the whole chain, bones by the model: ``python -m benchmarks knee_visits``.

Each subject is scanned three times by ``marrowscope simulate knee``: a first visit, a second with larger or smaller
lesions, and that second visit again with another sequence class. Each is assessed from DICOM; the second is compared
with the first (the change should be the true one) and so is the other class (which must be ``not assessable``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import run_measured

SUBJECTS = (
    (7001, "medial_femoral_condyle:4.0:subchondral", "medial_femoral_condyle:1.5:subchondral"),
    (7002, "lateral_tibial_plateau:1.2:contusion", "lateral_tibial_plateau:3.0:contusion"),
    (7003, "lateral_femoral_condyle:2.5:diffuse", "lateral_femoral_condyle:2.5:diffuse"),
)
"""Seed, lesions at the first visit, lesions at the second."""

CLASSES = {"first": "pd_fs", "second": "pd_fs", "other": "stir"}


def command(arguments: Sequence[str], done: Path, log: Path, accepted: tuple[int, ...] = (0, 4)) -> None:
    """Run ``marrowscope`` unless its output is there.

    Raises:
        SystemExit: it ended with another code.
    """
    if done.exists():
        return
    ran = run_measured(["marrowscope", *arguments], log)
    if ran.code not in accepted:
        raise SystemExit(f"marrowscope {' '.join(arguments)} ended with {ran.code}: {ran.said}")


def true_cm3(folder: Path) -> float:
    """Edema volume of a simulated visit."""
    return json.loads((folder / "truth" / "truth.json").read_text(encoding="utf-8"))["lesion_volume_mm3"] / 1000


def subject(work: Path, seed: int, lesions: tuple[str, str]) -> str:
    """Simulate, assess and compare one subject; the line to print."""
    folders, log = {}, work / f"{seed}.log"
    for name, fluid in CLASSES.items():
        study, results = work / f"{seed}_{name}", work / f"{seed}_{name}.results"
        visit = "1" if name == "first" else "2"
        what = lesions[0] if name == "first" else lesions[1]
        options = ["--seed", str(seed), "--visit", visit, "--fluid", fluid, "--lesions", what]
        command(["simulate", "knee", "-o", str(study), *options], study / "truth" / "truth.json", log)
        command(["assess", str(study / "study"), "-o", str(results), "--quiet"], results / "assessment.json", log)
        folders[name] = results
    words = []
    for name in ("second", "other"):
        out = work / f"{seed}_{name}.change"
        visits = [str(folders["first"]), str(folders[name])]
        command(["compare", *visits, "-o", str(out), "--quiet"], out / "assessment.json", log)
        words.append(f"{name}: {change_of(out)}")
    true = [true_cm3(work / f"{seed}_{name}") for name in ("first", "second")]
    return f"{seed} true {true[0]:.2f} -> {true[1]:.2f} cm3; {'; '.join(words)}"


def change_of(folder: Path) -> str:
    """What a comparison came to, in its own words."""
    change = json.loads((folder / "assessment.json").read_text(encoding="utf-8"))["change"]
    return str(change["summary"] if change["comparable"] else f"not assessable ({'; '.join(change['reasons'])})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subjects and print one line each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks knee_visits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--work", type=Path, default=Path("runs/knee_visits"), help="studies and results are kept here")
    parser.add_argument("--subjects", type=int, default=len(SUBJECTS))
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    for seed, before, after in SUBJECTS[: options.subjects]:
        print(subject(options.work, seed, (before, after)), flush=True)
    return 0
