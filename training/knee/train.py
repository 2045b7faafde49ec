"""Train the knee model (bones and edema, one small 2-D U-Net) on simulated slices, from one command.

    python -m training.knee.train MAPS OUT --minutes 60 --seed 1

MAPS is the folder written by ``training.knee.bake``. Subjects whose name hashes into the held-out fifth are never
used. OUT receives ``log.jsonl``, ``last.pt`` (to continue) and ``knee.onnx``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from training.knee import images
from training.knee.subjects import split

CHANNELS = (8, 24, 48, 96, 128)
"""Of the shipped network, finest level first."""

CLASSES = 5
COPIES = 3
"""Further views of each drawn slice (``--copies``): with bfloat16 one keeps pace, without it drawing costs as much as
learning from two."""

WEIGHTS = (1.0, 1.0, 1.0, 2.0, 2.0)
"""Of background, femur, tibia, patella, fibula in the cross-entropy: the small bones are the ones missed."""


def unit(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(True))


class Net(nn.Module):
    """U-Net with added skips: (n, 1, h, w) to (n, 6, h, w) logits: background, femur, tibia, patella, fibula; edema."""

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.channels = c = tuple(channels)
        self.down = nn.ModuleList(nn.Sequential(unit(a, b), unit(b, b)) for a, b in zip((1, *c[:-1]), c, strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(c))
        self.up = nn.ModuleList(unit(a, a) for a in c[:-1])
        self.head = nn.Conv2d(c[0], CLASSES + 1, 1)

    @classmethod
    def of(cls, state: dict[str, torch.Tensor]) -> Net:
        """The network of a saved state, whatever its width."""
        net = cls([state[f"down.{level}.0.0.weight"].shape[0] for level in range(len(CHANNELS))])
        net.load_state_dict(state)
        return net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level, layer in enumerate(self.down):
            x = layer(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        x = skips.pop()
        for narrow, layer in zip(reversed(self.narrow), reversed(self.up), strict=True):
            x = layer(F.interpolate(narrow(x), scale_factor=2.0, mode="nearest") + skips.pop())
        return self.head(x)


def moved(image: np.ndarray, labels: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple:
    """Another view of one slice: turned, scaled, shifted, perhaps mirrored, re-toned, with grain of its own."""
    angle, scale = rng.normal(0, 0.15), np.exp(rng.normal(0, 0.1))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    flip = rng.choice([-1.0, 1.0])
    matrix = torch.tensor([[[c * flip, -s, rng.normal(0, 0.08)], [s * flip, c, rng.normal(0, 0.08)]]]).float()
    grid = F.affine_grid(matrix, [1, 1, *image.shape], align_corners=False)
    smooth = F.grid_sample(torch.from_numpy(image)[None, None], grid, align_corners=False)[0].numpy()
    stack = torch.from_numpy(np.stack(labels).astype(np.float32))[None]
    turned = F.grid_sample(stack, grid, mode="nearest", align_corners=False)[0].numpy()
    tone = np.float32(np.exp(rng.normal(0, 0.35)))
    smooth = smooth**tone + rng.normal(0, rng.uniform(0, 0.03), smooth.shape).astype(np.float32) * (smooth > 0)
    return np.clip(smooth, 0, 1.5), turned[0].astype(np.int64), turned[1], turned[2]


class Slices(IterableDataset):
    """Endless random slices; each worker has its own stream."""

    def __init__(self, folder: Path, keep: set[str], seed: int, copies: int = COPIES) -> None:
        self.folder, self.keep, self.seed, self.copies = folder, keep, seed, copies

    def __iter__(self):
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        count = 0
        maps = images.open_maps(self.folder, self.keep)
        while True:
            count += 1
            if count % 2000 == 0:
                maps = images.open_maps(self.folder, self.keep)
            s = images.draw(maps, rng)
            labels = s.bone.astype(np.int64), s.lesion.astype(np.float32), s.hidden.astype(np.float32)
            yield s.image[None], *labels, np.float32(s.fluid)
            for _ in range(self.copies):
                yield *moved(s.image, labels, rng), np.float32(s.fluid)


def loss_of(logits, bone, lesion, hidden, fluid):
    """Cross-entropy and soft Dice of bones; of edema on fluid slices, inside bone and its surroundings."""
    ce = F.cross_entropy(logits[:, :CLASSES], bone, weight=logits.new_tensor(WEIGHTS))
    p = logits[:, :CLASSES].softmax(1)
    hot = F.one_hot(bone, CLASSES).permute(0, 3, 1, 2).float()
    both = (p * hot).sum((0, 2, 3))
    dice = 1 - ((2 * both + 1) / (p.sum((0, 2, 3)) + hot.sum((0, 2, 3)) + 1))[1:].mean()
    shown = fluid[:, None, None] * (1 - hidden)
    weight = shown * (0.05 + (bone > 0).float()) * (1 + 4 * lesion)
    edema = logits[:, CLASSES]
    bce = (F.binary_cross_entropy_with_logits(edema, lesion, reduction="none") * weight).sum() / (weight.sum() + 1)
    # Overlap counts only on slices that show a lesion: elsewhere it would teach to answer "never".
    seen = shown * ((lesion * shown).sum((1, 2), keepdim=True) > 20).float()
    q, truth = edema.sigmoid() * seen * (bone > 0).float(), lesion * seen
    overlap = 1 - (2 * (q * truth).sum() + 50) / (q.sum() + truth.sum() + 50)
    return ce + dice + 1.5 * bce + 0.3 * overlap, (ce.item(), dice.item(), bce.item(), overlap.item())


@torch.no_grad()
def evaluate(net: torch.nn.Module, folder: Path, keep: set[str], count: int = 160) -> dict[str, float]:
    """Pooled Dice a bone and of edema on a fixed set of held-out slices."""
    net.eval()
    rng = np.random.default_rng(99)
    maps = images.open_maps(folder, keep)
    top, bottom = np.zeros(5), np.zeros(5)
    for _ in range(count if maps else 0):
        s = images.draw(maps, rng)
        out = net(torch.from_numpy(s.image)[None, None])[0]
        bone = out[:CLASSES].argmax(0).numpy()
        for b in range(1, 5):
            top[b] += 2 * ((bone == b) & (s.bone == b)).sum()
            bottom[b] += (bone == b).sum() + (s.bone == b).sum()
        if s.fluid:
            found = (out[CLASSES] > 0).numpy() & (bone > 0)
            found, lesion = found & ~s.hidden, s.lesion & ~s.hidden
            top[0] += 2 * (found & lesion).sum()
            bottom[0] += found.sum() + lesion.sum()
    net.train()
    names = ("edema", "femur", "tibia", "patella", "fibula")
    return {n: round(float(t / max(b, 1)), 4) for n, t, b in zip(names, top, bottom, strict=True)}


def export(net: Net, path: Path) -> None:
    """Write the ONNX model (input ``image``, output ``logits``; batch and size free)."""
    net.eval()
    part = path.with_suffix(".part")
    torch.onnx.export(
        net, (torch.zeros(1, 1, 192, 192),), str(part), input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}, "logits": {0: "n", 2: "h", 3: "w"}},
        opset_version=17, dynamo=False,
    )  # fmt: skip
    part.rename(path)
    net.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--resume", type=Path, help="last.pt to go on from; its width is kept")
    parser.add_argument("--channels", type=int, nargs=len(CHANNELS), default=CHANNELS)
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--bfloat16", action="store_true", help="twice as fast where the processor has it, else slow")
    parser.add_argument("--fresh-edema", action="store_true", help="forget what was learnt of edema")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # with other work beside it, two threads wait for each other: much slower
    torch.set_flush_denormal(True)
    net = Net.of(torch.load(args.resume, weights_only=True)) if args.resume else Net(args.channels)
    net = net.to(memory_format=torch.channels_last)
    if args.resume and args.fresh_edema:
        with torch.no_grad():
            nn.init.normal_(net.head.weight[CLASSES:], std=0.1)
            nn.init.constant_(net.head.bias[CLASSES:], -2.0)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-4)
    train, held = split(args.maps)
    loader = iter(
        DataLoader(
            Slices(args.maps, train, args.seed, args.copies), batch_size=args.batch, num_workers=1, prefetch_factor=8
        )
    )
    log = (args.out / "log.jsonl").open("a")
    start = last = time.time()
    step, sums = 0, np.zeros(4)
    while (spent := (time.time() - start) / 60) < args.minutes:
        share = spent / args.minutes
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * share)) * 0.98 + 0.02)
        image, *truth = next(loader)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            logits = net(image.to(memory_format=torch.channels_last))
        loss, parts = loss_of(logits.float(), *truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step += 1
        sums += parts
        decay = min(0.998, step / (step + 20))
        for key, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                average[key].lerp_(value, 1 - decay)
            else:
                average[key].copy_(value)
        if time.time() - last > 420:
            last = time.time()
            keep(net, average, args, held, log, step, sums, spent)
            sums[:] = 0
    keep(net, average, args, held, log, step, sums, args.minutes)


def keep(net, average, args, held, log, step, sums, spent) -> None:
    """Save and judge the averaged weights."""
    best = Net.of(average)
    torch.save(average, args.out / "last.pt")
    export(best, args.out / "knee.onnx")
    record = {"step": step, "minutes": round(spent, 1), **evaluate(best, args.maps, held)}
    log.write(json.dumps(record) + "\n")
    log.flush()
    print(record, flush=True)


if __name__ == "__main__":
    main()
