"""Reads the ONNX model that an engine is built from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dggn.onnx_graph.source import INTEGER_PREFIXES, QDQ, SourceModel, read_onnx
from runtime.errors import ModelError
from runtime.model.tensors import OF_BYTES, PLAIN

if TYPE_CHECKING:
    import onnx


def read_source(path: Path) -> SourceModel:
    """Read a model, ours or another program's.

    Raises:
        ModelError: the file is damaged, or quantized in a way that TensorRT refuses.
        MissingDependency: onnxruntime is not installed.
        BackendError: ONNX Runtime cannot start.
    """
    from runtime.backends.onnxruntime import OrtBackend

    with OrtBackend(path, threads=1, where="cpu") as backend:
        # Of another program's model they were found by trying it.
        info, least_px = backend.info, backend.least_px
        if backend.tensors not in (PLAIN, OF_BYTES):
            raise ModelError(
                f"{path} takes {backend.tensors}, and engines are built of models that take "
                "float32 NCHW in [0, 1]: export it again so, or run it with --backend cpu or cuda"
            )
    source = SourceModel.of(path, read_onnx(path), info, least_px=least_px)
    kinds = {node.op_type for node in source.model.graph.node}
    integer = sorted(kind for kind in kinds if kind.startswith(INTEGER_PREFIXES))
    if integer or "DynamicQuantizeLinear" in kinds:
        raise ModelError(
            f"{path} holds {', '.join(integer) or 'DynamicQuantizeLinear'}, which TensorRT does "
            "not read: calibrate with `dggn-calibrate --target tensorrt`"
        )
    if source.is_quantized:
        _require_symmetric(path, source.model)
    return source


def _require_symmetric(path: Path, model: onnx.ModelProto) -> None:
    """Refuse models quantized for CPUs: TensorRT requires signed symmetric quantization."""
    from onnx import TensorProto, numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in QDQ or len(node.input) < 3:
            continue
        zero = stored.get(node.input[2])
        if zero is None or zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
            raise ModelError(
                f"{path} was quantized for CPUs (its zero points are not those of signed, "
                "symmetric values), which TensorRT refuses: calibrate the float32 model with "
                "`dggn-calibrate PHOTOS --target tensorrt`, and give the result as --onnx"
            )
