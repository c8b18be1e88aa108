"""What `dggn-export trt` does, apart from its options."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.trt.build import OpenEngine, Workshop, build_engine
from export.trt.progress import OnProgress
from export.trt.source import read_source
from runtime.backends.gpu import Gpu, probe, require_gpu
from runtime.backends.trt.engine_cache import engine_path
from runtime.backends.trt.engine_facts import (
    DEFAULT_BATCH,
    Circumstances,
    EngineFacts,
    EngineOptions,
    EnginePrecision,
    why_not,
)
from runtime.backends.trt.engine_file import SUFFIX, read_facts
from runtime.backends.trt.library import FlavorChoice, Library, find_library
from runtime.errors import BackendError, ConfigError, MissingDependency, ModelError
from runtime.model.info import (
    DEFAULT_MODEL,
    ModelInfo,
    SampleType,
    for_tensorrt,
    model_path,
    shipped_models,
)
from runtime.system.package import require
from runtime.tiles.plan import default_tile_px


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asked `dggn-export trt` for."""

    onnx: str = DEFAULT_MODEL
    """A file, or a shipped model's name."""

    precision: EnginePrecision = "fp16"
    """To compute in."""

    flavor: FlavorChoice = "auto"
    """Which TensorRT."""

    sample_type: SampleType = "uint8"
    """Of input and output."""

    tile_px: int | None = None
    """Largest tile; None for one that suits the model."""

    batch: int = DEFAULT_BATCH
    """Most tiles at a time."""

    targets: tuple[str, ...] = ()
    """Compute capabilities; none for this machine's GPU."""

    device: int = 0
    """This machine's GPU, where there are several."""

    output: Path | None = None
    """The engine's file; None for the cache."""

    force: bool = False
    """Build even if there is a current engine."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a wish."""

    path: Path
    """The engine."""

    facts: EngineFacts
    """What its sidecar says."""

    library_name: str
    """For people."""

    was_built: bool
    """False where there was a current one."""


def fulfil(
    wish: Wish,
    *,
    say: Callable[[str], None],
    on_progress: OnProgress,
    open_engine: OpenEngine | None,
    cancelled: threading.Event | None = None,
) -> Outcome:
    """Find a current engine, or build one.

    A GPU is looked for before TensorRT is touched: without one, some versions end the process.

    Args:
        wish: what is asked for.
        say: told what people should know: a line each.
        on_progress: told how a build goes.
        open_engine: loads an engine to verify it; None where nothing can run it.
        cancelled: ends the work once it is set, where Ctrl-C comes to another thread.

    Raises:
        DggnError: of all kinds; nothing is left half-written.
        Cancelled: it was cancelled.
        KeyboardInterrupt: the same, where the library cannot be cancelled.
    """
    if wish.output is not None and wish.output.suffix != SUFFIX:
        raise ConfigError(f"{wish.output} does not end in {SUFFIX}: name a file that does")
    gpu, flavor = _place(wish)
    library = find_library(flavor)
    require("onnx", "onnxruntime", extra="trt" if library.flavor == "tensorrt" else "rtx")
    is_shipped_int8 = wish.precision == "int8" and wish.onnx in shipped_models()
    source = read_source(for_tensorrt(model_path(wish.onnx, "int8" if is_shipped_int8 else None)))
    options = _options(wish, source.info, library, gpu)
    path = wish.output or engine_path(source.path.stem, source.sha256, options, gpu)
    if path.exists() and not wish.force:
        facts, reason = _current(path, source.sha256, options, library, gpu)
        if facts is not None:
            return Outcome(path=path, facts=facts, library_name=library.name, was_built=False)
        say(f"{path} is built again: {reason}")
    if options.precision == "int8" and library.flavor == "tensorrt-rtx":
        say(
            "TensorRT-RTX does not fuse INT8 convolutions with what follows them: expect --fp16 "
            "to be quicker, and measure both"
        )
    shop = Workshop(
        library=library,
        gpu=gpu,
        open_engine=open_engine,
        say=say,
        on_progress=on_progress,
        cancelled=cancelled or threading.Event(),
    )
    facts = build_engine(source, options, path, shop)
    return Outcome(path=path, facts=facts, library_name=library.name, was_built=True)


def _place(wish: Wish) -> tuple[Gpu | None, FlavorChoice]:
    """The GPU to build on and for, if any, and which TensorRT."""
    if not wish.targets:
        try:
            return require_gpu(wish.device), wish.flavor
        except BackendError as error:
            raise BackendError(
                f"{error}. Without a GPU, TensorRT-RTX can build for another machine's: name it "
                "with --target, for example --target sm86,sm89,sm120"
            ) from error
    if wish.flavor == "tensorrt":
        raise ConfigError(
            "--target is for TensorRT-RTX: classic TensorRT builds for this machine's GPU alone. "
            "Leave --target out, or use --flavor tensorrt-rtx"
        )
    try:
        here = probe().gpus
    except MissingDependency:
        here = ()  # it would only verify what is built, and the result says that it is not
    matching = [gpu for gpu in here if gpu.sm in wish.targets]
    return (matching[0] if matching else None), "tensorrt-rtx"


def _options(wish: Wish, info: ModelInfo, library: Library, gpu: Gpu | None) -> EngineOptions:
    targets = wish.targets or ((gpu.sm,) if gpu else ())
    try:
        return EngineOptions(
            flavor=library.flavor,
            precision=wish.precision,
            sample_type=wish.sample_type,
            tile_px=default_tile_px(info.halo_px) if wish.tile_px is None else wish.tile_px,
            batch=wish.batch,
            targets=tuple(sorted(dict.fromkeys(targets), key=lambda name: (len(name), name))),
        )
    except ModelError as error:
        raise ConfigError(str(error)) from error


def _current(
    path: Path, sha256: str, options: EngineOptions, library: Library, gpu: Gpu | None
) -> tuple[EngineFacts | None, str]:
    """The facts of an engine that may stay, or why it may not."""
    try:
        facts = read_facts(path)
    except ModelError as error:
        return None, str(error)
    here = Circumstances(onnx_sha256=sha256, library_version=library.version, gpu=gpu)
    reason = why_not(facts, options, here)
    return (None, reason) if reason else (facts, "")
