"""Weights stored as float16 become float32 initializers, and float16 again in the end.

    Conv(x, Cast(W16)) = Conv(x, W32)   with W32 = float32(W16), exactly

Quantizers look for constant weights, not for casts of them. Initializers that no node reads,
which only training uses, are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


def fold_weights(model: onnx.ModelProto) -> frozenset[str]:
    """Replace casts of initializers to float32 by float32 initializers, in place.

    The initializer keeps its name, and the cast's readers read it.

    Args:
        model: an exported model.

    Returns:
        The names of the initializers that were stored as float16.
    """
    from onnx import TensorProto, numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    folded: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            (target,) = (attribute.i for attribute in node.attribute if attribute.name == "to")
            if target == TensorProto.FLOAT:
                folded[node.output[0]] = node.input[0]
                continue
        kept.append(node)
    halves = frozenset(
        name for name in folded.values() if stored[name].data_type == TensorProto.FLOAT16
    )
    for name in set(folded.values()):
        values = numpy_helper.to_array(stored[name]).astype(np.float32)
        stored[name].CopyFrom(numpy_helper.from_array(values, name))
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = folded.get(name, name)
    read = {name for node in kept for name in node.input}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)
    return halves


def unfold_weights(model: onnx.ModelProto, names: frozenset[str]) -> None:
    """Store what is left of the named initializers as float16 again, in place.

    Args:
        model: a model whose float32 weights hold float16 values.
        names: as :func:`fold_weights` returned them.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = {}
    for tensor in model.graph.initializer:
        if tensor.name in names and tensor.data_type == TensorProto.FLOAT:
            name = tensor.name
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, name))
            casts[name] = helper.make_node(
                "Cast", [name], [f"{name}.float32"], name=f"{name}.cast", to=TensorProto.FLOAT
            )
    nodes = list(model.graph.node)
    for node in nodes:
        for index, name in enumerate(node.input):
            if name in casts:
                node.input[index] = f"{name}.float32"
    del model.graph.node[:]
    model.graph.node.extend([*(casts[name] for name in sorted(casts)), *nodes])
