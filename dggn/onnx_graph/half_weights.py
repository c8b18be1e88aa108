"""Weights stored as float16.

    Conv(x, W) = Conv(x, Cast(float16(W)))   up to the rounding of W

ONNX Runtime folds the casts when it loads the model, so nothing is slower.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


def store_in_half(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Replace the named float32 initializers with float16 ones and casts, in place.

    The float16 initializer keeps the name; its readers read the cast. What :func:`fold_constants`
    made float32 becomes float16 again without loss.

    Args:
        model: names that it does not have, or not as float32, are passed over.
        names: the initializers.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    casts = {}
    for tensor in graph.initializer:
        if tensor.name in names and tensor.data_type == TensorProto.FLOAT:
            name = tensor.name
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, name))
            if name in read:
                casts[name] = helper.make_node(
                    "Cast", [name], [f"{name}.float32"], name=f"{name}.cast", to=TensorProto.FLOAT
                )
    for node in graph.node:
        node.input[:] = [f"{name}.float32" if name in casts else name for name in node.input]
    nodes = [*(casts[name] for name in sorted(casts)), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
