"""Answers engine requests with a current engine, or by building one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.trt.builder.verified import BuildContext, build_engine
from export.trt.passes.source import read_source
from runtime.backends.gpu import Gpu, probe, require_gpu
from runtime.backends.trt.engine_cache import engine_path
from runtime.backends.trt.engine_facts import (
    Circumstances,
    EngineFacts,
    EngineOptions,
    EnginePrecision,
    reason_not_to_load,
)
from runtime.backends.trt.engine_file import SUFFIX, read_facts
from runtime.backends.trt.library import FlavorChoice, Library, find_library
from runtime.backends.trt.open import open_engine
from runtime.backends.trt.request import EngineRequest
from runtime.errors import BackendError, ConfigError, MissingDependency, ModelError
from runtime.model.info import ModelInfo, model_path, shipped_models, tensorrt_model_path
from runtime.system.package import require
from runtime.system.terminal import OnProgress
from runtime.tiles.plan import default_tile_px


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
    request: EngineRequest,
    *,
    say: Callable[[str], None],
    on_progress: OnProgress,
    cancelled: threading.Event | None = None,
) -> BuildResult:
    """Return a current engine, or build one.

    A GPU is looked for before TensorRT is touched: without one, some versions end the process.

    Args:
        request: the engine that is needed.
        say: receives one-line status messages.
        on_progress: receives the build's progress.
        cancelled: ends the work once it is set, where Ctrl-C comes to another thread.

    Raises:
        DggnError: of all kinds; nothing is left half-written.
        Cancelled: it was cancelled.
        KeyboardInterrupt: the same, where the library cannot be cancelled.
    """
    if request.output is not None and request.output.suffix != SUFFIX:
        raise ConfigError(f"{request.output} does not end in {SUFFIX}: name a file that does")
    gpu, flavor = _choose_gpu(request)
    library = find_library(flavor)
    require("onnx", "onnxruntime", extra="trt" if library.flavor == "tensorrt" else "rtx")
    source = read_source(request.onnx)
    options = _decide(request, source.info, library, gpu)
    path = request.output or engine_path(source.path.stem, source.sha256, options, gpu)
    if path.exists() and not request.force:
        facts, reason = _reusable(path, source.sha256, options, library, gpu)
        if facts is not None:
            return BuildResult(path=path, facts=facts, library_name=library.name, was_built=False)
        say(f"{path} is built again: {reason}")
    if options.precision == "int8" and library.flavor == "tensorrt-rtx":
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
    facts = build_engine(source, options, path, context)
    return BuildResult(path=path, facts=facts, library_name=library.name, was_built=True)


def model_file(name: str, precision: EnginePrecision) -> Path:
    """Return the file to build an engine from, given a shipped model's name or an ONNX file.

    Raises:
        ModelError: there is no such model.
    """
    is_shipped_int8 = precision == "int8" and name in shipped_models()
    return tensorrt_model_path(model_path(name, "int8" if is_shipped_int8 else None))


def _choose_gpu(request: EngineRequest) -> tuple[Gpu | None, FlavorChoice]:
    """Choose the GPU to build on and for, if any, and the TensorRT flavor."""
    if not request.targets:
        try:
            return require_gpu(request.device), request.flavor
        except BackendError as error:
            raise BackendError(
                f"{error}. Without a GPU, TensorRT-RTX can build for another machine's: name it "
                "with --target, for example --target sm86,sm89,sm120"
            ) from error
    if request.flavor == "tensorrt":
        raise ConfigError(
            "--target is for TensorRT-RTX: classic TensorRT builds for this machine's GPU alone. "
            "Leave --target out, or use --flavor tensorrt-rtx"
        )
    try:
        here = probe().gpus
    except MissingDependency:
        here = ()  # it would only verify what is built, and the result says that it is not
    matching = [gpu for gpu in here if gpu.sm in request.targets]
    return (matching[0] if matching else None), "tensorrt-rtx"


def _decide(
    request: EngineRequest, info: ModelInfo, library: Library, gpu: Gpu | None
) -> EngineOptions:
    """Settle what the request leaves open."""
    targets = request.targets or ((gpu.sm,) if gpu else ())
    try:
        return EngineOptions(
            flavor=library.flavor,
            precision=request.precision,
            sample_type=request.sample_type,
            tile_px=default_tile_px(info.halo_px) if request.tile_px is None else request.tile_px,
            batch=request.batch,
            targets=tuple(sorted(dict.fromkeys(targets), key=lambda name: (len(name), name))),
        )
    except ModelError as error:
        raise ConfigError(str(error)) from error


def _reusable(
    path: Path, sha256: str, options: EngineOptions, library: Library, gpu: Gpu | None
) -> tuple[EngineFacts | None, str]:
    """Return the facts of a reusable engine, or why it cannot be reused."""
    try:
        facts = read_facts(path)
    except ModelError as error:
        return None, str(error)
    here = Circumstances(onnx_sha256=sha256, library_version=library.version, gpu=gpu)
    reason = reason_not_to_load(facts, options, here)
    return (None, reason) if reason else (facts, "")
