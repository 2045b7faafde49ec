"""One fold of the bone region model. `python -m training.si_joint.train_region DATA OUT --fold 0`"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F

from training.si_joint.augment import place, random_batch
from training.si_joint.data import FOLDS, REGION_CASES, Case, back, canonical, load_case, triplet, working
from training.si_joint.nets import BlockUNet, fold_arguments, follow, rate_at

CROP = 176

PSEUDO = 0.25
"""Share of a batch that comes from exams labelled by a teacher."""


def unlabelled(folder: Path, teachers: list[Path], fold: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """T1 exams that nobody drew, with the mean chance of teachers that never saw the fold's held-out cases."""
    nets = []
    for path in teachers:
        state = torch.load(path, weights_only=True)
        if state["fold"] != fold:
            raise SystemExit(f"{path} is of fold {state['fold']}, not {fold}: it may have seen the held-out cases")
        net = BlockUNet(in_ch=8).eval()
        net.load_state_dict(state["model"])
        nets.append(net)
    found = []
    for path in sorted(folder.glob("*_t1.nii.gz")):
        image = nib.load(path)
        case = Case(
            path.name, canonical(image), None, None, {}, None, tuple(image.header.get_zooms()[:3]), image.affine, {}
        )
        seen = np.concatenate([triplet(case, case.t1), triplet(case, None)], 1)
        with torch.no_grad():
            chance = [answer(net, seen) for net in nets]
        found.append((seen, np.mean(chance, axis=0)[:, None]))
    return found


def answer(net: BlockUNet, seen: np.ndarray) -> np.ndarray:
    """Chance (k, w, h) of bone region on slices (k, 6, w, h)."""
    x = torch.from_numpy(seen)
    w, h = x.shape[2:]
    x = F.pad(torch.cat([x, place(w, h, x)], 1), (0, -h % 16, 0, -w % 16))
    return torch.sigmoid(torch.cat([net(x[k : k + 5]) for k in range(0, len(x), 5)])[:, 0, :w, :h]).numpy()


def main() -> None:
    ap = fold_arguments("data", "out", steps=4000)
    ap.add_argument("--batch", type=int, default=6)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--init", type=Path, help="go on from this file of the same fold")
    ap.add_argument("--rate", type=float, default=3e-3)
    ap.add_argument("--bend", type=float, default=0.0, help="standard deviation of the random bending, mm")
    ap.add_argument(
        "--pseudo", type=Path, help="folder of CASE_t1.nii.gz, labelled by --teacher and learnt with the rest"
    )
    ap.add_argument("--teacher", type=Path, nargs="*", default=[], help="weights of the same fold that label --pseudo")
    ap.add_argument("--bfloat16", action="store_true", help="faster on processors that have it")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed * 100 + a.fold)
    rng = np.random.default_rng(a.seed * 100 + a.fold)
    cases = [load_case(a.data, c) for c in REGION_CASES]
    train = [c for c in cases if c.name not in FOLDS[a.fold]]
    held = [c for c in cases if c.name in FOLDS[a.fold]]
    pairs = [np.concatenate([triplet(c, c.t1), triplet(c, c.stir)], 1) for c in train]
    truth = [np.moveaxis(working(c.region, c.spacing), 2, 0)[:, None] for c in train]
    weights = None
    if a.pseudo:
        drawn = sum(len(t) for t in truth)
        more = unlabelled(a.pseudo, a.teacher, a.fold)
        pairs, truth = pairs + [p for p, _ in more], truth + [t for _, t in more]
        weights = np.full(sum(len(t) for t in truth), (1 - PSEUDO) / drawn)
        weights[drawn:] = PSEUDO / (len(weights) - drawn)
    x = torch.from_numpy(np.ascontiguousarray(np.concatenate(pairs)))
    y = torch.from_numpy(np.ascontiguousarray(np.concatenate(truth)))
    net = BlockUNet(in_ch=8).to(memory_format=torch.channels_last)
    torch.nn.init.constant_(net.head.bias, -2.0)
    if a.init:
        net.load_state_dict(torch.load(a.init, weights_only=True)["model"])
    ema = copy.deepcopy(net).eval()
    print("params", sum(p.numel() for p in net.parameters()), "slices", len(x), flush=True)
    opt = torch.optim.AdamW(net.parameters(), a.rate, weight_decay=1e-2)
    a.out.mkdir(parents=True, exist_ok=True)
    t0 = time.time()
    run = 0.0
    for step in range(a.steps):
        lr = rate_at(step, a.steps, a.rate)
        for g in opt.param_groups:
            g["lr"] = lr
        amount = 1.0 if a.init else min(1.0, max(0.0, (step / a.steps - 0.2) / 0.35))
        xb, yb, _ = random_batch(x, y, a.batch, CROP, rng, weights=weights, amount=amount, bend_mm=a.bend)
        net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bfloat16):
            z = net(xb.to(memory_format=torch.channels_last))
        z = z.float()
        p = torch.sigmoid(z)
        dice = 1 - 2 * (p * yb).sum() / (p.sum() + yb.sum() + 1)
        loss = F.binary_cross_entropy_with_logits(z, yb) + 0.5 * dice.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        follow(ema, net, step)
        run = 0.98 * run + 0.02 * loss.item() if step else loss.item()
        if (step + 1) % 100 == 0:
            print(step + 1, f"{time.time() - t0:.0f}s {run:.4f}", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == a.steps:
            res = {}
            for c in held:
                for mode in ("both", "t1", "stir"):
                    if mode != "t1" and c.stir is None:
                        continue
                    t = triplet(c, None if mode == "stir" else c.t1)
                    s = triplet(c, None if mode == "t1" else c.stir)
                    if (step + 1) % 1000 and mode != "both" and c.stir is not None:
                        continue
                    with torch.no_grad():
                        xx = torch.from_numpy(np.concatenate([t, s], 1))
                        w, h = xx.shape[2:]
                        xx = torch.cat([xx, place(w, h, xx)], 1)
                        xx = F.pad(xx, (0, -h % 16, 0, -w % 16))
                        q = torch.cat([ema(xx[k : k + 5]) for k in range(0, len(t), 5)])[:, 0]
                    r = c.region
                    q = back(np.moveaxis(q.numpy()[:, :w, :h], 0, 2), r.shape) > 0
                    res[f"{c.name}/{mode}"] = round(float(2 * (q & r).sum() / (q.sum() + r.sum())), 4)
            print(step + 1, f"{time.time() - t0:.0f}s loss {run:.4f} lr {lr:.5f}", json.dumps(res), flush=True)
            state = {"model": ema.state_dict(), "step": step + 1, "fold": a.fold, "scores": res}
            torch.save(state, a.out / f"region_{a.fold}.pt")


if __name__ == "__main__":
    main()
