"""The small networks: a U-Net that works on 2x2 pixel blocks (space to depth), so one level cheaper."""

from __future__ import annotations

import torch
from torch import nn


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
