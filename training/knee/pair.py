"""Make one model of two training stages: bones by the mean of both, edema by the later stage alone.

    python -m training.knee.pair EARLY.pt LATE.pt OUT

The runtime averages the logits of all weight files. The early stage learnt bones before edema was trained; its edema
output is set to nought and the late one's doubled, so that their mean is the late stage's answer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.knee.train import CLASSES, Net, export


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("early", type=Path)
    parser.add_argument("late", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (path, factor) in enumerate(((args.early, 0.0), (args.late, 2.0))):
        state = torch.load(path, weights_only=True)
        for name in ("head.weight", "head.bias"):
            state[name][CLASSES:] *= factor
        net = Net()
        net.load_state_dict(state)
        export(net, args.out / f"knee_{number}.onnx")


if __name__ == "__main__":
    main()
