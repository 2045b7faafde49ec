"""The real clinical knee exams of the development data as studies, and the outlines drawn by hand on them.

The arrays come without geometry. Spacing is the one their README states; rows run to the feet, sagittal columns to
the back, coronal columns to the patient's left and coronal slices to the front, as displayed. Which way the sagittal
slices run is not known: the direction is taken that agrees better with the coronal series.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

from marrowscope.anatomy.align import normalised_mutual_information
from marrowscope.study import Guess, PatientFacts, Role, Sequence, SequenceClass, Series, Study
from marrowscope.study.qc import judge
from marrowscope.volume import Volume, resample

PIXEL_MM, SLICE_MM = 0.55, 3.5
OUTLINES = Path(__file__).parent / "polygons" / "knee" / "outlines.yaml"
FINE = 4
"""Sub-pixels a side when an outline is turned into a mask."""

EXAMS = ("0001", "0002", "0004", "0005", "0006", "0009", "1122", "1125", "1130", "1133", "1138", "1140")
FLAGGED = {"0005": "poor fat suppression", "1140": "poor fat suppression", "1138": "metal"}


def volume(array: np.ndarray, series: str, sign: float = 1.0) -> Volume:
    """(slice, row, column) as a volume indexed (column, row, slice) around the origin."""
    moved = np.ascontiguousarray(array.transpose(2, 1, 0))
    column, through = ((0, 1, 0), (sign, 0, 0)) if series == "sagittal_fs" else ((1, 0, 0), (0, -1, 0))
    affine = np.eye(4)
    affine[:3, :3] = np.array([column, (0, 0, -1), through], float).T * (PIXEL_MM, PIXEL_MM, SLICE_MM)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(moved.shape) - 1) / 2)
    return Volume(moved, affine)


def study(folder: Path, exam: str) -> Study:
    """One exam: fat-suppressed sagittal fluid series and coronal T1."""
    with np.load(folder / f"{exam}.npz") as arrays:
        sagittal, coronal = arrays["sagittal_fs"], arrays["coronal_t1"]
    t1 = volume(coronal, "coronal_t1")
    fluid = max((volume(sagittal, "sagittal_fs", sign) for sign in (1.0, -1.0)), key=lambda v: _agreement(v, t1))
    series = (
        Series("fluid", 1, "sagittal", Role.FLUID, SequenceClass.PD_FS, (), Sequence(modality="MR"), fluid),
        Series("t1", 2, "coronal", Role.T1, SequenceClass.T1, (), Sequence(modality="MR"), t1),
    )
    judged = judge(series, PatientFacts(), Guess("knee"))
    return Study("nifti", judged, site=Guess("knee"), input_hash="0" * 64)


def _agreement(fluid: Volume, t1: Volume) -> float:
    on_grid = resample(t1, fluid)
    return normalised_mutual_information(fluid.array.ravel(), on_grid.array.ravel())


def outlines() -> list[dict]:
    """Every outlined slice: exam, series, slice, bones (name to (column, row) points)."""
    return yaml.safe_load(OUTLINES.read_text(encoding="utf-8"))["outlines"]


def raster(points: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """Pixels at least half inside the polygon, (row, column) of ``shape``."""
    rows, columns = shape
    image = Image.new("L", (columns * FINE, rows * FINE))
    ImageDraw.Draw(image).polygon([(x * FINE - 0.5, y * FINE - 0.5) for x, y in points], fill=1)
    return np.asarray(image).reshape(rows, FINE, columns, FINE).mean((1, 3)) >= 0.5
