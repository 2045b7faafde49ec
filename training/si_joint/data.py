"""The sacroiliac training cases on one canonical working grid, and the folds.

Nothing here is committed data: the folder is given on the command line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

PIXEL_MM = 0.9
CONTEXT_MM = 3.3
READERS = ("R11", "R12", "R21", "R22")
LESION_CASES = ("1007", "1012", "1013", "1016", "1234")
REGION_CASES = (*LESION_CASES, "2015", "1001", "2016", "3009")
FOLDS: tuple[tuple[str, ...], ...] = (
    ("1007", "1001"),
    ("1012", "2016"),
    ("1013", "3009"),
    ("1016", "2015"),
    ("1234",),
)
"""Cases each fold never sees: every lesion-labelled patient alone in one fold, the others spread over them."""


@dataclass
class Case:
    """One case, all arrays (x to the left, y to the head, k) float32 / uint8 on PIXEL_MM pixels."""

    name: str
    t1: np.ndarray | None
    stir: np.ndarray | None
    region: np.ndarray | None
    lesions: dict[str, np.ndarray]
    normal_marrow: np.ndarray | None
    spacing: tuple[float, float, float]
    affine: np.ndarray
    hashes: dict[str, str]


def canonical(img: nib.Nifti1Image) -> np.ndarray:
    """The array with its first axis to the patient's left and its second to the head (flips and swaps only)."""
    d = np.asanyarray(img.dataobj).astype(np.float32)
    rot = img.affine[:3, :3] / np.linalg.norm(img.affine[:3, :3], axis=0)
    if abs(rot[0, 0]) < abs(rot[0, 1]):
        d, rot = d.swapaxes(0, 1), rot[:, [1, 0, 2]]
    if rot[0, 0] > 0:
        d = d[::-1]
    if rot[2, 1] < 0:
        d = d[:, ::-1]
    return np.ascontiguousarray(d)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_case(root: Path, name: str) -> Case:
    folder = root / name
    hashes: dict[str, str] = {}

    def get(stem: str) -> np.ndarray | None:
        path = folder / f"{stem}.nii.gz"
        if not path.exists():
            return None
        hashes[path.name] = sha256(path)
        return canonical(nib.load(path))

    t1, stir, region, marrow = (get(s) for s in ("t1", "stir", "region", "normal_marrow"))
    lesions = {r: m > 0 for r in READERS if (m := get(f"lesion_{r}")) is not None}
    img = nib.load(folder / "t1.nii.gz")
    return Case(
        name,
        t1,
        stir,
        None if region is None else region > 0,
        lesions,
        None if marrow is None else marrow > 0,
        tuple(float(z) for z in img.header.get_zooms()[:3]),
        img.affine,
        hashes,
    )


def normalise(v: np.ndarray) -> np.ndarray:
    """Intensity over the 98th percentile of the body (voxels above 5 % of the 99.5th), clipped to 0..2."""
    top = np.percentile(v, 99.5)
    body = v[v > 0.05 * top]
    return np.clip(v / np.percentile(body, 98), 0, 2).astype(np.float32)


def working(v: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """In-plane resampled to PIXEL_MM, as the product's canonical_slices does it."""
    shape = [round(n * s / PIXEL_MM) for n, s in zip(v.shape[:2], spacing, strict=False)]
    f = [m / n for m, n in zip(shape, v.shape[:2], strict=True)]
    smooth = ndimage.gaussian_filter(v.astype(np.float32), (*[max(0.0, (1 / x - 1) / 2) for x in f], 0))
    return ndimage.zoom(smooth, (*f, 1), order=1, grid_mode=True, mode="nearest")


def back(q: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Working-grid logits (x, y, k) on the case's own grid."""
    return ndimage.zoom(q, (shape[0] / q.shape[0], shape[1] / q.shape[1], 1), order=1, grid_mode=True, mode="nearest")


def triplet(c: Case, v: np.ndarray | None) -> np.ndarray:
    """(k, 3, x, y): each slice between its neighbours; zeros when the series is missing."""
    if v is None:
        shape = working(c.t1, c.spacing).shape
        return np.zeros((shape[2], 3, shape[0], shape[1]), np.float32)
    s = np.moveaxis(working(normalise(v), c.spacing), 2, 0)
    return np.stack([s[[0, *range(len(s) - 1)]], s, s[[*range(1, len(s)), len(s) - 1]]], 1)
