"""Assembles the graph for a TensorRT builder: source, precision, input and output types, opset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dggn.onnx_graph.fold import drop_unread
from dggn.onnx_graph.source import SourceModel
from export.trt.passes.bytes_io import wrap_in_bytes
from export.trt.passes.half import to_half
from export.trt.passes.islands import float32_nodes
from export.trt.passes.opset import lower_opset, raise_opset
from runtime.backends.trt.library import Capabilities
from runtime.backends.trt.request import EnginePrecision
from runtime.errors import ConfigError, ModelError
from runtime.model.info import SampleType

if TYPE_CHECKING:
    import onnx

HALF_SCALES_OPSET = 19
"""First opset in which Q/DQ nodes support float16."""


def tensorrt_graph(
    source: SourceModel,
    *,
    precision: EnginePrecision,
    sample_type: SampleType,
    capabilities: Capabilities,
) -> onnx.ModelProto:
    """Return the graph for one engine.

    With strong types, all precision is in the graph. Without them (8.x), the graph is float32 with
    or without Q/DQ nodes, and the builder's flags allow the rest; its mixed precision is then
    TensorRT's choice, within the layers that the flags leave to it.

    Args:
        source: the model.
        precision: precision of the engine.
        sample_type: type of its input and output.
        capabilities: capabilities of the library that builds it.

    Raises:
        ConfigError: the source does not fit the request.
        ModelError: the graph cannot be converted.
    """
    if (precision == "int8") != source.is_quantized:
        raise ConfigError(_precision_mistake(source, precision))
    if source.info.sample_type == "uint8" and sample_type == "float32":
        raise ConfigError(
            f"{source.path} takes 8-bit samples, and an engine for 16-bit pictures needs a float "
            "model: export it with `--io float32`"
        )
    model = _copy(source)
    if sample_type == "uint8" and source.info.sample_type == "float32":
        wrap_in_bytes(model)
    if precision != "fp32":
        if precision == "int8" and capabilities.strong_types:
            model = raise_opset(model, HALF_SCALES_OPSET)
        if capabilities.strong_types or precision == "fp16":
            to_half(model, float32_nodes(model))
            drop_unread(model)
    model = lower_opset(model, capabilities.largest_opset)
    _check(source, model, precision)
    return model


def half_graph(source: SourceModel) -> onnx.ModelProto:
    """Return a float32 model in float16 with byte input and output, for libraries with any opset.

    Raises:
        ConfigError: the source is quantized.
        ModelError: it cannot be converted.
    """
    if source.is_quantized:
        raise ConfigError(f"{source.path} is quantized: float16 is made of float32 models")
    model = _copy(source)
    if source.info.sample_type == "float32":
        wrap_in_bytes(model)
    to_half(model, float32_nodes(model))
    drop_unread(model)
    _check(source, model, "fp16")
    return model


def _copy(source: SourceModel) -> onnx.ModelProto:
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    return model


def _check(source: SourceModel, model: onnx.ModelProto, precision: EnginePrecision) -> None:
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(
            f"{source.path} cannot be converted to {precision} ({error}): use --precision fp32, "
            "and please report it"
        ) from error


def _precision_mistake(source: SourceModel, precision: EnginePrecision) -> str:
    if precision == "int8":
        return (
            f"{source.path} is not quantized, and --precision int8 needs a model that is: make one "
            "with `dggn-calibrate PHOTOS --target tensorrt`, and give it as --onnx"
        )
    return f"{source.path} is quantized to INT8: build it with --precision int8"
