"""``python -m benchmarks seg_sources DICOM_FOLDER``: results written on every real series there that is a volume.

Boxes stand for lesions, bone and regions (geometry is what is tried). For each: errors of ``dciodvfy -new`` over SEG,
SR, PDF, KO and PR, and whether dcmqi and DCMTK put every voxel of every segment back. Prints the table of
docs/exchange.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FOLDERS = ("vendors/*", "transfer_syntaxes/*", "irregular/*/*", "enhanced_knee", "pelvis_study")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write and judge; 1 when any judge disagrees."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks seg_sources",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    root = parser.parse_args(arguments).folder
    print("| source | plane | grid | segments | dciodvfy errors | voxels, dcmqi | voxels, DCMTK |")
    print("|---|---|---|---|---|---|---|")
    agreed = True
    for pattern in FOLDERS:
        for folder in sorted(root.glob(pattern)):
            agreed &= judged(folder, str(folder.relative_to(root)))
    return int(not agreed)


def judged(folder: Path, name: str) -> bool:
    """One line a series, or the reason why none of it is a volume."""
    from marrowscope.errors import MarrowscopeError
    from marrowscope.study import read_study

    try:
        study = read_study(folder)
    except MarrowscopeError as error:
        print(f"| {name} | - | refused: {error.found} | | | | |")
        return True
    if not study.series:
        reasons = ", ".join(dict.fromkeys(r.code for r in study.refusals))
        print(f"| {name} | - | refused: {reasons} | | | | |")
    return min([judged_series(study, series, name) for series in study.series], default=True)  # every one is tried


def judged_series(study: object, series: object, name: str) -> bool:
    """Write every object of one series, ask every judge, print the line."""
    import dicom_results
    from marrowscope.exchange.source import Source
    from marrowscope.exchange.write import dicom_objects
    from seg_judges import by_dcmqi, by_dcmtk

    assessed = dicom_results.assessed(study, series)  # type: ignore[arg-type]
    objects = assessed.objects
    assert objects is not None
    masks = {"lesions": objects.lesions, "bones": objects.anatomy.bones, "regions": objects.anatomy.regions}
    source = Source.of(study, series)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as scratch:
        errors = 0
        for kind, ds in dicom_objects(assessed.assessment, masks, source, b"%PDF-1.7\n%%EOF").items():
            path = Path(scratch) / f"{kind}.dcm"
            ds.save_as(path, enforce_file_format=True)
            done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
            errors += sum(line.startswith("Error") for line in done.stderr.splitlines())
        seg = Path(scratch) / "seg.dcm"
        readers = [by_dcmqi(seg, Path(scratch) / "dcmqi"), by_dcmtk(seg)]
    same = [agreement(objects, places) for places in readers]
    grid = objects.exam.image
    words = " | ".join("all" if ok else "DIFFER" for ok in same)
    size = " x ".join(map(str, grid.shape))
    print(f"| {name} | {grid.plane} | {size} | {len(readers[0])} | {errors} | {words} |", flush=True)
    return errors == 0 and all(same)


def agreement(objects: object, places: dict[str, np.ndarray]) -> bool:
    """Whether each segment's places are exactly the voxels of our mask."""
    import dicom_results

    for code, mm in places.items():
        truth = dicom_results.map_of(objects, code)  # type: ignore[arg-type]
        index = np.rint(truth.volume.to_index(mm)).astype(int)
        if {tuple(i) for i in index} != {tuple(i) for i in np.argwhere(truth.mask(code))} or len(index) == 0:
            return False
    return bool(places)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
