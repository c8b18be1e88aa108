"""What a person wants to know of an exported model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from runtime.errors import ModelError
from runtime.model_info import PREFIX, ModelInfo, file_sha256


def describe(path: Path) -> dict[str, str]:
    """Facts about an ONNX file, label by label, in the order to show them.

    Raises:
        ModelError: the file is damaged or was not written by dggn-export.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as error:
        raise ModelError(f"{path} is not a readable ONNX file ({error})") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    info = ModelInfo.from_metadata(properties, where=str(path))
    stored: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        count = 1
        for dimension in tensor.dims:
            count *= dimension
        stored[onnx.TensorProto.DataType.Name(tensor.data_type).lower()] += count
    operators = Counter(node.op_type for node in model.graph.node)
    return {
        "File": f"{path} ({path.stat().st_size / 1e6:.2f} MB, SHA-256 {file_sha256(path)[:16]}...)",
        "Preset": f"{info.preset}, x{info.scale}",
        "Origin": info.origin,
        "Input": f"{_shape(model.graph.input[0])}, RGB in {properties.get(PREFIX + 'range')}",
        "Output": f"{_shape(model.graph.output[0])}",
        "Sizes": f"multiples of {info.size_multiple_px} px; tiles overlap by {info.halo_px} px",
        "Weights": ", ".join(f"{count:,} {kind}" for kind, count in stored.most_common()),
        "Opset": ", ".join(
            f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import
        ),
        "Operators": ", ".join(f"{count} {name}" for name, count in operators.most_common()),
        "Structure": properties.get(PREFIX + "generator", "unknown"),
    }


def _shape(value: object) -> str:
    from onnx import TensorProto, ValueInfoProto

    assert isinstance(value, ValueInfoProto)
    tensor = value.type.tensor_type
    sizes = [entry.dim_param or str(entry.dim_value) for entry in tensor.shape.dim]
    kind = TensorProto.DataType.Name(tensor.elem_type).lower()
    return f"{value.name} {kind}[{', '.join(sizes)}]"
