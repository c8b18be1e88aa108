"""Byte input and output: a quarter of the bus traffic, and no conversion on the host.

    bytes(x) = Cast(Transpose(Round(Clip(255 f(Transpose(Cast(x)) / 255), 0, 255))))

TensorRT takes 8-bit tensors at the very ends of a network only, hence the casts come first and
last. Its cast truncates and is undefined outside [0, 256), hence clip and round before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dggn.onnx_graph.values import all_names, unused_name

if TYPE_CHECKING:
    import onnx

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def wrap_in_bytes(model: onnx.ModelProto) -> None:
    """Change input and output from NCHW float32 in [0, 1] to NHWC uint8, in place; names stay.

    Args:
        model: one input and one output, both float32 NCHW.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    (source,), (target,) = graph.input, graph.output
    taken = all_names(graph)
    inner_in, inner_out = (unused_name(f"{value.name}.nchw", taken) for value in (source, target))
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in (source.name, target.name):
                node.input[index] = inner_in if name == source.name else inner_out
        for index, name in enumerate(node.output):
            if name == target.name:
                node.output[index] = inner_out
    constants = {}
    for label, value in (("share", 1 / 255), ("levels", 255.0), ("least", 0.0), ("most", 255.0)):
        constants[label] = unused_name(f"bytes.{label}", taken)
        graph.initializer.append(
            numpy_helper.from_array(np.array(value, np.float32), constants[label])
        )

    def chain(first: str, last: str, steps: list[tuple[str, list[str], dict[str, Any]]]) -> None:
        before = first
        for number, (kind, more, options) in enumerate(steps):
            after = (
                last if number == len(steps) - 1 else unused_name(f"bytes.{kind.lower()}", taken)
            )
            node = helper.make_node(kind, [before, *more], [after], name=after, **options)
            nodes.append(node)
            before = after

    nodes: list[onnx.NodeProto] = []
    chain(
        source.name,
        inner_in,
        [
            ("Cast", [], {"to": TensorProto.FLOAT}),
            ("Transpose", [], {"perm": TO_NCHW}),
            ("Mul", [constants["share"]], {}),
        ],
    )
    nodes.extend(graph.node)
    chain(
        inner_out,
        target.name,
        [
            ("Mul", [constants["levels"]], {}),
            ("Clip", [constants["least"], constants["most"]], {}),
            ("Round", [], {}),
            ("Transpose", [], {"perm": TO_NHWC}),
            ("Cast", [], {"to": TensorProto.UINT8}),
        ],
    )
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    for value in (source, target):
        tensor = value.type.tensor_type
        sizes = [entry.dim_param or entry.dim_value for entry in tensor.shape.dim]
        ordered = [sizes[axis] for axis in TO_NHWC]
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, ordered))
