"""One fold of the bone naming model (sacrum, ilium, lumbar vertebra), trained on the labels of split_labels.py.

`python -m training.si_joint.train_bones DATA LABELS OUT --fold 0`
"""

from __future__ import annotations

import json
import math
import time

import numpy as np
import torch
import torch.nn.functional as F

from training.si_joint.augment import place, random_batch
from training.si_joint.data import FOLDS, REGION_CASES, load_case, triplet, working
from training.si_joint.nets import BlockUNet, fold_arguments

CROP = 96
PIXEL_MM = 1.8
WIDTHS = (16, 32, 48)


def main() -> None:
    a = fold_arguments("data", "labels", "out", steps=1300).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.fold)
    rng = np.random.default_rng(a.fold)
    xs, ys, held = [], [], []
    for name in REGION_CASES:
        c = load_case(a.data, name)
        x = torch.from_numpy(np.concatenate([triplet(c, c.t1), triplet(c, c.stir)], 1))
        lab = np.load(a.labels / f"{name}.npy")
        y = np.stack([np.moveaxis(working((lab == v).astype(np.float32), c.spacing), 2, 0) for v in (1, 2, 3)], 1)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(torch.from_numpy(y), 2)
        if name in FOLDS[a.fold]:
            held.append((name, x, y))
        else:
            xs.append(x)
            ys.append(y)
    x, y = torch.cat(xs).contiguous(), torch.cat(ys).contiguous()
    net = BlockUNet(8, 3, WIDTHS).to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-2)
    a.out.mkdir(parents=True, exist_ok=True)
    t0 = time.time()
    for step in range(a.steps):
        for g in opt.param_groups:
            g["lr"] = 4e-3 * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / a.steps)) + 1e-5
        amount = min(1.0, max(0.0, (step - 200) / 400))
        xb, yb, _ = random_batch(x, y, 8, CROP, rng, amount=amount, pixel_mm=PIXEL_MM)
        z = net(xb.to(memory_format=torch.channels_last))
        loss = -(F.log_softmax(z, 1) * yb).sum() / yb.sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if (step + 1) % 100 == 0:
            print(step + 1, f"{time.time() - t0:.0f}s {loss.item():.3f}", flush=True)
    net.eval()
    res = {}
    for name, hx, hy in held:
        w, h = hx.shape[2:]
        padded = F.pad(torch.cat([hx, place(w, h, hx, PIXEL_MM)], 1), (0, -h % 8, 0, -w % 8))
        with torch.no_grad():
            q = net(padded)[:, :, :w, :h].argmax(1)
        inside = hy.sum(1) > 0.5
        res[name] = round(float((q == hy.argmax(1))[inside].float().mean()), 4)
    print(json.dumps(res), flush=True)
    torch.save({"model": net.state_dict(), "fold": a.fold, "scores": res}, a.out / f"bones_{a.fold}.pt")


if __name__ == "__main__":
    main()
