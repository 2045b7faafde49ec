"""The small networks: a U-Net that works on 2x2 pixel blocks (space to depth), so one level cheaper; how they learn."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import nn


def fold_arguments(*places: str, steps: int) -> argparse.ArgumentParser:
    """Parser of a script that trains one fold: its folders, the fold and the number of steps."""
    parser = argparse.ArgumentParser()
    for place in places:
        parser.add_argument(place, type=Path)
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--steps", type=int, default=steps)
    return parser


def rate_at(step: int, steps: int, highest: float) -> float:
    """Learning rate of a step: up over 100 steps, then down along a cosine."""
    return highest * min(1, (step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.003)


@torch.no_grad()
def follow(mean: nn.Module, net: nn.Module, step: int) -> None:
    """Move the running mean of the weights (changed in place) towards the network, counters included."""
    kept = min(0.995, (step + 1) / (step + 30))
    for held, new in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if held.dtype.is_floating_point:
            held.mul_(kept).add_(new, alpha=1 - kept)
        else:
            held.copy_(new)


def conv(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class BlockUNet(nn.Module):
    """in_ch x H x W -> out_ch x H x W logits, H and W multiples of 16."""

    def __init__(self, in_ch: int = 6, out_ch: int = 1, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        w = widths
        self.fold = nn.PixelUnshuffle(2)
        self.stem = conv(in_ch * 4, w[0])
        self.enc0 = conv(w[0], w[0])
        self.enc = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), conv(w[i], w[i + 1]), conv(w[i + 1], w[i + 1])) for i in range(len(w) - 1)
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.red = nn.ModuleList(nn.Conv2d(w[i + 1], w[i], 1) for i in range(len(w) - 1))
        self.dec = nn.ModuleList(nn.Sequential(conv(2 * w[i], w[i]), conv(w[i], w[i])) for i in range(len(w) - 1))
        self.head = nn.Conv2d(w[0], out_ch * 4, 1)
        self.unfold = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        feats = [self.enc0(self.stem(self.fold(x)))]
        for e in self.enc:
            feats.append(e(feats[-1]))
        y = feats[-1]
        for i in reversed(range(len(self.dec))):
            y = self.dec[i](torch.cat([feats[i], self.up(self.red[i](y))], 1))
        return self.unfold(self.head(y))
