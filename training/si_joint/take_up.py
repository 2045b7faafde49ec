"""Make checkpoints of the shipped region folds again, to train on from. `python -m training.si_joint.take_up DATA OUT`

OUT receives ``region_N.pt`` for ``train_region.py --init``. The norms are laid out on a case that the fold may see.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from training.si_joint.augment import place
from training.si_joint.data import FOLDS, LESION_CASES, load_case, triplet
from training.si_joint.nets import BlockUNet
from training.unfold import unfold

MODEL = Path(__file__).parents[2] / "src" / "marrowscope" / "models" / "si_region"
SLICES = slice(8, 16)
"""From the middle of the case, where all bones are in view."""


def main() -> None:
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for fold, held in enumerate(FOLDS):
        case = load_case(data, next(n for n in LESION_CASES if n not in held))
        seen = torch.from_numpy(np.concatenate([triplet(case, case.t1), triplet(case, case.stir)], 1)[SLICES])
        w, h = seen.shape[2:]
        shown = F.pad(torch.cat([seen, place(w, h, seen)], 1), (0, -h % 16, 0, -w % 16))
        state = unfold(MODEL / f"fold_{fold}.onnx", BlockUNet(8), shown)
        torch.save({"model": state, "step": 0, "fold": fold}, out / f"region_{fold}.pt")


if __name__ == "__main__":
    main()
