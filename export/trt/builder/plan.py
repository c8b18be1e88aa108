"""Builds a plan from a graph with any supported TensorRT version.

What to say to a library follows from its capabilities (`runtime.backends.trt.library`):

    8.x   EXPLICIT_BATCH; FP16 and INT8 as flags, and float32 asked for layer by layer
    10.x  STRONGLY_TYPED: the graph says it all
    11.x  always strongly typed
    RTX   the same, for several GPUs that need not be here
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.trt.builder.progress import make_monitor
from export.trt.builder.tactics import disable_missing_tactics
from runtime.backends.trt.backend import DEFAULT_SLOTS
from runtime.backends.trt.engine_cache import cache_folder
from runtime.backends.trt.library import Library
from runtime.backends.trt.request import EngineRequest
from runtime.errors import (
    BackendError,
    Cancelled,
    ConfigError,
    ModelError,
    OutOfDeviceMemory,
    TargetError,
)
from runtime.system.files import write_whole
from runtime.system.terminal import OnProgress

_logger = logging.getLogger(__name__)

LONGEST_REASON = 300
"""Maximum length of a parser message; the rest is about the parser's source code."""

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Minimum, optimal and maximum input shape."""


class BuildRefused(BackendError):
    """TensorRT finds no kernels for a graph; the same model in a safer precision may do."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph as TensorRT reads it."""

    content: bytes
    """ONNX model."""

    least_px: int
    """Minimum height and width of its input."""

    float32_layers: frozenset[str] = frozenset()
    """Names of nodes that stay in float32, for libraries without strong types."""


def build_plan(
    library: Library,
    graph: Graph,
    request: EngineRequest,
    *,
    detailed: bool = False,
    on_progress: OnProgress,
    cancelled: threading.Event,
) -> bytes:
    """Build an engine; blocks for seconds to minutes.

    Args:
        library: builds.
        graph: what the engine computes, with the request's input and output types.
        request: precision, targets, and the largest tile and batch; libraries with strong types
            read the precision from the graph.
        detailed: whether the engine records details of its kernels, which are then logged.
        on_progress: receives the progress, if the library reports it.
        cancelled: ends the build, if the library supports it.

    Returns:
        The serialized engine.

    Raises:
        ModelError: the parser refuses the graph.
        BackendError: the builder cannot start.
        BuildRefused: it makes no engine of the graph.
        OutOfDeviceMemory: memory ran out.
        Cancelled: it was cancelled.
        ConfigError: a target is unknown to the library.
    """
    if cancelled.is_set():
        raise Cancelled("the build was cancelled")
    module = library.module
    mark = library.messages.mark()
    try:
        builder = module.Builder(library.logger)
    except (TypeError, RuntimeError) as error:  # pybind's way to say that there is no builder
        raise BackendError(
            f"{library.name} cannot start ({library.messages.reason(mark)}): does nvidia-smi list "
            "a GPU, and is its driver new enough for this TensorRT?"
        ) from error
    network = builder.create_network(network_flags(module))
    parser = module.OnnxParser(network, library.logger)
    if not parser.parse(graph.content):
        raise ModelError(_parse_failure(library, parser, mark))
    config = builder.create_builder_config()
    _set_precision(library, config, network, graph, request)
    if library.capabilities.precision_flags:
        disable_missing_tactics(module, config)
    _set_targets(library, config, request.targets)
    _add_profiles(library, builder, config, network, _shapes(graph, request))
    timing_cache = _timing_cache(library)
    _read_timing_cache(config, timing_cache)
    if detailed:
        config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    monitor = None
    if library.capabilities.progress:
        monitor = make_monitor(module, on_progress, cancelled)
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if cancelled.is_set():
        raise Cancelled("the build was cancelled")
    if plan is None:
        raise _build_failure(library, mark)
    _write_timing_cache(config, timing_cache)
    return bytes(plan)


def profile_count(library: Library) -> int:
    """Return the number of identical optimization profiles: one per slot if none is shared."""
    capabilities = library.capabilities
    shares = capabilities.shared_profiles or capabilities.profile_sharing_preview
    return 1 if shares else DEFAULT_SLOTS


def network_flags(module: Any) -> int:
    """Return the network creation flags as a bit mask."""
    creation = module.NetworkDefinitionCreationFlag
    # Where both exist, the batch is explicit anyway.
    for name in ("STRONGLY_TYPED", "EXPLICIT_BATCH"):
        if hasattr(creation, name):
            return 1 << int(getattr(creation, name))
    return 0


def _set_precision(
    library: Library, config: Any, network: Any, graph: Graph, request: EngineRequest
) -> None:
    flags = library.module.BuilderFlag
    if hasattr(flags, "TF32"):
        # Its products have no more digits than float16's, which is what float32 is asked for to
        # avoid: everywhere, or in the islands.
        config.clear_flag(flags.TF32)
    if not library.capabilities.precision_flags:
        return
    if request.precision in ("fp16", "int8"):
        config.set_flag(flags.FP16)
        config.set_flag(flags.PREFER_PRECISION_CONSTRAINTS)
        _keep_float32(library.module, network, graph.float32_layers)
    if request.precision == "int8":
        config.set_flag(flags.INT8)


def _keep_float32(module: Any, network: Any, names: Set[str]) -> None:
    """Request float32 for precision-sensitive layers, in libraries that choose types themselves."""
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.name in names:
            layer.precision = module.float32
            for place in range(layer.num_outputs):
                layer.set_output_type(place, module.float32)


def _set_targets(library: Library, config: Any, targets: tuple[str, ...]) -> None:
    if not library.capabilities.compute_capabilities:
        return
    known = library.module.ComputeCapability
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        if not hasattr(known, target.upper()):
            names = [name.lower() for name in dir(known) if name.startswith("SM")]
            raise ConfigError(
                f"{library.name} builds nothing for {target}: expected some of {', '.join(names)}"
            )
        config.set_compute_capability(getattr(known, target.upper()), index)


def _shapes(graph: Graph, request: EngineRequest) -> Shapes:
    def shape(count: int, side: int) -> tuple[int, ...]:
        is_bytes = request.sample_type == "uint8"
        return (count, side, side, 3) if is_bytes else (count, 3, side, side)

    most = shape(request.batch, request.tile_px)
    return shape(1, graph.least_px), most, most


def _add_profiles(
    library: Library, builder: Any, config: Any, network: Any, shapes: Shapes
) -> None:
    if library.capabilities.profile_sharing_preview:
        feature = library.module.PreviewFeature.PROFILE_SHARING_0806
        config.set_preview_feature(feature, True)
    name = network.get_input(0).name
    for _ in range(profile_count(library)):
        profile = builder.create_optimization_profile()
        profile.set_shape(name, *shapes)
        if config.add_optimization_profile(profile) < 0:
            raise BackendError(
                f"{library.name} rejects tiles from {list(shapes[0])} to "
                f"{list(shapes[2])}: choose another --tile or --batch"
            )


def _timing_cache(library: Library) -> Path | None:
    """Return the file that keeps kernel timings for the next build; None for RTX, without any."""
    if library.capabilities.compute_capabilities:
        return None
    return cache_folder() / f"timing-{library.flavor}-{library.version}.cache"


def _read_timing_cache(config: Any, path: Path | None) -> None:
    if path is None:
        return
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        content = b""  # it is read to save time only
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        # Of another GPU or version: begin a new one.
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _write_timing_cache(config: Any, path: Path | None) -> None:
    if path is None:
        return
    cache = config.get_timing_cache()
    if cache is not None:
        try:
            write_whole(path, bytes(cache.serialize()))
        except TargetError as error:  # the plan is worth more than what it would save
            _logger.warning("the next build will take longer: %s", error)


def _parse_failure(library: Library, parser: Any, mark: int) -> str:
    reasons = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = f"number {error.node()}"
        if hasattr(error, "node_name"):  # since 10
            node = f"{error.node_name()} ({error.node_operator()})"
        reasons.append(f"node {node}: {_one_line(error.desc())}")
    return (
        f"{library.name} rejects the graph: {'; '.join(reasons) or library.messages.reason(mark)}. "
        "Try --precision fp32; if that is refused too, the model needs an operator that this "
        "TensorRT does not have: export it another way, or use a newer TensorRT"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


def _build_failure(library: Library, mark: int) -> BackendError:
    reason = library.messages.reason(mark)
    if library.messages.ran_out_of_memory(mark):
        return OutOfDeviceMemory(
            f"{library.name} ran out of GPU memory ({reason}): lower --batch or --tile, or close "
            "other programs that use the GPU"
        )
    return BuildRefused(
        f"{library.name} cannot build the engine ({reason}): try --precision fp32 or a smaller "
        "--tile; if that fails too, please report it with this message"
    )
