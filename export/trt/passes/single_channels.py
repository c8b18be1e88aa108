"""Writes convolutions of a few single channels as plain ones, with zeros between the channels.

The gradient operator is such a convolution in the shipped files. TensorRT 11 has no float16 kernels
for groups; a plain convolution of three channels computes the same numbers and costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.fold import drop_unread
from dggn.onnx_graph.values import all_names, attributes, unused_name

if TYPE_CHECKING:
    import onnx

CHANNELS_MOST = 4
"""Maximum number of channels: a picture's. The zeros of more would cost time."""


def join_single_channels(model: onnx.ModelProto) -> None:
    """Rewrite such convolutions in place, if their weights are stored."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = all_names(model.graph)
    plain: dict[str, str] = {}
    for node in model.graph.node:
        group = _channels(node, stored)
        if not group:
            continue
        name = node.input[1]
        if name not in plain:
            kernels = numpy_helper.to_array(stored[name])
            weight = np.zeros((group, group, *kernels.shape[2:]), kernels.dtype)
            weight[range(group), range(group)] = kernels[:, 0]
            plain[name] = unused_name(f"{name}.plain", taken)
            model.graph.initializer.append(numpy_helper.from_array(weight, plain[name]))
        node.input[1] = plain[name]
        next(entry for entry in node.attribute if entry.name == "group").i = 1
    drop_unread(model)


def _channels(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> int:
    """Return the number of single channels that a node convolves; 0 if it is none of these."""
    if node.op_type != "Conv" or node.input[1] not in stored:
        return 0
    group = int(attributes(node).get("group", 1))
    is_single = list(stored[node.input[1]].dims[:2]) == [group, 1]
    return group if is_single and 1 < group <= CHANNELS_MOST else 0
