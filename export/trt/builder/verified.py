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
from export.trt.builder.plan import BuildRefused, Graph, profile_count
from export.trt.passes.activations import largest_activation
from export.trt.passes.assemble import tensorrt_graph
from export.trt.passes.half import LARGEST_HALF
from export.trt.passes.islands import float32_layers
from runtime.backends.gpu import Gpu
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.engine_facts import EngineFacts, with_verification
from runtime.backends.trt.engine_file import write_engine
from runtime.backends.trt.library import Library
from runtime.backends.trt.request import EnginePrecision, EngineRequest
from runtime.backends.trt.verify import verification_failure, verification_tiles, verify_with
from runtime.errors import BackendError, ConfigError, ModelError, OutOfDeviceMemory, TargetError
from runtime.model.info import ModelInfo
from runtime.system.files import make_folder
from runtime.system.terminal import OnProgress
from runtime.tiles.backend import Backend

if TYPE_CHECKING:
    import onnx

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


def engine_info(info: ModelInfo, request: EngineRequest) -> ModelInfo:
    """Return the model's facts as its engine has them."""
    return replace(info, sample_type=request.sample_type)


def build_engine(
    source: SourceModel, request: EngineRequest, target: Path, context: BuildContext
) -> EngineFacts:
    """Build an engine, verify it if there is a GPU, and only then move it to its final name.

    A precision that TensorRT cannot build, or that fails its verification, is followed by the next
    safer one; batch and tile shrink if the GPU's memory runs out. Either is reported.

    Args:
        source: the model.
        request: the engine wanted of it.
        target: the engine's file; replaced together with its sidecar.
        context: tools and callbacks.

    Returns:
        Facts for the sidecar.

    Raises:
        ConfigError: the request does not fit the model.
        ModelError: the graph cannot be converted, or TensorRT refuses it.
        BackendError: the build fails, or no precision passes verification.
        OutOfDeviceMemory: the engine does not fit into the GPU's free memory.
        Cancelled: it was cancelled; nothing is left.
        TargetError: a file cannot be written.
    """
    _check_tile(source.info, request)
    make_folder(target.parent)
    with _work_folder(target) as folder:
        return _build_verified(source, request, target, folder, context)


def _build_verified(
    source: SourceModel, request: EngineRequest, target: Path, folder: Path, context: BuildContext
) -> EngineFacts:
    largest = None if source.is_quantized else _largest(source, request)
    precision: EnginePrecision = request.precision
    if precision == "fp16" and largest is not None and not largest <= LARGEST_HALF:
        context.say(
            f"{source.path.name} reaches values of {largest:g}, and float16 ends at "
            f"{LARGEST_HALF:g}: building fp32 instead"
        )
        precision = "fp32"
    while True:
        try:
            plan, facts, failed = _build(
                source, request, precision, folder / target.name, context, largest=largest
            )
        except (BuildRefused, ModelError) as error:
            if precision not in SAFER:
                raise
            problem, outcome = str(error), "cannot be built"
        else:
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
    source: SourceModel,
    request: EngineRequest,
    precision: EnginePrecision,
    candidate: Path,
    context: BuildContext,
    *,
    largest: float | None,
) -> tuple[bytes, EngineFacts, str | None]:
    """Build and verify the largest engine that fits into the GPU's memory.

    Returns:
        The plan, its facts, and the reason to reject it, if any.
    """
    library, gpu = context.library, context.gpu
    capabilities = library.capabilities
    model = tensorrt_graph(
        source,
        precision=precision,
        sample_type=request.sample_type,
        capabilities=capabilities,
    )
    info = engine_info(source.info, request)
    graph = Graph(
        content=model.SerializeToString(),
        least_px=source.least_px,
        float32_layers=float32_layers(model) if capabilities.precision_flags else frozenset(),
    )
    context.say(f"building for {', '.join(request.targets)} in {precision} with {library.name}")
    most = min(request.batch, _fixed_batch(model) or request.batch)
    first = replace(request, precision=precision, batch=most)
    for wanted in _shrinking(first, info):
        try:
            plan = build_interruptibly(
                library,
                graph,
                wanted,
                on_progress=context.on_progress,
                cancelled=context.cancelled,
                device=gpu.index if gpu else 0,
            )
            facts = EngineFacts(
                onnx_sha256=source.sha256,
                onnx_name=source.path.name,
                plan_sha256=hashlib.sha256(plan).hexdigest(),
                plan_bytes=len(plan),
                request=request,
                precision=wanted.precision,
                tile_px=wanted.tile_px,
                batch=wanted.batch,
                library_version=library.version,
                gpu_name=gpu.name if gpu else "",
                cuda_version=gpu.cuda_version if gpu else "",
                least_px=graph.least_px,
                profiles=profile_count(library),
                info=info,
                largest_activation=largest,
                verification=None,
            )
            failed, facts = _verify(plan, facts, candidate, source, context)
        except OutOfDeviceMemory as error:
            context.say(
                f"batches of {wanted.batch} tiles of {wanted.tile_px} px do not fit: {error}"
            )
            reason = error
        else:
            return plan, facts, failed
    raise reason


def _shrinking(request: EngineRequest, info: ModelInfo) -> Iterator[EngineRequest]:
    """Yield requests to try: this one, then smaller batches and tiles."""
    multiple = info.size_multiple_px
    while True:
        yield request
        if request.batch > 1:
            request = replace(request, batch=request.batch // 2)
            continue
        tile_px = request.tile_px // 2 // multiple * multiple
        if tile_px < max(LEAST_TILE_PX, 2 * info.halo_px + 1):
            return
        request = replace(request, tile_px=tile_px)


def _fixed_batch(model: onnx.ModelProto) -> int:
    """Return the batch size that the graph is fixed to; 0 for any."""
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)


def _check_tile(info: ModelInfo, request: EngineRequest) -> None:
    if request.tile_px % info.size_multiple_px or request.tile_px <= 2 * info.halo_px:
        raise ConfigError(
            f"--tile is {request.tile_px}: expected a multiple of {info.size_multiple_px} above "
            f"{2 * info.halo_px}, because tiles overlap by {info.halo_px} px on each side"
        )


def _largest(source: SourceModel, request: EngineRequest) -> float:
    return largest_activation(source, verification_tiles(source.info, request.tile_px)[0])


def _verify(
    plan: bytes, facts: EngineFacts, candidate: Path, source: SourceModel, context: BuildContext
) -> tuple[str | None, EngineFacts]:
    """Verify an engine; return the reason to reject it, if any, and the updated facts."""
    gpu, open_engine = context.gpu, context.open_engine
    if gpu is None or open_engine is None or gpu.sm not in facts.request.targets:
        return None, facts
    context.on_progress("Verifying", 1.0)
    write_engine(candidate, plan, facts)
    try:
        with open_engine(candidate, gpu) as engine:
            found = verify_with(engine, lambda: OrtBackend(source.path, where="cpu"), facts.tile_px)
    except OutOfDeviceMemory:
        raise  # a smaller engine may fit; a safer precision needs more of it
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
