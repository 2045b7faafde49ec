"""One fold of the lesion network. `python -m training.si_joint.train_lesion_net DATA LABELS OUT --fold 0 --cache DIR`

Not shipped: decision 0024. A small U-Net on three neighbouring slices of fluid and T1 series, the bones and the
distance from the joint, on the 0.6 mm grid of the trees. Truth is the share of the four readings that mark a voxel.
Simulated lesions make up half.
"""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from marrowscope.lesion.si_features import Marrow, reference_of, unshaded
from training.si_joint.augment import bending
from training.si_joint.data import FOLDS, LESION_CASES, READERS, Case, load_case
from training.si_joint.nets import BlockUNet, fold_arguments, follow, rate_at
from training.si_joint.simulate_lesions import simulate

CROP_MM = 115.0
GRID_MM = 0.6
FAR_MM = 30.0
BEND_MM, JITTER_MM = 3.0, 1.0
CHANNELS = 10
BRIGHTEST = 4.0


def prepared(m: Marrow) -> np.ndarray:
    """(slices, 10, x, y): fluid x 3 and T1 x 3 over their reference, sacrum, ilium, lumbar, distance from the joint."""
    flat = unshaded(m.stir, m.region, m.slice_mm)
    s = np.moveaxis(flat / reference_of(flat, m.region)[0], 2, 0)
    out = [np.clip(neighbours(s), 0, BRIGHTEST)]
    if m.t1 is None:
        out.append(np.zeros_like(out[0]))
    else:
        out.append(np.clip(neighbours(np.moveaxis(m.t1 / reference_of(m.t1, m.region)[0], 2, 0)), 0, BRIGHTEST))
    bone = np.moveaxis(m.bone, 2, 0)
    out.append(np.stack([bone == n for n in (1, 2, 3)], 1))
    out.append(np.stack([joint_distance(b) for b in bone])[:, None])
    return np.concatenate(out, 1).astype(np.float16)


def resized(a: np.ndarray, factor: float, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """(n, c, x, y) with other pixels, smoothed first where they grow."""
    if factor == 1:
        return a
    a = a.astype(np.float32)
    if factor < 1:
        blur = (1 / factor - 1) / 2
        a = ndimage.gaussian_filter(a, (0, 0, blur, blur))
    f = (factor, factor) if shape is None else (shape[0] / a.shape[2], shape[1] / a.shape[3])
    return ndimage.zoom(a, (1, 1, *f), order=1, grid_mode=True, mode="nearest")


def neighbours(s: np.ndarray) -> np.ndarray:
    return np.stack([s[[0, *range(len(s) - 1)]], s, s[[*range(1, len(s)), len(s) - 1]]], 1)


def joint_distance(bone: np.ndarray) -> np.ndarray:
    """In-plane distance (FAR_MM = 1) from the other bone of the joint, 1 where it is far or absent."""
    far = np.ones(bone.shape)
    for own, other in ((1, 2), (2, 1)):
        if (bone == other).any():
            mm = ndimage.distance_transform_edt(bone != other) * GRID_MM / FAR_MM
            far = np.where(bone == own, np.minimum(mm, 1), far)
    return far


def marrow(c: Case, labels: Path) -> Marrow:
    return Marrow(c.stir, c.t1, c.region, np.load(labels / f"{c.name}.npy"))


def exams(c: Case, labels: Path, simulations: int, cache: Path) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The exam and its variants with simulated lesions: what the network sees, truth and region, share of the draws."""
    m, rng = marrow(c, labels), np.random.default_rng(int(c.name))
    truth = np.mean([c.lesions[r] for r in READERS], axis=0).astype(np.float32)
    found = []
    for n in range(simulations + 1):
        path = cache / f"exam_{c.name}_{n}.npz"
        if not path.exists():
            changed, extra = simulate(m, rng) if n else (m, np.zeros(m.region.shape, bool))
            y = np.stack([np.moveaxis(np.maximum(truth, extra), 2, 0), np.moveaxis(m.region, 2, 0)], 1)
            np.savez(path, x=prepared(changed), y=y.astype(np.float16))
        with np.load(path) as stored:
            found.append((stored["x"], stored["y"], 0.5 / simulations if n else 0.5))
    return found


def tone(xb: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gain, gamma, shading, noise and blur of each series; T1 lost now and then."""
    n, _, h, w = xb.shape
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    for b in range(n):
        for s in (0, 3):
            v = xb[b, s : s + 3].clamp_min(0).pow(math.exp(rng.normal(0, 0.1))) * math.exp(rng.normal(0, 0.07))
            if rng.random() < 0.4:
                a, c = rng.normal(0, 0.08, 2)
                v = v * torch.exp(a * xx + c * yy)[None]
            if rng.random() < 0.15:
                v = F.avg_pool2d(v[None], 3, 1, 1)[0]
            if rng.random() < 0.5:
                v = (v + torch.randn(v.shape) * float(rng.uniform(0, 0.12))).clamp_min(0)
            if rng.random() < 0.5:
                v = v[[2, 1, 0]]
            xb[b, s : s + 3] = v
        if rng.random() < 0.15:
            xb[b, 3:6] = 0
    return xb


def batch(x: torch.Tensor, y: torch.Tensor, n: int, weights: np.ndarray, rng: np.random.Generator, pixel: float):
    crop = round(CROP_MM / pixel / 16) * 16
    half_mm = x.shape[-1] * pixel / 2
    idx = rng.choice(len(x), n, p=weights)
    size = x.shape[-1]
    theta = np.zeros((n, 2, 3), np.float32)
    for b, k in enumerate(idx):
        angle, s, aspect = math.radians(rng.normal(0, 8)), math.exp(rng.normal(0, 0.12)), math.exp(rng.normal(0, 0.06))
        c, sn = math.cos(angle), math.sin(angle)
        m = np.array([[c, -sn], [sn, c]]) @ np.array([[1, rng.normal(0, 0.05)], [0, 1]])
        m = m @ np.diag([crop / size * s * aspect, crop / size * s / aspect])
        if rng.random() < 0.5:
            m = np.diag([1.0, -1.0]) @ m  # grid order is (y, x): the second is left-right
        where = torch.nonzero(y[k, 0] > 0.2 if rng.random() < 0.5 and (y[k, 0] > 0.2).any() else y[k, 1] > 0.5)
        at = where[rng.integers(len(where))].numpy() if len(where) else np.array([size / 2, size / 2])
        theta[b, :, :2] = m
        theta[b, :, 2] = (at[::-1] / size * 2 - 1) * 0.9 + rng.uniform(-0.15, 0.15, 2)
    grid = F.affine_grid(torch.from_numpy(theta), [n, 1, crop, crop], align_corners=False)
    grid = grid + bending(n, crop, rng, BEND_MM / half_mm)
    xb = F.grid_sample(x[idx].float(), grid, mode="bilinear", align_corners=False)
    yb = F.grid_sample(y[idx].float(), grid, mode="bilinear", align_corners=False)
    # the bones are drawn a little off, as the networks do that draw them in use
    off = grid + bending(n, crop, rng, JITTER_MM / half_mm, knots=((6, 0.7), (16, 0.7)))
    xb[:, 6:] = F.grid_sample(x[idx][:, 6:].float(), off, mode="bilinear", align_corners=False)
    return tone(xb, rng), torch.cat([yb[:, :1], xb[:, 6:9].sum(1, keepdim=True)], 1)


def squared(a: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros((*a.shape[:2], size, size), a.dtype)
    out[:, :, : a.shape[2], : a.shape[3]] = a
    return out


def probability(net: BlockUNet, x: np.ndarray) -> np.ndarray:
    """(x, y, slices) chances of one exam."""
    w, h = x.shape[2:]
    total = 0
    with torch.no_grad():
        t = F.pad(torch.from_numpy(x).float(), (0, -h % 16, 0, -w % 16))
        total = torch.cat([torch.sigmoid(net(t[k : k + 4])) for k in range(0, len(t), 4)])[:, 0, :w, :h]
    return np.moveaxis(total.numpy(), 0, 2)


def main() -> None:
    ap = fold_arguments("data", "labels", "out", steps=2000)
    ap.add_argument("--batch", type=int, default=6)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--simulations", type=int, default=12)
    ap.add_argument("--dice", type=float, default=1.0, help="weight of the Dice loss; cross entropy has 2")
    ap.add_argument("--pixel", type=float, default=0.6, help="mm")
    ap.add_argument("--cache", type=Path, required=True, help="exams with simulated lesions are kept here")
    ap.add_argument("--bfloat16", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed * 100 + a.fold)
    rng = np.random.default_rng(a.seed * 100 + a.fold)
    cases = {n: load_case(a.data, n) for n in LESION_CASES}
    held = next(n for n in FOLDS[a.fold] if n in LESION_CASES)
    size = math.ceil(max(max(c.stir.shape[:2]) for c in cases.values()) * GRID_MM / a.pixel)
    xs, ys, ws = [], [], []
    for folder in (a.out, a.cache):
        folder.mkdir(parents=True, exist_ok=True)
    for name, c in cases.items():
        if name == held:
            continue
        for pictures, shares, share in exams(c, a.labels, a.simulations, a.cache):
            seen, y = (resized(v, GRID_MM / a.pixel).astype(np.float16) for v in (pictures, shares))
            xs.append(squared(seen, size))
            ys.append(squared(y, size))
            marked, bony = (y[:, 0] > 0.2).any((1, 2)), (y[:, 1] > 0.5).any((1, 2))
            w = np.where(marked, 1.0, 0.35) * bony
            ws.append(w / w.sum() * share)
    x, y = (torch.from_numpy(np.concatenate(v)) for v in (xs, ys))
    weights = np.concatenate(ws) / np.sum(np.concatenate(ws))
    del xs, ys
    net = BlockUNet(in_ch=CHANNELS).to(memory_format=torch.channels_last)
    torch.nn.init.constant_(net.head.bias, -3.0)
    ema = copy.deepcopy(net).eval()
    opt = torch.optim.AdamW(net.parameters(), a.rate, weight_decay=2e-2)
    m = marrow(cases[held], a.labels)
    seen = resized(prepared(m), GRID_MM / a.pixel)
    mean = np.mean([cases[held].lesions[r] for r in READERS], axis=0)
    start, run = time.time(), 0.0
    for step in range(a.steps):
        lr = rate_at(step, a.steps, a.rate)
        for g in opt.param_groups:
            g["lr"] = lr
        xb, yb = batch(x, y, a.batch, weights, rng, a.pixel)
        net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bfloat16):
            z = net(xb.to(memory_format=torch.channels_last))
        z = z.float()
        t, mask = yb[:, :1], (yb[:, 1:] > 0.5).float()
        p = torch.sigmoid(z) * mask
        t = t * mask
        cross = (F.binary_cross_entropy_with_logits(z, t, reduction="none") * mask).sum() / mask.sum().clamp_min(1)
        dice = 1 - (2 * (p * t).sum((1, 2, 3)) + 50) / (p.sum((1, 2, 3)) + t.sum((1, 2, 3)) + 50)
        loss = 2 * cross + a.dice * dice.mean()
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        follow(ema, net, step)
        run = 0.98 * run + 0.02 * loss.item() if step else loss.item()
        if (step + 1) % 500 == 0 or step + 1 == a.steps:
            q = np.moveaxis(probability(ema, seen), 2, 0)[:, None]
            q = np.moveaxis(resized(q, a.pixel / GRID_MM, m.region.shape[:2])[:, 0], 0, 2) * m.region
            res = {}
            for cut in (0.2, 0.3, 0.4, 0.5):
                found = q > cut
                each = [2 * (found & r).sum() / (found.sum() + r.sum()) for r in cases[held].lesions.values()]
                res[cut] = round(float(np.mean(each)), 3)
            print(step + 1, f"{time.time() - start:.0f}s loss {run:.4f}", held, json.dumps(res), flush=True)
            torch.save({"model": ema.state_dict(), "step": step + 1, "fold": a.fold}, a.out / f"lesnet_{a.fold}.pt")
            np.savez_compressed(a.out / f"q_{held}.npz", q=q.astype(np.float16), mean=mean)


if __name__ == "__main__":
    main()
