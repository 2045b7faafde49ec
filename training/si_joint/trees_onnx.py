"""LightGBM trees as one ONNX TreeEnsembleRegressor with a logistic end: no runtime beside onnxruntime."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper


def to_onnx(booster: Any, columns: int) -> bytes:
    """Rows (n, columns) float32, NaN = missing, to probabilities (n, 1)."""
    a: dict[str, list[Any]] = {k: [] for k in ("tree", "node", "feature", "mode", "value", "yes", "no", "missing")}
    leaves: dict[str, list[Any]] = {k: [] for k in ("tree", "node", "weight")}
    for number, tree in enumerate(booster.dump_model()["tree_info"]):
        counter = [0]

        def walk(node: dict[str, Any], number: int = number, counter: list[int] = counter) -> int:
            mine = counter[0]
            counter[0] += 1
            row = len(a["tree"])
            split = "split_feature" in node
            for key, value in zip(
                a,
                (
                    number,
                    mine,
                    node["split_feature"] if split else 0,
                    "BRANCH_LEQ" if split else "LEAF",
                    float(node["threshold"]) if split else 0.0,
                    0,
                    0,
                    int(node["default_left"]) if split else 0,
                ),
                strict=True,
            ):
                a[key].append(value)
            if split:
                a["yes"][row] = walk(node["left_child"])
                a["no"][row] = walk(node["right_child"])
            else:
                for key, value in zip(leaves, (number, mine, float(node["leaf_value"])), strict=True):
                    leaves[key].append(value)
            return mine

        walk(tree["tree_structure"])
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=a["tree"],
        nodes_nodeids=a["node"],
        nodes_featureids=a["feature"],
        nodes_modes=a["mode"],
        nodes_values=a["value"],
        nodes_truenodeids=a["yes"],
        nodes_falsenodeids=a["no"],
        nodes_missing_value_tracks_true=a["missing"],
        target_treeids=leaves["tree"],
        target_nodeids=leaves["node"],
        target_ids=[0] * len(leaves["tree"]),
        target_weights=leaves["weight"],
    )
    graph = helper.make_graph(
        [trees, helper.make_node("Sigmoid", ["score"], ["p"])],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, columns])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
