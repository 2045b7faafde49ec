"""Name the bones inside the one drawn region: sacrum 1, ilium 2, lumbar vertebra 3 (our own labels).

The joint line of each side and slice is the darkest smooth path on T1 from the top to the bottom of the region
(dynamic programming, each slice held to its neighbour's path). The disc L5/S1 and the first and last slice with a
joint were read off the pictures by hand and stand in HAND. `python -m training.si_joint.split_labels DATA OUT`
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage as ndi

PIXEL_MM = 0.595
REACH_MM = np.arange(22, 80, PIXEL_MM)
"""How far from the midline a joint can lie."""

HAND = {
    "1007": {"disc": {3: 261, 5: 250, 10: 243, 24: 240}, "joint": (2, 13)},
    "1012": {"disc": None, "joint": (3, 15)},
    "1013": {"disc": {0: 178, 24: 182}, "joint": (2, 16)},
    "1016": {"disc": None, "joint": (4, 19)},
    "1234": {"disc": {0: 206, 24: 208}, "joint": (6, 19)},
    "2015": {"disc": None, "joint": (3, 18)},
    "1001": {"disc": None, "joint": (4, 16)},
    "2016": {"disc": {2: 204, 8: 203, 14: 203, 15: 185, 24: 185}, "joint": (3, 14)},
    "3009": {"disc": None, "joint": (9, 24)},
}
"""Row of the disc L5/S1 at the midline by slice (None = top of the joined sacrum), slices with both bones."""


def disc_rows(region: np.ndarray, x: np.ndarray, disc: dict[int, float] | None) -> np.ndarray:
    """Row of the disc on every slice."""
    count = region.shape[2]
    if disc is None:
        tops = []
        for k in range(count):
            labels, n = ndi.label(region[:, :, k])
            for piece in range(1, n + 1):
                mask = labels == piece
                span = x[mask.any(1)]
                band = mask[np.abs(x) < 10]
                if span[0] < -45 and span[-1] > 45 and band.any():
                    tops.append(np.median([np.nonzero(r)[0][-1] for r in band if r.any()]))
        disc = {0: float(np.median(tops))}
    return np.interp(np.arange(count), list(disc), list(disc.values()))


def darkness(t1: np.ndarray, region: np.ndarray, side: int, x: np.ndarray) -> np.ndarray:
    """How much darker than the marrow around, low near the bone's outer borders."""
    inside = region.astype(float)
    around = ndi.gaussian_filter(t1 * inside, 10) / np.maximum(ndi.gaussian_filter(inside, 10), 1e-3)
    dark = np.clip(1 - ndi.gaussian_filter(t1, 1) / np.maximum(around, 1), -0.1, 0.6) * inside
    border = np.zeros_like(dark)
    for j in range(region.shape[1]):
        rows = np.nonzero(region[:, j] & (side * x > 0))[0]
        if len(rows):
            u = side * x[rows]
            border[:, j] = np.clip((u.max() - side * x) / 9, 0, 1) * np.clip((side * x - u.min() + 2) / 5, 0, 1)
    return dark * border


def darkest_path(cost: np.ndarray, first: int, last: int) -> np.ndarray:
    """Distance from the midline at every row: cheapest path that moves at most one step a row."""
    total = np.full(cost.shape, 1e9)
    came = np.zeros(cost.shape, int)
    total[:, first] = cost[:, first]
    for j in range(first + 1, last + 1):
        best, arg = total[:, j - 1].copy(), np.arange(len(cost))
        for step in (-1, 1):
            moved = np.roll(total[:, j - 1], step) + 0.03
            moved[0 if step == 1 else -1] = 1e9
            better = moved < best
            best[better], arg[better] = moved[better], (np.arange(len(cost)) - step)[better]
        total[:, j], came[:, j] = best + cost[:, j], arg
    path = np.zeros(cost.shape[1])
    at = int(total[:, last].argmin())
    for j in range(last, first - 1, -1):
        path[j] = REACH_MM[at]
        at = came[at, j]
    path[:first], path[last + 1 :] = path[first], path[last]
    return path


def joint_paths(t1: np.ndarray, region: np.ndarray, x: np.ndarray, middle: float, slices: tuple[int, int]) -> dict:
    """The joint of both sides on every slice that shows it, from the middle slice outwards."""
    start, (low, high) = sum(slices) // 2, slices
    paths: dict[tuple[int, int], np.ndarray] = {}
    for side in (-1, 1):
        for k in [*range(start, high + 1), *range(start - 1, low - 1, -1)]:
            dark = darkness(t1[:, :, k], region[:, :, k], side, x)
            column = np.repeat((middle + side * REACH_MM / PIXEL_MM)[:, None], dark.shape[1], 1)
            row = np.repeat(np.arange(float(dark.shape[1]))[None], len(REACH_MM), 0)
            cost = -ndi.map_coordinates(dark, [column, row], order=1)
            near = paths.get((side, k - 1)) if k > start else paths.get((side, k + 1))
            if near is not None:
                cost = cost + 0.0025 * np.minimum(np.abs(REACH_MM[:, None] - near[None]), 8) ** 2
            used = np.nonzero((region[:, :, k] & (side * x[:, None] > 20)).any(0))[0]
            path = darkest_path(cost, used[0], used[-1])
            paths[(side, k)] = ndi.gaussian_filter1d(path, 2)
    return paths


def split(t1: np.ndarray, region: np.ndarray, disc: dict[int, float] | None, joint: tuple[int, int]) -> np.ndarray:
    """Labels 1, 2, 3 inside the region."""
    count = region.shape[2]
    spans = [np.nonzero(region[:, :, k].any(1))[0][[0, -1]] for k in range(count)]
    middle = float(np.median([(a + b) / 2 for a, b in spans if (b - a) * PIXEL_MM > 110]))
    x = (np.arange(region.shape[0]) - middle) * PIXEL_MM
    top = disc_rows(region, x, disc)
    paths = joint_paths(t1, region, x, middle, joint)
    out = np.zeros(region.shape, np.uint8)
    for k in range(count):
        labels, n = ndi.label(region[:, :, k])
        for piece in range(1, n + 1):
            mask = labels == piece
            column, row = ndi.center_of_mass(mask)
            span, centre = x[mask.any(1)], (column - middle) * PIXEL_MM
            if max(-span[0], span[-1]) <= 58 and abs(centre) <= 44:
                out[:, :, k][mask] = 3 if row > top[k] + 2 else 1
                continue
            own = np.zeros(mask.shape, np.uint8)
            for side in (-1, 1):
                half = mask & ((side * x) > 0)[:, None]
                u = np.broadcast_to((side * x)[:, None], mask.shape)
                if joint[0] <= k <= joint[1]:
                    own[half] = np.where(u > paths[(side, k)][None], 2, 1)[half]
                else:
                    own[half] = np.where(u > 38, 2, 1)[half] if mask[np.abs(x) < 5].any() else 2
            own[mask & (np.arange(mask.shape[1])[None] > top[k] + 6) & (np.abs(x) < 38)[:, None]] = 3
            out[:, :, k][mask] = own[mask]
    return out


def main() -> None:
    data, out = (Path(a) for a in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    for name, hand in HAND.items():
        t1 = nib.load(data / name / "t1.nii.gz").get_fdata()
        region = nib.load(data / name / "region.nii.gz").get_fdata() > 0
        labels = split(t1, region, hand["disc"], hand["joint"])
        np.save(out / f"{name}.npy", labels)
        print(name, np.bincount(labels.ravel(), minlength=4).tolist(), flush=True)


if __name__ == "__main__":
    main()
