"""The last convolution moves below the last pixel shuffle, where processors are quicker.

With S the 2x pixel shuffle (DepthToSpace, mode CRD), which moves values and changes none:

    LeakyRelu(S(x)) = S(LeakyRelu(x))
    Concat(S(x), S(y)) = S(Concat(x, y))
    Conv3x3(S(x), W) = S(Conv3x3(x, W'))

W' has four times the channels on both sides: the output's pixel (a, b) of a 2x2 block reads the
input's pixel (p, q) of the block (i, j) away through W at (2i + p - a, 2j + q - b), or not at
all when that lies outside the 3x3 kernel. The products are four times as many, three in four of
them with zero; but a convolution with three output channels leaves most of a vector unit idle,
and the large maps need not be shuffled, joined and reordered.

Zero channels fill the outputs up to sixteen, and are cut off after the shuffle: ONNX Runtime's
8-bit kernels were measured six times as fast with sixteen output channels as with twelve.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

TAIL_WEIGHT = "image_tail.weight"
TAIL_BIAS = "image_tail.bias"
BLOCK = 2
FULL_CHANNELS = 16
"""What 8-bit kernels take at once."""


def lower_tail(model: onnx.ModelProto) -> bool:
    """Apply the equations above to the last convolution of a generator, in place.

    Args:
        model: an exported model with float32 initializers.

    Returns:
        Whether the graph had the expected form and was changed.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    tail = next((node for node in graph.node if TAIL_WEIGHT in node.input), None)
    if tail is None or stored[TAIL_WEIGHT].dims[2:] != [3, 3]:
        return False
    shuffles = _shuffles_before(producers, tail)
    if shuffles is None:
        return False
    for reader, shuffle in shuffles:
        for index, name in enumerate(reader.input):
            if name == shuffle.output[0]:
                reader.input[index] = shuffle.input[0]
    readers = Counter(name for node in graph.node for name in node.input)
    for _, shuffle in shuffles:
        if not readers[shuffle.output[0]]:
            graph.node.remove(shuffle)
    weight = _lowered(numpy_helper.to_array(stored[TAIL_WEIGHT]))
    bias = np.repeat(numpy_helper.to_array(stored[TAIL_BIAS]), BLOCK**2)
    channels = len(bias) // BLOCK**2
    for values, name in ((weight, TAIL_WEIGHT), (bias, TAIL_BIAS)):
        missing = -len(values) % FULL_CHANNELS
        padding = [(0, missing)] + [(0, 0)] * (values.ndim - 1)
        stored[name].CopyFrom(numpy_helper.from_array(np.pad(values, padding), name))
    output = tail.output[0]
    tail.output[0] = f"{output}.low"
    shuffle = helper.make_node(
        "DepthToSpace",
        [tail.output[0]],
        [f"{output}.padded"],
        name=f"{tail.name}.shuffle",
        blocksize=BLOCK,
        mode="CRD",
    )
    bounds = {"from": 0, "to": channels, "axis": 1}
    for label, value in bounds.items():
        array = np.array([value], np.int64)
        graph.initializer.append(numpy_helper.from_array(array, f"{output}.{label}"))
    cut = helper.make_node(
        "Slice",
        [shuffle.output[0], *(f"{output}.{label}" for label in bounds)],
        [output],
        name=f"{tail.name}.cut",
    )
    place = list(graph.node).index(tail) + 1
    graph.node.insert(place, cut)
    graph.node.insert(place, shuffle)
    return True


def _shuffles_before(
    producers: dict[str, onnx.NodeProto], tail: onnx.NodeProto
) -> list[tuple[onnx.NodeProto, onnx.NodeProto]] | None:
    """The shuffles that all the tail's input comes from, each after the node that reads it."""
    joined = producers.get(tail.input[0])
    if joined is None:
        return None
    reader = joined if joined.op_type == "Concat" else tail
    found = []
    for source in joined.input if reader is joined else tail.input[:1]:
        node, source_reader = producers.get(source), reader
        if node is not None and node.op_type == "LeakyRelu":
            source_reader, node = node, producers.get(node.input[0])
        if node is None or node.op_type != "DepthToSpace" or not _is_plain(node):
            return None
        found.append((source_reader, node))
    return found


def _is_plain(shuffle: onnx.NodeProto) -> bool:
    values = {attribute.name: attribute for attribute in shuffle.attribute}
    return bool(values["blocksize"].i == BLOCK) and bool(values["mode"].s == b"CRD")


def _lowered(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """(O, I, 3, 3) to (4 O, 4 I, 3, 3)."""
    outputs, inputs = weight.shape[:2]
    lowered = np.zeros((outputs, BLOCK, BLOCK, inputs, BLOCK, BLOCK, 3, 3), np.float32)
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
