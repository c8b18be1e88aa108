"""Cache paths of float16 models for ONNX Runtime on CUDA."""

from __future__ import annotations

from pathlib import Path

from runtime.model.info import file_sha256
from runtime.system.cache import user_cache

FOLDER = "half"
"""Folder in the user's cache."""

VERSION = 2
"""Version of the conversion; a new one rebuilds all files."""


def half_path(onnx: Path) -> Path:
    """Return the path of a model's float16 version, which may not exist.

    Args:
        onnx: the float32 model's file.
    """
    return user_cache() / FOLDER / f"{onnx.stem}-{file_sha256(onnx)[:16]}-{VERSION}.onnx"
