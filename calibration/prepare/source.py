"""The float32 model to quantize, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.prepare.fold import fold_weights
from calibration.prepare.low_tail import lower_tail
from calibration.prepare.ungroup import ungroup
from calibration.search.place import Target
from runtime.errors import ModelError
from runtime.model.info import ModelInfo, file_sha256

if TYPE_CHECKING:
    import onnx

LARGEST_FILE_BYTES = 2**30

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
INTEGER = ("QLinear", "ConvInteger", "MatMulInteger")

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
"""What dggn-export writes, and a few that other versions of its exporter might."""


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A model that is ready to be quantized."""

    path: Path
    """The file it came from."""

    sha256: str
    """Of that file."""

    info: ModelInfo
    """Its facts."""

    graph: onnx.ModelProto
    """Its graph, weights as float32 initializers, arranged for the target."""

    halves: frozenset[str]
    """Weights that the file stores as float16."""


def read_model(path: Path, target: Target) -> SourceModel:
    """Read a model, and refuse what cannot be calibrated.

    Args:
        path: an ONNX file written by dggn-export.
        target: what the quantized model is for.

    Raises:
        ModelError: the file is damaged, foreign or quantized already, or holds an operator
            that no generator has.
    """
    import onnx
    from google.protobuf.message import DecodeError

    expected = "expected an ONNX file written by `dggn-export onnx`"
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ModelError(f"{path} is larger than any DGGN model: {expected}")
        # External data could name any file of this machine: it is never followed.
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except (OSError, DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path} is not a readable ONNX file ({error}): {expected}") from error
    _check_operators(path, model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    info = ModelInfo.from_metadata(properties, where=str(path))
    halves = fold_weights(model)
    if target == "cpu":
        lower_tail(model)
        parts = ungroup(model)
        halves |= {part for name in halves for part in parts.get(name, [])}
    return SourceModel(path=path, sha256=file_sha256(path), info=info, graph=model, halves=halves)


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type in QUANTIZED or node.op_type.startswith(INTEGER):
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
