"""The per-user cache of engines."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from runtime.backends.gpu import Gpu
from runtime.backends.trt.engine_file import SUFFIX
from runtime.backends.trt.request import EnginePrecision, EngineRequest
from runtime.model.info import SampleType
from runtime.system.cache import user_cache


def cache_folder() -> Path:
    """Return the folder of this user's engines, which may not exist yet."""
    return user_cache() / "engines"


def engine_path(onnx_name: str, onnx_sha256: str, request: EngineRequest, gpu: Gpu | None) -> Path:
    """Return the cache path of an engine for a model, request and GPU.

    What would make the engine stale without making it another one (the library's version, the
    driver) is not part of the name: the new engine takes the old one's place.

    Args:
        onnx_name: the model file's name, without its suffix.
        onnx_sha256: hash of the model file.
        request: the engine wanted of it.
        gpu: GPU that it is built on; None or ignored if the targets suffice (RTX).
    """
    place = gpu.name if gpu is not None and request.flavor == "tensorrt" else ""
    key = json.dumps([onnx_sha256, asdict(request), place], sort_keys=True)
    mark = hashlib.sha256(key.encode()).hexdigest()[:12]
    beginning = engine_name_prefix(onnx_name, request.precision, request.sample_type)
    return cache_folder() / f"{beginning}{'-'.join(request.targets)}-{mark}{SUFFIX}"


def engine_name_prefix(onnx_name: str, precision: EnginePrecision, sample_type: SampleType) -> str:
    """Return the file name prefix of a model's engines, whatever their tiles, batches and GPUs."""
    kind = "uint8" if sample_type == "uint8" else "float"
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", onnx_name)[:40]
    return f"{stem}-{precision}-{kind}-"
