"""Two knee networks side by side in one file: bones from one, edema and the patella's odds from the other.

    python -m training.knee.fuse BONES.onnx EDEMA.onnx RUN --maps MAPS --steps 31460
    python -m training.knee.fuse --take {bones,edema} FUSED.onnx OUT.onnx

The patella's logit is the second network's odds against background, put onto the first one's background. The bones'
weights are stored in half precision. The second form gives one of the two networks back, to train on from
(training.knee.widen) or to fuse anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import compose, helper, numpy_helper

from training.knee.subjects import split
from training.knee.train import evaluate

PARTS = ("bones", "edema")
IMAGE, LOGITS = "image", "logits"
BACKGROUND, PATELLA, EDEMA, CHANNELS = 0, 3, 5, 6


def mixing() -> np.ndarray:
    """(6, 12, 1, 1): the answer's logits from the first network's six and the second one's six."""
    mix = np.zeros((CHANNELS, 2 * CHANNELS), dtype=np.float32)
    for channel in range(EDEMA):
        mix[channel, channel] = channel != PATELLA
    mix[PATELLA, [BACKGROUND, CHANNELS + PATELLA, CHANNELS + BACKGROUND]] = (1, 1, -1)
    mix[EDEMA, CHANNELS + EDEMA] = 1
    return mix[:, :, None, None]


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its weights stored in half precision and turned back into single precision when it is loaded.

    What has no more values than the answer has channels (the last bias) stays as it is.
    """
    graph, casts, kept = model.graph, [], []
    weights = {
        t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) > CHANNELS
    }
    if not weights:
        return model  # as taken out of a fused file
    for tensor in graph.initializer:
        if tensor.name in weights:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
            casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=onnx.TensorProto.FLOAT))
            kept.append(half)
        else:
            kept.append(tensor)
    small = helper.make_graph([*casts, *graph.node], graph.name, list(graph.input), list(graph.output), kept)
    return helper.make_model(small, opset_imports=model.opset_import, ir_version=model.ir_version)


def fuse(bones: onnx.ModelProto, edema: onnx.ModelProto) -> onnx.ModelProto:
    """One model with both networks.

    Args:
        bones, edema: ``image`` (n, 1, h, w) in, ``logits`` (n, 6, h, w) out.

    Raises:
        onnx.checker.ValidationError: the two do not fit together.
    """
    parts = [compose.add_prefix(model, f"{name}/") for name, model in zip(PARTS, (bones, edema), strict=True)]
    graph = helper.make_graph([], "knee", list(bones.graph.input), list(bones.graph.output))
    for part in parts:
        own = part.graph.input[0].name
        for node in part.graph.node:
            node.input[:] = [IMAGE if name == own else name for name in node.input]
        graph.node.extend(part.graph.node)
        graph.initializer.extend(part.graph.initializer)
    graph.initializer.append(numpy_helper.from_array(mixing(), "mixing"))
    answers = [part.graph.output[0].name for part in parts]
    graph.node.append(helper.make_node("Concat", answers, ["both"], axis=1))
    graph.node.append(helper.make_node("Conv", ["both", "mixing"], [LOGITS]))
    model = helper.make_model(graph, opset_imports=bones.opset_import, ir_version=bones.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def take(fused: onnx.ModelProto, part: str) -> onnx.ModelProto:
    """One of the two networks of a fused model, as it was put in."""
    prefix = f"{part}/"
    nodes = [node for node in fused.graph.node if node.output[0].startswith(prefix)]
    tensors = [tensor for tensor in fused.graph.initializer if tensor.name.startswith(prefix)]
    for node in nodes:
        node.name = node.name.removeprefix(prefix)
        node.input[:] = [name.removeprefix(prefix) for name in node.input]
        node.output[:] = [name.removeprefix(prefix) for name in node.output]
    for tensor in tensors:
        tensor.name = tensor.name.removeprefix(prefix)
    graph = helper.make_graph(nodes, "knee", list(fused.graph.input), list(fused.graph.output), tensors)
    model = helper.make_model(graph, opset_imports=fused.opset_import, ir_version=fused.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


class Written(torch.nn.Module):
    """A network as its file answers, for ``training.knee.train.evaluate``."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.session.run(None, {IMAGE: image.numpy()})[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", choices=PARTS)
    parser.add_argument("--maps", type=Path, help="baked maps: the fused network is judged on the held-out ones")
    parser.add_argument("--steps", type=int, default=0, help="of training that went into both, for the card")
    parser.add_argument("models", type=Path, nargs="+")
    args = parser.parse_args()
    *sources, out = args.models
    loaded = [onnx.load(path) for path in sources]
    if len(loaded) != (1 if args.take else len(PARTS)):
        parser.error("two networks and a place to write, or with --take one fused file and a file to write")
    if args.take:
        onnx.save(take(loaded[0], args.take), out)
        return
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(fuse(halved(loaded[0]), loaded[1]), out / "knee.onnx")
    if args.maps:
        record = {"step": args.steps, **evaluate(Written(out / "knee.onnx"), args.maps, split(args.maps)[1])}
        (out / "log.jsonl").write_text(json.dumps(record) + "\n")
        print(record)


if __name__ == "__main__":
    main()
