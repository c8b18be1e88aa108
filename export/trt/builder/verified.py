"""Builds verified engines, falling back to safer precisions where verification fails."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dggn.onnx_graph.source import SourceModel
from export.trt.builder.interrupt import build_interruptibly
from export.trt.builder.plan import BuildRefused, PlanSpec
from export.trt.passes.activations import largest_activation
from export.trt.passes.assemble import tensorrt_graph
from export.trt.passes.half import LARGEST_HALF
from export.trt.passes.islands import float32_layers
from runtime.backends.gpu import Gpu
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.engine_cache import cache_folder
from runtime.backends.trt.engine_facts import (
    EngineFacts,
    EngineOptions,
    EnginePrecision,
    with_verification,
)
from runtime.backends.trt.engine_file import write_engine
from runtime.backends.trt.library import Library
from runtime.backends.trt.verify import verification_failure, verification_tiles, verify_with
from runtime.errors import BackendError, ConfigError, ModelError, OutOfDeviceMemory, TargetError
from runtime.model.info import ModelInfo
from runtime.system.files import make_folder
from runtime.system.terminal import OnProgress
from runtime.tiles.backend import Backend

if TYPE_CHECKING:
    import onnx

PROFILES = 4
"""Number of profiles if contexts cannot share one: one per slot of the runtime."""

LEAST_TILE_PX = 64
"""Smallest tile size tried when memory runs out."""

SAFER: dict[EnginePrecision, EnginePrecision] = {"fp16": "fp32"}
"""Next precision to try. Quantized models have none: their weights are 8-bit."""

OpenEngine = Callable[[Path, Gpu], Backend]
"""Opens an engine, with its sidecar beside it, on a GPU."""


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """Tools and callbacks of a build."""

    library: Library
    """TensorRT library that builds."""

    gpu: Gpu | None
    """GPU that verifies, and that classic engines are built for; None without one."""

    open_engine: OpenEngine | None
    """Opens an engine for verification; None if nothing can run it."""

    say: Callable[[str], None]
    """Receives one-line status messages."""

    on_progress: OnProgress
    """Receives the build's progress."""

    cancelled: threading.Event
    """Ends the build when set."""


def engine_info(info: ModelInfo, options: EngineOptions) -> ModelInfo:
    """Return the model's facts as its engine has them."""
    return replace(info, sample_type=options.sample_type)


def build_engine(
    source: SourceModel, options: EngineOptions, target: Path, context: BuildContext
) -> EngineFacts:
    """Build an engine, verify it if there is a GPU, and only then move it to its final name.

    A precision that TensorRT cannot build, or that fails its verification, is followed by the next
    safer one; batch and tile shrink if the GPU's memory runs out. Either is reported.

    Args:
        source: the model.
        options: settings of the engine.
        target: the engine's file; replaced together with its sidecar.
        context: tools and callbacks.

    Returns:
        Facts for the sidecar.

    Raises:
        ConfigError: the options do not fit the model.
        ModelError: the graph cannot be converted, or TensorRT refuses it.
        BackendError: the build fails, or no precision passes verification.
        OutOfDeviceMemory: the engine does not fit into the GPU's free memory.
        Cancelled: it was cancelled; nothing is left.
        TargetError: a file cannot be written.
    """
    _check_tile(source.info, options)
    make_folder(target.parent)
    with _work_folder(target) as folder:
        return _build_verified(source, options, target, folder, context)


def _build_verified(
    source: SourceModel, options: EngineOptions, target: Path, folder: Path, context: BuildContext
) -> EngineFacts:
    largest = None if source.is_quantized else _largest(source, options)
    precision: EnginePrecision = options.precision
    if precision == "fp16" and largest is not None and not largest <= LARGEST_HALF:
        context.say(
            f"{source.path.name} reaches values of {largest:g}, and float16 ends at "
            f"{LARGEST_HALF:g}: building fp32 instead"
        )
        precision = "fp32"
    while True:
        try:
            plan, facts = _build(source, options, precision, context)
        except (BuildRefused, ModelError) as error:
            if precision not in SAFER:
                raise
            problem, outcome = str(error), "cannot be built"
        else:
            facts = replace(facts, largest_activation=largest)
            failed, facts = _verify(plan, facts, folder / target.name, source, context)
            if failed is None:
                write_engine(target, plan, facts)
                return facts
            problem, outcome = failed, "is not good enough"
        safer = SAFER.get(precision)
        if safer is None:
            raise BackendError(
                f"the {precision} engine does not reproduce the model's results: {problem}. "
                "Nothing was kept; update the driver and TensorRT, or build from the float32 model"
            )
        context.say(f"the {precision} engine {outcome} ({problem}): building {safer} instead")
        precision = safer


def _build(
    source: SourceModel, options: EngineOptions, precision: EnginePrecision, context: BuildContext
) -> tuple[bytes, EngineFacts]:
    capabilities = context.library.capabilities
    model = tensorrt_graph(
        source,
        precision=precision,
        sample_type=options.sample_type,
        capabilities=capabilities,
    )
    islands = float32_layers(model) if capabilities.precision_flags else frozenset()
    shares = capabilities.shared_profiles or capabilities.profile_sharing_preview
    profiles = 1 if shares else PROFILES
    timing = f"timing-{options.flavor}-{context.library.version}.cache"
    info = engine_info(source.info, options)
    context.say(
        f"building for {', '.join(options.targets)} in {precision} with {context.library.name}"
    )
    most = min(options.batch, _fixed_batch(model) or options.batch)
    for tile_px, batch in _shrinking(options.tile_px, most, info.size_multiple_px):
        spec = PlanSpec(
            graph=model.SerializeToString(),
            precision=precision,
            shapes=_shapes(info, tile_px, batch),
            profiles=profiles,
            targets=options.targets,
            float32_layers=islands,
            timing_cache=cache_folder() / timing,
        )
        try:
            plan = build_interruptibly(
                context.library,
                spec,
                on_progress=context.on_progress,
                cancelled=context.cancelled,
                device=context.gpu.index if context.gpu else 0,
            )
        except OutOfDeviceMemory as error:
            context.say(f"batches of {batch} tiles of {tile_px} px do not fit: {error}")
            reason = error
            continue
        return plan, EngineFacts(
            onnx_sha256=source.sha256,
            onnx_name=source.path.name,
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            plan_bytes=len(plan),
            options=options,
            precision=precision,
            tile_px=tile_px,
            batch=batch,
            library_version=context.library.version,
            gpu_name=context.gpu.name if context.gpu else "",
            cuda_version=context.gpu.cuda_version if context.gpu else "",
            least_px=_least_px(info),
            profiles=profiles,
            info=info,
            largest_activation=None,
            verification=None,
        )
    raise reason


def _shrinking(tile_px: int, batch: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Yield tile sizes and batches to try, starting with the requested ones."""
    yield tile_px, batch
    while batch > 1 or tile_px // 2 >= max(LEAST_TILE_PX, multiple):
        if batch > 1:
            batch //= 2
        else:
            tile_px = tile_px // 2 // multiple * multiple
        yield tile_px, batch


def _fixed_batch(model: onnx.ModelProto) -> int:
    """Return the batch size that the graph is fixed to; 0 for any."""
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)


def _shapes(
    info: ModelInfo, tile_px: int, batch: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    least = _least_px(info)

    def shape(count: int, side: int) -> tuple[int, ...]:
        is_bytes = info.sample_type == "uint8"
        return (count, side, side, 3) if is_bytes else (count, 3, side, side)

    return shape(1, least), shape(batch, tile_px), shape(batch, tile_px)


def _least_px(info: ModelInfo) -> int:
    return info.size_multiple_px


def _check_tile(info: ModelInfo, options: EngineOptions) -> None:
    if options.tile_px % info.size_multiple_px or options.tile_px <= 2 * info.halo_px:
        raise ConfigError(
            f"--tile is {options.tile_px}: expected a multiple of {info.size_multiple_px} above "
            f"{2 * info.halo_px}, because tiles overlap by {info.halo_px} px on each side"
        )


def _largest(source: SourceModel, options: EngineOptions) -> float:
    return largest_activation(source, verification_tiles(source.info, options.tile_px)[0])


def _verify(
    plan: bytes, facts: EngineFacts, candidate: Path, source: SourceModel, context: BuildContext
) -> tuple[str | None, EngineFacts]:
    """Verify an engine; return the reason to reject it, if any, and the updated facts."""
    gpu, open_engine = context.gpu, context.open_engine
    if gpu is None or open_engine is None or gpu.sm not in facts.options.targets:
        return None, facts
    context.on_progress("Verifying", 1.0)
    write_engine(candidate, plan, facts)
    try:
        with open_engine(candidate, gpu) as engine:
            found = verify_with(engine, lambda: OrtBackend(source.path, where="cpu"), facts.tile_px)
    except OutOfDeviceMemory:
        raise  # a safer precision needs more of it
    except (BackendError, ModelError) as error:
        return str(error), facts
    return verification_failure(found, facts.precision), with_verification(facts, found)


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """Provide a temporary folder beside the target, removed afterwards in any case.

    It is made before the work, because a folder that cannot be written to is better known before a
    build of minutes.
    """
    try:
        folder = TemporaryDirectory(prefix=".dggn-", dir=target.parent)
    except OSError as error:
        raise TargetError(
            f"{target.parent} cannot be written to: {error.strerror}. Choose another --output"
        ) from error
    with folder as name:
        yield Path(name)
