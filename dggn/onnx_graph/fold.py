"""Folds casts of weights, what unpacks weights of 8 and 4 bits, and `Constant` nodes.

    Conv(x, Cast(W16)) = Conv(x, W32)       with W32 = float32(W16), exactly
    Conv(x, unpack(W8, s)) = Conv(x, W32)   with W32 = float32(W8) * s, and likewise 4 bits

Passes that follow see weights where weights are: quantizers look for constants, and nothing
converts a weight to float16 that was float16 before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.values import attributes, inner_names, producers, readers
from dggn.onnx_graph.weight_storage import (
    Storage,
    float32_name,
    read_weights,
    reading_nodes,
    scales_of,
)

if TYPE_CHECKING:
    import onnx


def fold_constants(model: onnx.ModelProto) -> dict[str, Storage]:
    """Unpack weights, fold their casts and `Constant` nodes, and drop unused values, in place.

    A weight keeps its name when its cast is all that reads it, and the cast's readers read it.

    Args:
        model: its nodes in topological order.

    Returns:
        The storage of float32 weights that the file did not store as such, by name.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    unpacked = _unpack(model)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    reading = readers(graph)
    # A caller may override a weight that is an input, too, and may want what is an output.
    fixed = {value.name for value in (*graph.input, *graph.output)}
    inner = inner_names(graph)
    new_names: dict[str, str] = {}
    storages: dict[str, Storage] = {}
    kept = []
    for node in graph.node:
        read = list(node.input)
        node.input[:] = [new_names.get(name, name) for name in node.input]
        values = attributes(node)
        output = node.output[0] if node.output else ""
        if node.op_type == "Constant" and isinstance(values.get("value"), TensorProto):
            tensor = TensorProto()
            tensor.CopyFrom(values["value"])
            tensor.name = output
            stored[output] = tensor
            continue
        is_cast = node.op_type == "Cast" and node.input[0] in stored
        if not is_cast or not fixed.isdisjoint((*node.input, output)):
            kept.append(node)
            continue
        weight = node.input[0]
        is_alone = len(reading[read[0]]) == 1 and inner.isdisjoint((read[0], output))
        name = weight if is_alone else output
        if (stored[weight].data_type, values["to"]) == (TensorProto.FLOAT16, TensorProto.FLOAT):
            storages[name] = "float16"
        array = numpy_helper.to_array(stored[weight])
        array = array.astype(helper.tensor_dtype_to_np_dtype(values["to"]))
        stored[name] = numpy_helper.from_array(array, name)
        new_names[output] = name
    _replace(model, kept, stored.values())
    drop_unread(model)
    return storages | unpacked


def _unpack(model: onnx.ModelProto) -> dict[str, Storage]:
    """Unpack weights of 8 and 4 bits, in place; return their storage by name.

    Their nodes are compared with those that this package writes: weights that are used in another
    way, or may be overridden by a caller, stay as they are.
    """
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    producing, reading = producers(graph), readers(graph)
    fixed = {value.name for value in (*graph.input, *graph.output)} | inner_names(graph)
    unpacked: dict[str, Storage] = {}
    new_names: dict[str, str] = {}
    for name in scales_of(graph):
        storage: Storage = "int8" if stored[name].data_type == TensorProto.INT8 else "int4"
        nodes = reading_nodes(name, storage)
        result = float32_name(name)
        inner = {read for node in nodes for read in (*node.input, *node.output)} - {result}
        outside = [one for read in inner for one in reading.get(read, []) if one not in nodes]
        as_written = all(producing.get(node.output[0]) == node for node in nodes)
        if not as_written or outside or not fixed.isdisjoint((result, *inner)):
            continue
        try:
            array = read_weights(graph, [name])[name].astype(np.float32)
        except ValueError:  # its scales are not those that this package writes
            continue
        stored[name].CopyFrom(numpy_helper.from_array(array, name))
        new_names[result] = name
        unpacked[name] = storage
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
    if unpacked:
        drop_unread(model)
    return unpacked


def drop_unread(model: onnx.ModelProto) -> None:
    """Remove nodes and weights that no output depends on, in place."""
    graph = model.graph
    read = {value.name for value in graph.output} | inner_names(graph)
    kept = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    stored = [tensor for tensor in graph.initializer if tensor.name in read]
    _replace(model, list(reversed(kept)), stored)


def _replace(
    model: onnx.ModelProto,
    nodes: Iterable[onnx.NodeProto],
    initializers: Iterable[onnx.TensorProto],
) -> None:
    graph = model.graph
    weights = list(initializers)
    names = {tensor.name for tensor in (*graph.initializer, *weights)}
    # Files of before IR version 4 list weights among the inputs, too.
    inputs = [value for value in graph.input if value.name not in names]
    nodes = list(nodes)
    del graph.node[:], graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    graph.input.extend(inputs)
