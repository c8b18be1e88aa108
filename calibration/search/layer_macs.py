"""Counts the multiply-accumulates (MACs) of every layer, which INT8 speeds up."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from calibration.search.place import Layer
from dggn.onnx_graph.evaluate import evaluate
from runtime.model.info import ModelInfo

if TYPE_CHECKING:
    import onnx


def layer_macs(
    model: onnx.ModelProto, layers: Collection[Layer], info: ModelInfo
) -> dict[str, int]:
    """Count the MACs of each layer on the smallest supported picture.

    Args:
        model: float32 weights as initializers; not changed.
        layers: convolutions of that model.
        info: the model's facts.

    Raises:
        BackendError: ONNX Runtime failed on the model.
    """
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    outputs = [nodes[name].output[0] for layer in layers for name in layer.nodes]
    side = info.size_multiple_px
    picture = (
        np.zeros((1, side, side, 3), np.uint8)
        if info.sample_type == "uint8"
        else np.zeros((1, 3, side, side), np.float32)
    )
    (values,) = evaluate(model, outputs, [picture])
    sizes = {name: value.size for name, value in zip(outputs, values, strict=True)}
    return {
        layer.name: sum(
            sizes[nodes[name].output[0]] * math.prod(weights[nodes[name].input[1]][1:])
            for name in layer.nodes
        )
        for layer in layers
    }
