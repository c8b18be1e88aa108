"""Reads and checks models for engines and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dggn.onnx_graph.fold import fold_constants
from dggn.onnx_graph.weight_storage import Storage
from runtime.errors import ModelError
from runtime.model.files import check_model_file
from runtime.model.info import ModelInfo, file_sha256

if TYPE_CHECKING:
    import onnx

QDQ = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
"""Operators between float and integer values."""

INTEGER_PREFIXES = ("QLinear", "ConvInteger", "MatMulInteger")
"""Name prefixes of operators that compute on integers."""


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A model that can be converted further."""

    path: Path
    """Path of the file."""

    sha256: str
    """Hash of the file."""

    info: ModelInfo
    """Facts about the model."""

    model: onnx.ModelProto
    """Graph, with constants as initializers and weights in float32."""

    storages: Mapping[str, Storage]
    """Storage of the weights that the file does not store in float32, by name."""

    least_px: int
    """Height and width of the smallest picture that the model accepts."""

    @classmethod
    def of(
        cls, path: Path, model: onnx.ModelProto, info: ModelInfo, *, least_px: int = 1
    ) -> SourceModel:
        """Fold the constants of a model.

        Args:
            path: the model's file.
            model: its graph; modified, and kept.
            info: facts about it.
            least_px: smallest picture, if its size multiple is not what limits it.
        """
        storages = fold_constants(model)
        return cls(
            path=path,
            sha256=file_sha256(path),
            info=info,
            model=model,
            storages=storages,
            least_px=max(least_px, info.size_multiple_px),
        )

    @property
    def is_quantized(self) -> bool:
        """Whether the graph has Q/DQ nodes."""
        return any(node.op_type in QDQ for node in self.model.graph.node)


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; weights in external files are never followed.

    Raises:
        ModelError: it is too large or damaged, or needs other files.
    """
    import onnx
    from google.protobuf.message import DecodeError

    check_model_file(path)
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except (OSError, DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{path} is not a readable ONNX file ({error}): expected one such as "
            "`dggn-export onnx` writes"
        ) from error
    return model
