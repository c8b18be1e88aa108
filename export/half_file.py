"""Float16 models with byte input and output for ONNX Runtime on CUDA, in the user's cache."""

from __future__ import annotations

from pathlib import Path

from runtime.backends.half_cache import half_path
from runtime.system.files import make_folder, write_whole
from runtime.system.package import require


def half_file(onnx: Path) -> Path:
    """Convert a model, or return an earlier conversion.

    It is the graph that TensorRT engines are built from: float16, but for the parts that need
    float32 (`export.trt.passes.islands`).

    Args:
        onnx: the float32 model's file.

    Returns:
        The file in the cache.

    Raises:
        MissingDependency: onnx is not installed.
        ModelError: the model cannot be converted.
        ConfigError: it is quantized.
        TargetError: the cache cannot be written.
    """
    path = half_path(onnx)
    if path.is_file():
        return path
    require("onnx", extra="gpu")
    from export.trt.passes.assemble import half_graph
    from export.trt.passes.source import read_source

    model = half_graph(read_source(onnx))
    make_folder(path.parent)
    write_whole(path, model.SerializeToString())
    return path
