"""Moves a last convolution below the pixel shuffle before it, to maps a quarter as large.

With S the 2x pixel shuffle (DepthToSpace, mode CRD), which moves values and changes none:

    LeakyRelu(S(x)) = S(LeakyRelu(x))
    Concat(S(x), S(y)) = S(Concat(x, y))
    Conv3x3(S(x), W) = S(Conv3x3(x, W'))

W' has four times the channels on both sides: the output's pixel (a, b) of a 2x2 block reads the
input's pixel (p, q) of the block (i, j) away through W at (2i + p - a, 2j + q - b), or not at all
where that lies outside the 3x3 kernel. Its products are four times as many, three in four with
zero; but they are few beside the rest, and the features are not shuffled, which costs more.

Our models of version 0.1 have such a tail; newer ones end below the last shuffle by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dggn.onnx_graph.fold import drop_unread
from dggn.onnx_graph.values import all_names, attributes, inner_names, producers, unused_name

if TYPE_CHECKING:
    import onnx

BLOCK = 2
MOST_OUTPUTS = 4
"""Largest number of channels of a picture; more are no last convolution."""

POINTWISE = ("LeakyRelu", "Relu")


def lower_tail(model: onnx.ModelProto) -> None:
    """Apply the equations to the last convolution of a graph, if they hold, in place.

    Args:
        model: weights as initializers, nodes in topological order; left alone if it has subgraphs.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if not convolutions or inner_names(graph) or not _is_tail(convolutions[-1], stored):
        return
    tail = convolutions[-1]
    lowered = _below_shuffles(model, tail.input[0])
    if lowered is None:
        return
    taken = all_names(graph)
    place = list(graph.node).index(tail)
    weight = _lowered(numpy_helper.to_array(stored[tail.input[1]]))
    bias = [numpy_helper.to_array(stored[name]).repeat(BLOCK**2) for name in tail.input[2:]]
    names = [unused_name(f"{name}.low", taken) for name in tail.input[1:]]
    graph.initializer.extend(map(numpy_helper.from_array, [weight, *bias], names))
    low = unused_name(f"{tail.output[0]}.low", taken)
    shuffle = helper.make_node(
        "DepthToSpace",
        [low],
        list(tail.output),
        f"{tail.name}.shuffle",
        blocksize=BLOCK,
        mode="CRD",
    )
    value, before = lowered
    tail.input[:] = [value, *names]
    tail.output[:] = [low]
    nodes = list(graph.node)
    nodes[place : place + 1] = [*before, tail, shuffle]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    drop_unread(model)


def _is_tail(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> bool:
    """Return whether a node is a plain 3x3 convolution to a picture."""
    values = attributes(node)
    plain = {"pads": [1] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1}
    return (
        all(name in stored for name in node.input[1:])
        and list(stored[node.input[1]].dims[2:]) == [3, 3]
        and stored[node.input[1]].dims[0] <= MOST_OUTPUTS
        and values.get("auto_pad", b"NOTSET") == b"NOTSET"
        and all(values.get(name, usual) == usual for name, usual in plain.items())
        and "pads" in values
    )


def _below_shuffles(model: onnx.ModelProto, value: str) -> tuple[str, list[onnx.NodeProto]] | None:
    """Return the value whose shuffle is `value`, and the nodes that make it; None if there is none.

    Nodes on the way are copied, for others may read what they made.
    """
    makers, taken = producers(model.graph), all_names(model.graph)
    made: list[onnx.NodeProto] = []

    def below(name: str) -> str | None:
        node = makers.get(name)
        if node is None:
            return None
        if node.op_type == "DepthToSpace":
            values = attributes(node)
            is_plain = values["blocksize"] == BLOCK and values.get("mode") == b"CRD"
            return str(node.input[0]) if is_plain else None
        is_join = node.op_type == "Concat" and attributes(node)["axis"] == 1
        if not is_join and node.op_type not in POINTWISE:
            return None
        inputs = [below(one) for one in node.input]
        if None in inputs:
            return None
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = f"{node.name}.low"
        copy.input[:] = inputs
        copy.output[:] = [unused_name(f"{name}.low", taken)]
        made.append(copy)
        return str(copy.output[0])

    found = below(value)
    return None if found is None else (found, made)


def _lowered(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (O, I, 3, 3) as (4 O, 4 I, 3, 3)."""
    outputs, inputs = weight.shape[:2]
    lowered = np.zeros((outputs, BLOCK, BLOCK, inputs, BLOCK, BLOCK, 3, 3), weight.dtype)
    steps = [
        (a, p, i, 2 * (i - 1) + p - a + 1)
        for a in range(BLOCK)
        for p in range(BLOCK)
        for i in range(3)
        if 0 <= 2 * (i - 1) + p - a + 1 < 3
    ]
    for a, p, i, y in steps:
        for b, q, j, x in steps:
            lowered[:, a, b, :, p, q, i, j] = weight[:, :, y, x]
    return lowered.reshape(4 * outputs, 4 * inputs, 3, 3)
