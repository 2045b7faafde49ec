"""Complete every label map a few times and keep the results as arrays for training (outside the repository).

Run: ``python -m training.knee.bake LABELS OUT --variants 5 --seed 1``. One array a variant:
``<stem>_<n>.npy``, uint8 (2, ni, nj, nk): tissue codes, share of edema (0 to 200). From the fourth variant on the
cartilage is thickened: the maps show osteoarthritis or its risk, the young have more cartilage.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from marrowscope.simulate.limb.complete import CARTILAGE_LABELS, complete
from marrowscope.simulate.limb.lesions import add_lesions
from marrowscope.simulate.limb.source import Knee, load

AS_DRAWN = 3
"""Variants with the cartilage of the map; later ones have more."""

MORE_CARTILAGE_MM = (0.5, 2.5)
"""Thickness added, drawn evenly. Judgement: with what the maps show it covers the 2 to 5 mm of young adults."""


def thickened(knee: Knee, extra_mm: float) -> Knee:
    """The same knee, its cartilage grown by ``extra_mm`` into what is neither bone nor cartilage."""
    gap, nearest = ndimage.distance_transform_edt(
        ~np.isin(knee.labels, CARTILAGE_LABELS), sampling=knee.spacing, return_indices=True
    )
    grown = (knee.labels == 0) & (gap <= extra_mm)
    return replace(knee, labels=np.where(grown, knee.labels[tuple(nearest)], knee.labels))


def bake(path: Path, out: Path, number: int, seed: int) -> None:
    name = path.name.removesuffix(".nii.gz")
    rng = np.random.default_rng([seed, number, zlib.crc32(name.encode())])
    knee = load(path)
    if number >= AS_DRAWN:
        knee = thickened(knee, rng.uniform(*MORE_CARTILAGE_MM))
    codes = complete(knee, rng)
    share = add_lesions(codes, knee, rng)
    target = out / f"{name}_{number}"
    part = target.with_suffix(".part.npy")
    np.save(part, np.stack([codes, np.round(share * 200).astype(np.uint8)]))
    target.with_suffix(".json").write_text(
        json.dumps({"subject": name.split("_")[0], "spacing": knee.spacing, "joint": knee.joint})
    )
    part.rename(target.with_suffix(".npy"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.variants):
        for path in sorted(args.labels.glob("*.nii.gz")):
            target = args.out / f"{path.name.removesuffix('.nii.gz')}_{number}.npy"
            if not target.exists():
                bake(path, args.out, number, args.seed)
                print(target.name, flush=True)


if __name__ == "__main__":
    main()
