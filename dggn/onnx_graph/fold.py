"""Folds casts of stored weights and `Constant` nodes into plain weights.

    Conv(x, Cast(W16)) = Conv(x, W32)   with W32 = float32(W16), exactly

Passes that follow see weights where weights are: quantizers look for constants, and nothing
converts a weight to float16 that was float16 before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dggn.onnx_graph.values import attributes, inner_names, readers

if TYPE_CHECKING:
    import onnx


def fold_constants(model: onnx.ModelProto) -> frozenset[str]:
    """Fold `Constant` nodes and casts of initializers, and drop unused values, in place.

    A weight keeps its name when its cast is all that reads it, and the cast's readers read it.

    Args:
        model: its nodes in topological order.

    Returns:
        The names of the float32 weights that were stored as float16.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    reading = readers(graph)
    # A caller may override a weight that is an input, too, and may want what is an output.
    fixed = {value.name for value in (*graph.input, *graph.output)}
    inner = inner_names(graph)
    new_names: dict[str, str] = {}
    halves: set[str] = set()
    kept = []
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        values = attributes(node)
        output = node.output[0] if node.output else ""
        if node.op_type == "Constant" and isinstance(values.get("value"), TensorProto):
            tensor = TensorProto()
            tensor.CopyFrom(values["value"])
            tensor.name = output
            stored[output] = tensor
        elif (
            node.op_type == "Cast"
            and node.input[0] in stored
            and fixed.isdisjoint((node.input[0], output))
        ):
            weight = node.input[0]
            is_half = stored[weight].data_type == TensorProto.FLOAT16
            is_alone = len(reading[weight]) == 1 and inner.isdisjoint((weight, output))
            name = weight if is_alone else output
            array = numpy_helper.to_array(stored[weight])
            array = array.astype(helper.tensor_dtype_to_np_dtype(values["to"]))
            stored[name] = numpy_helper.from_array(array, name)
            new_names[output] = name
            if is_half and values["to"] == TensorProto.FLOAT:
                halves.add(name)
        else:
            kept.append(node)
    _replace(model, kept, stored.values())
    drop_unread(model)
    return frozenset(halves)


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
