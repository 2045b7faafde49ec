"""Feature tables of the training cases inside the bones that the networks draw, each by the fold that never saw it.

`python -m training.si_joint.predicted_tables DATA OUT`, after the region and bone models are exported and before
train_lesions.py: the trees meet a drawn region in training and a predicted one in use, so they learn from both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from marrowscope.anatomy.si_joint import segment
from marrowscope.anatomy.si_model import working
from marrowscope.assessment.pipeline import prepare
from marrowscope.lesion.si_features import PIXEL_MM, features
from marrowscope.lesion.si_joint import marrow_of, turned
from marrowscope.validation.si_cases import Case, load_case, mask
from training.si_joint.data import FOLDS, LESION_CASES, READERS


def table(case: Case, fold: int) -> dict[str, np.ndarray]:
    """Features ``x`` (rows, columns) and the share of readings ``y`` (rows,)."""
    exam = prepare(case.study(), "si_joint")
    anatomy = segment(exam, fold)
    marrow = marrow_of(exam, anatomy, working(exam.fluid.volume, PIXEL_MM))
    x, at = features(marrow)
    shares = [turned(exam.image.with_array(mask(case.readings[r]).astype(np.float32))) for r in READERS]
    return {"x": x, "y": np.mean(shares, axis=0).ravel()[at].astype(np.float32)}


def main() -> None:
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in LESION_CASES:
        fold = next(n for n, held in enumerate(FOLDS) if name in held)
        np.savez(out / f"predicted_{name}.npz", **table(load_case(data / name), fold))
        print(name, fold, flush=True)


if __name__ == "__main__":
    main()
