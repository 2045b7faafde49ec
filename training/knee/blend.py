"""Make one model of two training stages: the weighted mean of their weights (the later went on from the earlier).

    python -m training.knee.blend EARLY LATE OUT MAPS --share 0.35

EARLY and LATE are folders written by ``training.knee.train``. Stages of one run lie in one valley of the loss, where
the mean of their weights is as good as the mean of their answers and costs one network (Wortsman et al. 2022, "Model
soups", arXiv 2203.05482; Izmailov et al. 2018, arXiv 1803.05407).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training.knee.train import Net, evaluate, export, split


def blended(early: dict[str, torch.Tensor], late: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Weights, ``share`` of them the later stage's; counters are the later stage's."""
    return {k: early[k].lerp(v, share) if v.dtype.is_floating_point else v for k, v in late.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("early", "late", "out", "maps"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.35, help="of the later stage")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    early, late = (torch.load(run / "last.pt", weights_only=True) for run in (args.early, args.late))
    net = Net()
    net.load_state_dict(blended(early, late, args.share))
    torch.save(net.state_dict(), args.out / "last.pt")
    export(net, args.out / "knee.onnx")
    steps = [json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"] for run in (args.early, args.late)]
    record = {"step": sum(steps), **evaluate(net, args.maps, split(args.maps)[1])}
    (args.out / "log.jsonl").write_text(json.dumps(record) + "\n")
    print(record)


if __name__ == "__main__":
    main()
