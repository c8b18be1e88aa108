"""Reads and checks the float32 model to quantize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dggn.onnx_graph.source import INTEGER_PREFIXES, QDQ, SourceModel, read_onnx
from runtime.errors import ModelError
from runtime.model.info import ModelInfo

if TYPE_CHECKING:
    import onnx

Target = Literal["cpu", "tensorrt"]
"""Target platform of a quantized model."""

KNOWN = frozenset(
    [
        "Add",
        "AveragePool",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "DepthToSpace",
        "Div",
        "LeakyRelu",
        "Max",
        "Min",
        "Mul",
        "Pad",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "Shape",
        "Sigmoid",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ]
)
"""Operators that dggn-export writes, and some that other versions of its exporter might."""


def read_model(path: Path) -> SourceModel:
    """Read a model, and refuse one that cannot be calibrated.

    Args:
        path: an ONNX file written by dggn-export.

    Raises:
        ModelError: the file is damaged, foreign or quantized already, or holds an operator
            that no generator has.
    """
    model = read_onnx(path)
    _check_operators(path, model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    return SourceModel.of(path, model, ModelInfo.from_metadata(properties, where=str(path)))


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type in QDQ or node.op_type.startswith(INTEGER_PREFIXES):
            raise ModelError(
                f"{path} is quantized already: it holds {node.op_type}. "
                "Calibrate the float32 model that it was made from"
            )
        if node.op_type not in KNOWN or node.domain not in ("", "ai.onnx"):
            kind = ".".join(filter(None, (node.domain, node.op_type)))
            raise ModelError(
                f"{path} holds the operator {kind}, which no generator has: "
                "expected an ONNX file written by `dggn-export onnx`"
            )
