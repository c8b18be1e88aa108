"""A model in float16 with bytes in and out, for ONNX Runtime on CUDA, kept in the user's cache."""

from __future__ import annotations

from pathlib import Path

from runtime.model.info import file_sha256
from runtime.system.cache import user_cache
from runtime.system.files import make_folder, write_whole
from runtime.system.package import require

FOLDER = "half"
"""In the user's cache."""

VERSION = 1
"""Of the conversion; a new one makes all files anew."""


def half_file(onnx: Path) -> Path:
    """Convert a model, or find what an earlier run made of it.

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
    path = user_cache() / FOLDER / f"{onnx.stem}-{file_sha256(onnx)[:16]}-{VERSION}.onnx"
    if path.is_file():
        return path
    require("onnx", extra="gpu")
    from export.trt.passes.assemble import half_graph
    from export.trt.passes.source import read_source

    model = half_graph(read_source(onnx))
    make_folder(path.parent)
    write_whole(path, model.SerializeToString())
    return path
