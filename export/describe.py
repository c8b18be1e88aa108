"""Describes exported models and engines for `dggn-export inspect`."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from dggn.onnx_graph.weight_storage import count_weights, scales_of
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.engine_file import read_facts
from runtime.errors import ModelError
from runtime.model.files import check_model_file
from runtime.model.info import PREFIX, ModelInfo, file_sha256
from runtime.model.tensors import tensor_format_of


def describe(path: Path) -> dict[str, str]:
    """Return facts about an ONNX file by label, in display order.

    One of another program is tried out, as `dggn-run` does.

    Raises:
        ModelError: the file is damaged or enlarges no pictures.
        MissingDependency: onnxruntime is not installed.
    """
    import onnx
    from google.protobuf.message import DecodeError

    check_model_file(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as error:
        raise ModelError(
            f"{path} is not a readable ONNX file ({error}): expected an .onnx file or an .engine"
        ) from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if any(name.startswith(PREFIX) for name in properties):
        info = ModelInfo.from_metadata(properties, where=str(path))
        tensors, colours = tensor_format_of(info), "RGB"
    else:
        colours = "taken for RGB"
        with OrtBackend(path, threads=1, where="cpu") as backend:
            info, tensors = backend.info, backend.tensors
    (low, high), (least, most) = tensors.takes, tensors.gives
    scales = scales_of(model.graph)
    stored: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            packed = tensor.data_type == onnx.TensorProto.UINT8
            kind = "int4" if packed else _type_name(tensor.data_type)
            stored[f"{kind} (storage only)"] += count_weights(tensor)
        else:
            stored[_type_name(tensor.data_type)] += math.prod(tensor.dims)
    operators = Counter(node.op_type for node in model.graph.node)
    return {
        "File": f"{path} ({path.stat().st_size / 1e6:.2f} MB, SHA-256 {file_sha256(path)[:16]}...)",
        "Preset": f"{info.preset}, x{info.scale}",
        "Origin": info.origin,
        "Input": f"{_shape(model.graph.input[0])}, {colours} in [{low:g}, {high:g}]",
        "Output": f"{_shape(model.graph.output[0])}, in [{least:g}, {most:g}]",
        "Sizes": f"multiples of {info.size_multiple_px} px; tiles overlap by {info.halo_px} px",
        "Weights": ", ".join(f"{count:,} {kind}" for kind, count in stored.most_common()),
        "Opset": ", ".join(
            f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import
        ),
        "Operators": ", ".join(f"{count} {name}" for name, count in operators.most_common()),
        "Structure": properties.get(PREFIX + "generator", "unknown"),
    }


def describe_engine(path: Path) -> dict[str, str]:
    """Return facts about a TensorRT engine from its sidecar by label, in display order.

    TensorRT is not needed: the engine itself is only hashed.

    Raises:
        ModelError: there is no such engine, or its sidecar is missing or damaged.
    """
    facts = read_facts(path)
    request, info = facts.request, facts.info
    is_bytes = info.sample_type == "uint8"
    layout = "batch, height, width, 3" if is_bytes else "batch, 3, height, width"
    asked = "" if facts.precision == request.precision else f" ({request.precision} was requested)"
    largest = facts.largest_activation
    described = {
        "File": f"{path} ({facts.plan_bytes / 1e6:.2f} MB, SHA-256 {facts.plan_sha256[:16]}...)",
        "Model": f"{facts.onnx_name}, SHA-256 {facts.onnx_sha256[:16]}...",
        "Preset": f"{info.preset}, x{info.scale}",
        "Origin": info.origin,
        "Library": f"{request.flavor} {facts.library_version}, the only one that can load it",
        "GPU": ", ".join(request.targets) + (f", built on {facts.gpu_name}" * bool(facts.gpu_name)),
        "Driver": f"CUDA {facts.cuda_version}" if facts.cuda_version else "none where it was built",
        "Precision": facts.precision + asked,
        "Samples": f"{info.sample_type}[{layout}]",
        "Tiles": f"{facts.least_px} to {facts.tile_px} px, up to {facts.batch} at a time; "
        f"multiples of {info.size_multiple_px} px, overlap {info.halo_px} px",
        "Activations": "not measured" if largest is None else f"up to {largest:.4g} in float32",
        "State": facts.status,
    }
    if facts.profiles > 1:
        described["Profiles"] = f"{facts.profiles}, one for each execution context"
    return described


def _shape(value: object) -> str:
    from onnx import ValueInfoProto

    assert isinstance(value, ValueInfoProto)
    tensor = value.type.tensor_type
    # A size without a name or a value is free.
    sizes = [entry.dim_param or str(entry.dim_value or "any") for entry in tensor.shape.dim]
    return f"{value.name} {_type_name(tensor.elem_type)}[{', '.join(sizes)}]"


def _type_name(number: int) -> str:
    from onnx import TensorProto

    # A damaged file, or one of a later version of ONNX, may hold any number.
    known: dict[int, str] = {value: name.lower() for name, value in TensorProto.DataType.items()}
    return known.get(number, f"type {number}")
