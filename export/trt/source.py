"""The ONNX model that an engine is built from, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.trt.fold import fold_constants
from runtime.errors import ModelError
from runtime.model.files import check_model_file
from runtime.model.info import ModelInfo, file_sha256
from runtime.model.tensors import OF_BYTES, PLAIN

if TYPE_CHECKING:
    import onnx

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
INTEGER = ("QLinear", "ConvInteger", "MatMulInteger")


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A model that engines can be built from."""

    path: Path
    """The file."""

    sha256: str
    """Of the file."""

    info: ModelInfo
    """Its facts; those of another program's model were found by trying it."""

    model: onnx.ModelProto
    """The graph, constants as initializers."""

    is_quantized: bool
    """Whether Q/DQ nodes are in it."""


def read_source(path: Path) -> SourceModel:
    """Read a model.

    Raises:
        ModelError: the file is damaged, or quantized in a way that TensorRT refuses.
        MissingDependency: onnxruntime is not installed.
        BackendError: ONNX Runtime cannot start.
    """
    import onnx
    from google.protobuf.message import DecodeError

    from runtime.backends.onnxruntime import OrtBackend

    check_model_file(path)
    with OrtBackend(path, threads=1, where="cpu") as backend:
        info = backend.info
        if backend.tensors not in (PLAIN, OF_BYTES):
            raise ModelError(
                f"{path} takes {backend.tensors}, and engines are built of models that take "
                "float32 NCHW in [0, 1]: export it again so, or run it with --backend cpu or cuda"
            )
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except (OSError, DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path} is not a readable ONNX file ({error})") from error
    fold_constants(model)
    kinds = {node.op_type for node in model.graph.node}
    integer = sorted(kind for kind in kinds if kind.startswith(INTEGER))
    if integer or "DynamicQuantizeLinear" in kinds:
        raise ModelError(
            f"{path} holds {', '.join(integer) or 'DynamicQuantizeLinear'}, which TensorRT does "
            "not read: calibrate with `dggn-calibrate --target tensorrt`"
        )
    is_quantized = not kinds.isdisjoint(QUANTIZED)
    if is_quantized:
        _require_symmetric(path, model)
    return SourceModel(
        path=path, sha256=file_sha256(path), info=info, model=model, is_quantized=is_quantized
    )


def _require_symmetric(path: Path, model: onnx.ModelProto) -> None:
    """Refuse what was quantized for processors: TensorRT knows signed values around zero only."""
    from onnx import TensorProto, numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in QUANTIZED or len(node.input) < 3:
            continue
        zero = stored.get(node.input[2])
        if zero is None or zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
            raise ModelError(
                f"{path} was quantized for processors (its zero points are not those of signed, "
                "symmetric values), which TensorRT refuses: calibrate the float32 model with "
                "`dggn-calibrate PHOTOS --target tensorrt`, and give the result as --onnx"
            )
