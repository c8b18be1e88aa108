"""Casts of stored weights, and constants written as nodes, become plain weights.

    Conv(x, Cast(W16)) = Conv(x, W32)   with W32 = float32(W16), exactly

The passes that follow then see weights where weights are, and nothing converts a weight to float16
that was float16 before. Weights that no node reads, which only training uses, are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dggn.onnx_graph.values import attributes

if TYPE_CHECKING:
    import onnx


def fold_constants(model: onnx.ModelProto) -> None:
    """Evaluate `Constant` nodes and casts of initializers, in place."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    given = {value.name for value in graph.input}
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        values = attributes(node)
        if node.op_type == "Constant" and isinstance(values.get("value"), TensorProto):
            tensor = TensorProto()
            tensor.CopyFrom(values["value"])
            tensor.name = node.output[0]
            stored[tensor.name] = tensor
        elif (
            node.op_type == "Cast"
            and node.input[0] in stored
            and node.input[0] not in given
            and node.output[0] not in outputs
        ):
            array = numpy_helper.to_array(stored[node.input[0]])
            dtype = helper.tensor_dtype_to_np_dtype(values["to"])
            stored[node.output[0]] = numpy_helper.from_array(array.astype(dtype), node.output[0])
        else:
            kept.append(node)
    _replace(model, kept, stored)


def drop_unread(model: onnx.ModelProto) -> None:
    """Remove the weights that no node reads, in place."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    _replace(model, list(model.graph.node), stored)


def _replace(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], stored: dict[str, onnx.TensorProto]
) -> None:
    graph = model.graph
    read = {name for node in nodes for name in node.input}
    read |= {value.name for value in graph.output}
    tensors = [tensor for name, tensor in stored.items() if name in read]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    # Old files list weights among the inputs, too.
    inputs = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]
