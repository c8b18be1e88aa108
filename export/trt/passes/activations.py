"""Measures a network's largest values, since float16 ends at 65504.

A CPU computes float16 graphs in float32 here and there, so that equal pictures prove little about a
GPU. Looking at the values themselves does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dggn.onnx_graph.evaluate import as_input, evaluate
from dggn.onnx_graph.source import SourceModel
from dggn.onnx_graph.values import all_names, element_types, unused_name
from runtime.image.picture import Samples

if TYPE_CHECKING:
    import onnx


def largest_activation(source: SourceModel, tile_hwc: Samples) -> float:
    """Return the largest magnitude of any value in the float32 model.

    Args:
        source: a model that is not quantized.
        tile_hwc: uint8 or uint16 RGB of a size that the model takes.

    Raises:
        BackendError: ONNX Runtime fails.
        ModelError: the types of the graph's values cannot be inferred.
    """
    probed, names = _with_maxima(source.model)
    (maxima,) = evaluate(probed, names, [as_input(tile_hwc, source.info.sample_type)])
    return max(float(value) for value in maxima)


def _with_maxima(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Add outputs for the largest magnitude of every float32 value, and return their names."""
    import onnx
    from onnx import TensorProto, helper

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    graph = probed.graph
    types, taken = element_types(model), all_names(graph)
    names = []
    for node in model.graph.node:
        for name in node.output:
            if types.get(name) == TensorProto.FLOAT:
                magnitude, largest = (
                    unused_name("probe.abs", taken),
                    unused_name("probe.max", taken),
                )
                graph.node.append(helper.make_node("Abs", [name], [magnitude]))
                graph.node.append(helper.make_node("ReduceMax", [magnitude], [largest], keepdims=0))
                names.append(largest)
    return probed, names
