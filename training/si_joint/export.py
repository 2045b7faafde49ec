"""Write the trained folds as ONNX with their cards. `python -m training.si_joint.export DATA WORK MODELS [NAME ...]`

WORK holds region_N.pt, bones_N.pt, lesion_N.onnx, scores.json (cross-validated figures) and settings.json.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from marrowscope.lesion.si_features import COLUMNS
from training.si_joint.data import FOLDS, LESION_CASES, REGION_CASES, load_case, sha256
from training.si_joint.nets import BlockUNet
from training.si_joint.train_bones import WIDTHS

VERSION = "4"
UNLABELLED = "unlabelled"
"""Folder of T1 exams that nobody drew: the region folds learn them as their own earlier version draws them."""

CHANNELS = [f"{s}[{o}]" for s in ("t1", "fluid") for o in ("-3.3 mm", "0", "+3.3 mm")] + ["place left", "place head"]
SOURCE = {
    "source": "Hepburn et al., PLoS ONE 2023, 0284508; repository c-hepburn/Bone_MRI",
    "licence": "none stated by the source",
    "labels": "region and four lesion readings by its authors; bone names by marrowscope (split_labels.py)",
}
UNDRAWN = {
    "source": SOURCE["source"],
    "licence": SOURCE["licence"],
    "labels": "five T1 exams without labels; drawn by the same fold's earlier version, a quarter of every batch",
}


def network(path: Path, net: BlockUNet) -> bytes:
    net.load_state_dict(torch.load(path, weights_only=True)["model"])
    net.eval()
    axes = {"x": {0: "n", 2: "w", 3: "h"}, "y": {0: "n", 2: "w", 3: "h"}}
    target = path.with_suffix(".onnx")
    x = torch.zeros(1, 8, 64, 64)
    torch.onnx.export(
        net, (x,), target, input_names=["x"], output_names=["y"], dynamic_axes=axes, opset_version=17, dynamo=False
    )
    return halved(onnx.load(target)).SerializeToString()


def halved(model: Any) -> Any:
    """Weights stored in half precision and widened when the session is made: half the bytes, same speed."""
    for init in list(model.graph.initializer):
        if init.data_type != TensorProto.FLOAT or np.prod(init.dims) < 64:
            continue
        small = numpy_helper.from_array(numpy_helper.to_array(init).astype(np.float16), init.name + "_half")
        model.graph.initializer.remove(init)
        model.graph.initializer.append(small)
        node = helper.make_node("Cast", [small.name], [init.name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, node)
    onnx.checker.check_model(model)
    return model


def contract(**changes: Any) -> dict[str, Any]:
    base = {
        "channels": CHANNELS, "first": "L", "second": "S", "pixel_mm": 0.9, "multiple_of": 16, "context_mm": 3.3,
        "planes": ["coronal", "oblique"], "spacing_mm": [0.3, 1.4], "slice_spacing_mm": [2.0, 6.5],
    }  # fmt: skip
    return base | changes


def main() -> None:
    data, work, models = (Path(a) for a in sys.argv[1:4])
    scores = json.loads((work / "scores.json").read_text())
    settings = json.loads((work / "settings.json").read_text())
    images = {n: load_case(data, n).hashes for n in REGION_CASES}
    lesion_images = {n: images[n] for n in LESION_CASES}
    undrawn = {p.name.split("_")[0]: {"t1.nii.gz": sha256(p)} for p in sorted((data / UNLABELLED).glob("*_t1.nii.gz"))}
    kinds = {
        "si_region": ("marrow of sacrum, ilia and lumbar vertebrae, joint space included", contract(), ["region logit"],
                      images | undrawn, lambda f: network(work / f"region_{f}.pt", BlockUNet(8, 1))),
        "si_bones": ("which bone a voxel of the region belongs to", contract(pixel_mm=1.8, multiple_of=8),
                     ["sacrum", "ilium", "lumbar_body"], images,
                     lambda f: network(work / f"bones_{f}.pt", BlockUNet(8, 3, WIDTHS))),
        "si_lesion": ("chance that readers draw edema at a voxel of the region",
                      contract(channels=list(COLUMNS), pixel_mm=0.6, multiple_of=1), ["probability"], lesion_images,
                      lambda f: (work / f"lesion_{f}.onnx").read_bytes()),
    }  # fmt: skip
    for name in sys.argv[4:] or kinds:
        task, inputs, outputs, shown, make = kinds[name]
        folder = models / name
        folder.mkdir(parents=True, exist_ok=True)
        weights = []
        for fold, held in enumerate(FOLDS):
            content = make(fold)
            (folder / f"fold_{fold}.onnx").write_bytes(content)
            weights.append({
                "file": f"fold_{fold}.onnx", "sha256": hashlib.sha256(content).hexdigest(), "fold": fold,
                "held_out": [c for c in held if c in shown],
            })  # fmt: skip
        card = {
            "name": name, "version": VERSION, "site": "si_joint", "task": task, "contract": inputs,
            "outputs": outputs, "weights": weights, "images": shown,
            "data": [SOURCE, UNDRAWN] if name == "si_region" else [SOURCE],
            "results": scores[name], "failures": scores["failures"][name],
        }  # fmt: skip
        if name in settings:
            card["settings"] = settings[name]
        text = yaml.safe_dump(card, sort_keys=False, width=118, allow_unicode=True)
        (folder / "card.yaml").write_text(text, encoding="utf-8")
        print(name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "kB")


if __name__ == "__main__":
    main()
