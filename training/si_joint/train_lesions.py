"""All folds of the lesion trees. `python -m training.si_joint.train_lesions DATA LABELS OUT` (features are cached)"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import lightgbm as lgb
import numpy as np

from marrowscope.lesion.si_features import COLUMNS, Marrow, features
from training.si_joint.data import FOLDS, LESION_CASES, READERS, load_case
from training.si_joint.simulate_lesions import simulate
from training.si_joint.trees_onnx import to_onnx

SIMULATIONS = 3
ROWS = 70_000
FAT = [COLUMNS.index(c) for c in ("t1", "t2", "t4", "tmin", "tcontrast", "st", "tgrad")]


def table(root: Path, labels: Path, name: str) -> dict[str, np.ndarray]:
    c = load_case(root, name)
    m = Marrow(c.stir, c.t1, c.region, np.load(labels / f"{name}.npy"))
    truth = np.mean([c.lesions[r] for r in READERS], axis=0).astype(np.float32)
    x, at = features(m)
    out = {"x": x, "at": at, "y": truth.ravel()[at]}
    rng = np.random.default_rng(int(name))
    for v in range(SIMULATIONS):
        changed, extra = simulate(m, rng)
        xs, ats = features(changed)
        ys = np.maximum(truth, extra).ravel()[ats]
        keep = np.where((xs[:, 1] > 1.15) | (ys > 0), 1.0, 0.15)
        pick = rng.choice(len(ys), min(ROWS, len(ys)), replace=False, p=keep / keep.sum())
        out |= {f"sx{v}": xs[pick], f"sy{v}": ys[pick], f"sw{v}": (1 / keep[pick]).astype(np.float32)}
    return out


def fit(tables: list[dict[str, np.ndarray]], seed: int) -> lgb.Booster:
    rng = np.random.default_rng(seed)
    xs, ys, ws = [], [], []
    for t in tables:
        s, y = t["x"][:, 1], t["y"]
        p = np.where(y > 0, 1, np.where(s > 1.15, 0.6, 0.12))
        if y.sum() > 50_000:
            p = np.where(y > 0, 0.3, p)
        take = rng.random(len(y)) < p
        for weight, blind in ((0.75, False), (0.25, True)):
            x = t["x"][take].copy()
            if blind:
                x[:, FAT] = np.nan
            xs.append(x)
            ys.append(y[take])
            ws.append(weight / p[take])
        if "px" in t:  # the same exam inside the bones that the networks draw
            keep = np.where(t["py"] > 0, 1, np.where(t["px"][:, 1] > 1.15, 0.6, 0.12))
            keep = np.where(t["py"] > 0, 0.3, keep) if y.sum() > 50_000 else keep
            take = rng.random(len(keep)) < keep
            xs.append(t["px"][take])
            ys.append(t["py"][take])
            ws.append(1 / keep[take])
        for v in range(SIMULATIONS):
            x = t[f"sx{v}"].copy()
            if v == 0:
                x[:, FAT] = np.nan
            xs.append(x)
            ys.append(t[f"sy{v}"])
            ws.append(t[f"sw{v}"] / SIMULATIONS)
    settings = {
        "objective": "cross_entropy", "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 200,
        "feature_fraction": 0.35, "bagging_fraction": 0.6, "bagging_freq": 1, "lambda_l2": 10,
        "max_bin": 127, "verbose": -1, "num_threads": 1, "seed": seed, "deterministic": True,
    }  # fmt: skip
    data = lgb.Dataset(np.concatenate(xs), np.concatenate(ys), weight=np.concatenate(ws))
    return lgb.train(settings, data, 120)


def main() -> None:
    root, labels, out = (Path(a) for a in sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    tables = {}
    for name in LESION_CASES:
        cache = out / f"table_{name}.npz"
        if not cache.exists():
            np.savez(cache, **table(root, labels, name))
        tables[name] = dict(np.load(cache))
        if (predicted := out / f"predicted_{name}.npz").exists():
            tables[name] |= {f"p{k}": v for k, v in np.load(predicted).items()}
        print(name, tables[name]["x"].shape, "lesion kept", float(tables[name]["y"].sum()), flush=True)
    chosen = [int(f) for f in sys.argv[4:]] or list(range(len(FOLDS)))
    for fold in chosen:
        held = FOLDS[fold]
        start = time.time()
        booster = fit([t for n, t in tables.items() if n not in held], fold)
        (out / f"lesion_{fold}.onnx").write_bytes(to_onnx(booster, len(COLUMNS)))
        case = next(n for n in held if n in LESION_CASES)
        p = booster.predict(tables[case]["x"], num_threads=1)
        np.savez(out / f"p_{case}.npz", p=p.astype(np.float32), at=tables[case]["at"])
        y = tables[case]["y"]
        d = {t: round(float(2 * np.minimum(p > t, y).sum() / ((p > t).sum() + y.sum())), 3) for t in (0.2, 0.3, 0.4)}
        print(fold, case, json.dumps(d), f"{time.time() - start:.0f}s", flush=True)


if __name__ == "__main__":
    main()
