"""Take up training again from an exported ONNX file: batch norm was folded into the convolutions and is laid out anew.

    state = unfold(path, net, batch)

The network's answer stays the same (checked): each norm gets the mean and spread that ``batch`` shows at its place.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

TOLERANCE = 1e-3
"""Largest difference of logits allowed between the file's weights and the unfolded network."""


def unfold(path: Path, net: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """State of ``net`` with the weights of the file.

    Args:
        path: ONNX file of the same architecture. net: changed in place. batch: real inputs, first axis = slices.

    Raises:
        ValueError: the file holds another architecture, or the answers differ.
    """
    model = onnx.load(path)
    held = {i.name: numpy_helper.to_array(i).astype(np.float32) for i in model.graph.initializer}
    widened = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    folded = [n.input[1:3] for n in model.graph.node if n.op_type == "Conv"]
    net.eval()
    order = convolutions(net, batch)
    if len(order) != len(folded):
        raise ValueError(f"{len(folded)} convolutions in {path.name}; expected {len(order)}")
    norms = {
        a: b
        for part in net.modules()
        if isinstance(part, nn.Sequential)
        for a, b in pairwise(part)
        if isinstance(b, nn.BatchNorm2d)
    }
    with torch.no_grad():
        for conv, names in zip(order, folded, strict=True):
            weight, bias = (torch.from_numpy(held[widened.get(n, n)].copy()) for n in names)
            conv.weight.copy_(weight)
            if conv in norms:
                still(norms[conv], bias)
            else:
                conv.bias.copy_(bias)
        before = net(batch)
        for conv, norm in norms.items():
            spread(conv, norm, net, batch)
        if float((net(batch) - before).abs().max()) > TOLERANCE:
            raise ValueError(f"{path.name} answers differently once unfolded")
    return net.state_dict()


@torch.no_grad()
def convolutions(net: nn.Module, batch: torch.Tensor) -> list[nn.Conv2d]:
    """The convolutions in the order in which they run, which is the order in the file."""
    order: list[nn.Conv2d] = []
    hooks = [
        m.register_forward_hook(lambda m, _i, _o: order.append(m)) for m in net.modules() if isinstance(m, nn.Conv2d)
    ]
    net(batch[:1])
    for hook in hooks:
        hook.remove()
    return order


def still(norm: nn.BatchNorm2d, bias: torch.Tensor) -> None:
    """A norm that only adds the folded bias."""
    norm.weight.fill_(1)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def spread(conv: nn.Conv2d, norm: nn.BatchNorm2d, net: nn.Module, batch: torch.Tensor) -> None:
    """Give the norm the statistics seen before it, and a scale and shift that undo them."""
    seen: list[torch.Tensor] = []
    hook = conv.register_forward_hook(lambda _m, _i, out: seen.append(out))
    net(batch)
    hook.remove()
    mean, variance = seen[0].mean((0, 2, 3)), seen[0].var((0, 2, 3), unbiased=False)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.add_(mean)
