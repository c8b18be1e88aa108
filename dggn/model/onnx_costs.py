"""Costs of any ONNX graph: parameters and operations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.weight_storage import count_weights, scales_of
from runtime.errors import ModelError
from runtime.system.package import load, require

if TYPE_CHECKING:
    import onnx

Shapes = dict[str, tuple[int, ...]]

COUNTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def onnx_costs(path: Path, height: int, width: int) -> tuple[int, int]:
    """Count parameters, and operations for one LR picture.

    The same convention as :func:`dggn.model.complexity.flops`. Parameters are the graph's
    floating-point weights, in whatever form they are stored. The graph is run once, because the
    sizes of its tensors may depend on what it computes; what is inside of its loops and branches is
    left out.

    Args:
        path: the file; its input is float32 NCHW with three channels.
        height: height of the LR picture; must be a size that the graph takes.
        width: width of the LR picture.

    Raises:
        MissingDependency: onnx or onnxruntime is not installed.
        ModelError: the file is damaged, or does not take such a picture.
    """
    require("onnx", "onnxruntime", extra="export")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as error:
        raise ModelError(f"{path} is not a readable ONNX file ({error})") from error
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    scales = scales_of(model.graph)
    parameters = sum(
        count_weights(tensor) if tensor.name in scales else math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name in scales
        or (tensor.data_type in floats and tensor.name not in scales.values())
    )
    counted = [node for node in model.graph.node if node.op_type in COUNTED]
    names = {name for node in counted for name in (*node.input, node.output[0]) if name}
    shapes |= _computed_shapes(model, names - shapes.keys(), (height, width), str(path))
    return parameters, sum(2 * _products(node, shapes) for node in counted)


def _computed_shapes(
    model: onnx.ModelProto, names: set[str], size_hw: tuple[int, int], where: str
) -> Shapes:
    """Compute the shapes of the named tensors for one picture."""
    import onnx

    onnxruntime = load("onnxruntime", extra="export")
    picture = np.zeros((1, 3, *size_hw), np.float32)
    source = model.graph.input[0].name if model.graph.input else ""
    wanted = sorted(names - {source})
    if not wanted:
        return {source: picture.shape}
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = onnxruntime.SessionOptions()
    # Optimizing would fuse away the tensors that are asked for.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(wanted, {source: picture})
    except Exception as error:  # ONNX Runtime's exceptions share no public base class.
        raise ModelError(
            f"the operations of {where} cannot be counted, because it does not take a float32 "
            f"picture of {size_hw[0]}x{size_hw[1]} px; try another --size ({error})"
        ) from error
    shapes = {name: result.shape for name, result in zip(wanted, results, strict=True)}
    return {**shapes, source: picture.shape}


def _products(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count the multiply-accumulates of one node."""
    output, first, second = (shapes[name] for name in (node.output[0], *node.input[:2]))
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    transposed = any(entry.name == "transA" and entry.i for entry in node.attribute)
    return math.prod(output) * first[0 if transposed else -1]
