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

import numpy as np
import torch

from training.knee import images
from training.knee.subjects import split
from training.knee.train import Net, evaluate, export

BATCHES, BATCH = 50, 12
"""Training slices that the norms of a blended network are laid out on."""


def blended(early: dict[str, torch.Tensor], late: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Weights, ``share`` of them the later stage's; counters are the later stage's."""
    return {k: early[k].lerp(v, share) if v.dtype.is_floating_point else v for k, v in late.items()}


@torch.no_grad()
def settle(net: Net, maps: list[images.Baked], seed: int = 5) -> None:
    """Give every norm the statistics of the blended network: those of its parents, blended, can be far off.

    As in stochastic weight averaging (Izmailov et al. 2018). Needed where the stages differ much: the widened network
    and its eighth stage blended without it lost a tenth to a half of every bone.
    """
    rng = np.random.default_rng(seed)
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    net.train()
    for _ in range(BATCHES):
        net(torch.from_numpy(np.stack([images.draw(maps, rng).image[None] for _ in range(BATCH)])))
    net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("early", "late", "out", "maps"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.35, help="of the later stage")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    early, late = (torch.load(run / "last.pt", weights_only=True) for run in (args.early, args.late))
    net = Net.of(blended(early, late, args.share))
    train, held = split(args.maps)
    settle(net, images.open_maps(args.maps, train))
    torch.save(net.state_dict(), args.out / "last.pt")
    export(net, args.out / "knee.onnx")
    steps = [json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"] for run in (args.early, args.late)]
    record = {"step": sum(steps), **evaluate(net, args.maps, held)}
    (args.out / "log.jsonl").write_text(json.dumps(record) + "\n")
    print(record)


if __name__ == "__main__":
    main()
