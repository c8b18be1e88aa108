"""Answers engine requests with a current engine, or by building one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dggn.onnx_graph.source import SourceModel
from export.trt.builder.verified import BuildContext, build_engine
from export.trt.passes.source import read_source
from runtime.backends.gpu import Gpu
from runtime.backends.trt.engine_cache import engine_path
from runtime.backends.trt.engine_facts import Circumstances, EngineFacts, reason_not_to_load
from runtime.backends.trt.engine_file import read_facts
from runtime.backends.trt.library import FLAVORS, Flavor, Library, find_library
from runtime.backends.trt.open import open_engine
from runtime.backends.trt.request import EnginePrecision, EngineRequest
from runtime.errors import ModelError
from runtime.model.info import model_path, shipped_models, tensorrt_model_path
from runtime.system.package import require
from runtime.system.terminal import OnProgress


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The engine for a request."""

    path: Path
    """Engine file."""

    facts: EngineFacts
    """Facts from its sidecar."""

    library_name: str
    """Name and version of its TensorRT library, for messages."""

    was_built: bool
    """Whether it was built now, rather than found."""


def build_or_reuse(
    source: SourceModel,
    request: EngineRequest,
    gpu: Gpu | None,
    *,
    output: Path | None = None,
    force: bool = False,
    say: Callable[[str], None],
    on_progress: OnProgress,
    cancelled: threading.Event | None = None,
) -> BuildResult:
    """Return a current engine, or build one.

    Args:
        source: the model.
        request: the engine wanted of it.
        gpu: GPU that verifies, and that classic engines are built for; None without one.
        output: engine file; None for the cache.
        force: build even if a current engine exists.
        say: receives one-line status messages.
        on_progress: receives the build's progress.
        cancelled: ends the work once it is set, where Ctrl-C comes to another thread.

    Raises:
        DggnError: of all kinds; nothing is left half-written.
        Cancelled: it was cancelled.
        KeyboardInterrupt: the same, where the library cannot be cancelled.
    """
    library = find_library(request.flavor)
    path = output or engine_path(source.path.stem, source.sha256, request, gpu)
    if path.exists() and not force:
        facts, reason = _reusable(path, source.sha256, request, library, gpu)
        if facts is not None:
            return BuildResult(path=path, facts=facts, library_name=library.name, was_built=False)
        say(f"{path} is built again: {reason}")
    if request.precision == "int8" and library.flavor == "tensorrt-rtx":
        say(
            "TensorRT-RTX does not fuse INT8 convolutions with what follows them: expect --fp16 "
            "to be faster, and measure both"
        )
    context = BuildContext(
        library=library,
        gpu=gpu,
        open_engine=open_engine,
        say=say,
        on_progress=on_progress,
        cancelled=cancelled or threading.Event(),
    )
    facts = build_engine(source, request, path, context)
    return BuildResult(path=path, facts=facts, library_name=library.name, was_built=True)


def model_file(name: str, precision: EnginePrecision) -> Path:
    """Return the file to build an engine from, given a shipped model's name or an ONNX file.

    Raises:
        ModelError: there is no such model.
    """
    is_shipped_int8 = precision == "int8" and name in shipped_models()
    return tensorrt_model_path(model_path(name, "int8" if is_shipped_int8 else None))


def read_model(onnx: Path, flavor: Flavor) -> SourceModel:
    """Read the model to build an engine from.

    Args:
        onnx: its file.
        flavor: TensorRT flavor, whose extra is named if a package is missing.

    Raises:
        MissingDependency: onnx or onnxruntime is not installed.
        ModelError: the file is damaged, or quantized in a way that TensorRT refuses.
    """
    _, extra = FLAVORS[flavor]
    require("onnx", "onnxruntime", extra=extra)
    return read_source(onnx)


def _reusable(
    path: Path, sha256: str, request: EngineRequest, library: Library, gpu: Gpu | None
) -> tuple[EngineFacts | None, str]:
    """Return the facts of a reusable engine, or why it cannot be reused."""
    try:
        facts = read_facts(path)
    except ModelError as error:
        return None, str(error)
    here = Circumstances(onnx_sha256=sha256, library_version=library.version, gpu=gpu)
    reason = reason_not_to_load(facts, request, here)
    return (None, reason) if reason else (facts, "")
