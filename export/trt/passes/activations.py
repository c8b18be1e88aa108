"""How large a network's values get: float16 ends at 65504.

A CPU computes float16 graphs in float32 here and there, so that equal pictures prove little about a
GPU. Looking at the values themselves does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.values import all_names, element_types, fresh
from export.trt.passes.source import SourceModel
from runtime.errors import BackendError
from runtime.image.picture import Samples

if TYPE_CHECKING:
    import onnx


def largest_activation(source: SourceModel, tile_hwc: Samples) -> float:
    """The largest magnitude of any value in the float32 model.

    Args:
        source: a model that is not quantized.
        tile_hwc: uint8 or uint16 RGB, sizes as the model wants them.

    Raises:
        BackendError: ONNX Runtime fails.
        ModelError: the types of the graph's values cannot be inferred.
    """
    import onnxruntime

    probed, names = _with_maxima(source.model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            probed.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        feed = {session.get_inputs()[0].name: _as_input(source, tile_hwc)}
        maxima = session.run(names, feed)
    except Exception as error:  # ONNX Runtime's exceptions share no public base class.
        raise BackendError(f"ONNX Runtime failed on {source.path} ({error})") from error
    return max(float(value) for value in maxima)


def _with_maxima(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with the largest magnitude of every float32 value as an output."""
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
                magnitude, largest = fresh("probe.abs", taken), fresh("probe.max", taken)
                graph.node.append(helper.make_node("Abs", [name], [magnitude]))
                graph.node.append(helper.make_node("ReduceMax", [magnitude], [largest], keepdims=0))
                graph.output.append(helper.make_tensor_value_info(largest, TensorProto.FLOAT, None))
                names.append(largest)
    return probed, names


def _as_input(source: SourceModel, tile_hwc: Samples) -> np.ndarray:
    if source.info.sample_type == "uint8":
        return tile_hwc[None]
    peak = float(np.iinfo(tile_hwc.dtype).max)
    return tile_hwc[None].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(peak)
