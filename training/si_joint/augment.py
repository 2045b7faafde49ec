"""Random geometry and intensity for 2.5D slice stacks: what an unknown scanner may do to a picture."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

PIXEL_MM = 0.9
PLACE_SCALE_MM = 100.0


def random_batch(
    x: torch.Tensor,
    y: torch.Tensor,
    n: int,
    crop: int,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
    strong: float = 0.06,
    amount: float = 1.0,
    pixel_mm: float = PIXEL_MM,
    bend_mm: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """n random slices of x (s, 2*3, w, h) and y (s, c, w, h), moved, bent by up to about 2 x bend_mm, cropped to
    crop x crop, and re-toned."""
    idx = rng.choice(len(x), n, p=weights)
    assert x.is_contiguous() and y.is_contiguous()
    size = x.shape[-1]
    theta = np.zeros((n, 2, 3), np.float32)
    mirrored, lost = np.zeros(n, bool), np.zeros(n, bool)
    for b in range(n):
        turned = rng.random() < strong * amount
        angle = rng.uniform(-180, 180) if turned else rng.normal(0, 7)
        s = math.exp(rng.normal(0, 0.09))
        aspect = math.exp(rng.normal(0, 0.06))
        c, sn = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        m = np.array([[c, -sn], [sn, c]]) @ np.array([[1, rng.normal(0, 0.05)], [0, 1]])
        m = m @ np.diag([crop / size * s * aspect, crop / size * s / aspect])
        mirrored[b] = rng.random() < 0.5
        lost[b] = turned or rng.random() < 0.08 * amount
        if mirrored[b]:
            m = np.diag([1.0, -1.0]) @ m
        free = max(0.0, 1 - crop / size * s)
        theta[b, :, :2] = m
        theta[b, :, 2] = rng.uniform(-free - 0.1, free + 0.1, 2)
    grid = F.affine_grid(torch.from_numpy(theta), [n, 1, crop, crop], align_corners=False)
    if bend_mm:
        grid = grid + bending(n, crop, rng, bend_mm * amount / (size * pixel_mm / 2))
    xb = F.grid_sample(x[idx], grid, mode="bilinear", align_corners=False)
    yb = F.grid_sample(y[idx], grid, mode="bilinear", align_corners=False)
    where = torch.stack([grid[..., 1], grid[..., 0]], 1) * (size * pixel_mm / 2 / PLACE_SCALE_MM)
    where[torch.from_numpy(mirrored), 0] *= -1
    where += torch.from_numpy(rng.normal(0, 0.12, (n, 2, 1, 1)).astype(np.float32))
    where[torch.from_numpy(lost)] = 0
    return torch.cat([tone(xb, rng, amount), where], 1), yb, idx


def bending(
    n: int,
    crop: int,
    rng: np.random.Generator,
    amount: float,
    knots: tuple[tuple[int, float], ...] = ((4, 1.0), (10, 0.4)),
) -> torch.Tensor:
    """A smooth shift of every pixel (n, crop, crop, 2), standard deviation drawn up to ``amount``, in half pictures.

    Fields are added, ``knots`` = (points a side, share of the amount): by default one that bends whole bones and one
    that bends their borders.
    """
    shift = torch.zeros(n, 2, crop, crop)
    for points, share in knots:
        coarse = torch.from_numpy(rng.normal(0, 1, (n, 2, points, points)).astype(np.float32))
        strength = torch.from_numpy(rng.uniform(0, share * amount, (n, 1, 1, 1)).astype(np.float32))
        shift += F.interpolate(coarse * strength, size=(crop, crop), mode="bicubic", align_corners=True)
    return shift.permute(0, 2, 3, 1)


def place(width: int, height: int, like: torch.Tensor, pixel_mm: float = PIXEL_MM) -> torch.Tensor:
    """The two place channels: mm from the picture's centre to the left and to the head, over PLACE_SCALE_MM."""
    x = (torch.arange(width) - (width - 1) / 2) * pixel_mm / PLACE_SCALE_MM
    y = (torch.arange(height) - (height - 1) / 2) * pixel_mm / PLACE_SCALE_MM
    g = torch.stack(torch.meshgrid(x, y, indexing="ij"))
    return g[None].expand(len(like), -1, -1, -1)


def tone(xb: torch.Tensor, rng: np.random.Generator, amount: float) -> torch.Tensor:
    """Gain, gamma, coil shading, noise, blur, neighbours lost, one series missing; per sample and per series.

    ``amount`` 0..1 is raised during training: from the start at full strength the net stays on a plateau.
    """
    n, _, h, w = xb.shape
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    for b in range(n):
        have_stir = bool(xb[b, 3:].any())
        drop = rng.random() / max(amount, 1e-6)
        for s in range(2):
            v = xb[b, 3 * s : 3 * s + 3]
            if rng.random() > 0.9 * amount:
                continue
            gain = math.exp(rng.normal(0, 0.18))
            v = v.clamp_min(0).pow(math.exp(rng.normal(0, 0.12))) * gain
            if rng.random() < 0.4:
                a, c, e, f = rng.normal(0, 0.18, 4)
                v = v * torch.exp(a * xx + c * yy + e * xx * xx + f * yy * yy)[None]
            if rng.random() < 0.12:
                v = F.avg_pool2d(v[None], 3, 1, 1)[0]
            if rng.random() < 0.3:
                v = (v + torch.randn(v.shape) * float(rng.uniform(0, 0.07)) * (v > 0)).clamp_min(0)
            if rng.random() < 0.1:
                v = v[[1, 1, 1]]
            elif rng.random() < 0.15:
                v = v[[2, 1, 0]]
            xb[b, 3 * s : 3 * s + 3] = v
        if have_stir and drop < 0.2:
            xb[b, 3:] = 0
        elif have_stir and drop < 0.32:
            xb[b, :3] = 0
    return xb
