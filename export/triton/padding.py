"""Padding inside a graph, so that it takes pictures of every height and width.

    padded(x) = crop(f(pad(x)))

The runtime pads in the same way: at the bottom and right, by repeating the last row and column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dggn.onnx_graph.values import all_names, unused_name

if TYPE_CHECKING:
    import onnx


def pad_inside(model: onnx.ModelProto, *, multiple: int, scale: int) -> None:
    """Let a graph take every height and width, in place; names stay.

    Args:
        model: one input and one output, both NCHW.
        multiple: the graph takes heights and widths that this divides.
        scale: HR pixels per LR pixel.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    (source,), (target,) = graph.input, graph.output
    taken = all_names(graph)
    inner_in, inner_out = (unused_name(f"{value.name}.padded", taken) for value in (source, target))
    for node in graph.node:
        for names, old, new in (
            (node.input, source.name, inner_in),
            (node.input, target.name, inner_out),
            (node.output, target.name, inner_out),
        ):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new

    def constant(label: str, values: list[int]) -> str:
        name = unused_name(f"pad.{label}", taken)
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def add(kind: str, inputs: list[str], output: str = "", **options: Any) -> str:
        name = unused_name(f"pad.{kind.lower()}", taken)
        nodes.append(helper.make_node(kind, inputs, [output or name], name=name, **options))
        return output or name

    nodes: list[onnx.NodeProto] = []
    axes = constant("axes", [2, 3])
    multiples = constant("multiple", [multiple] * 2)
    size = add("Gather", [add("Shape", [source.name]), axes])
    # Rounded up with sums and quotients, which every TensorRT knows on shapes.
    raised = add("Add", [size, constant("most", [multiple - 1] * 2)])
    padded = add("Mul", [add("Div", [raised, multiples]), multiples])
    missing = add("Sub", [padded, size])
    sides = add("Concat", [constant("none", [0] * 6), missing], axis=0)
    add("Pad", [source.name, sides], inner_in, mode="edge")
    nodes.extend(graph.node)
    ends = add("Mul", [size, constant("scale", [scale] * 2)])
    add("Slice", [inner_out, constant("starts", [0, 0]), ends, axes], target.name)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
