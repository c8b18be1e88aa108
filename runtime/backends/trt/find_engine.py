"""Finds the engine to run: a current one from the cache, or a new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from runtime.backends.gpu import Gpu
from runtime.backends.trt.backend import EngineFile
from runtime.backends.trt.engine_cache import cache_folder, engine_name_prefix
from runtime.backends.trt.engine_facts import Circumstances, EngineFacts, reason_not_to_load
from runtime.backends.trt.engine_file import SUFFIX, read_facts
from runtime.backends.trt.library import Library
from runtime.backends.trt.request import DEFAULT_BATCH, BuildEngine, EngineRequest
from runtime.errors import BackendError, ModelError
from runtime.model.info import file_sha256
from runtime.tiles.plan import LEAST_DEFAULT_TILE_PX

LEAST_TILE_PX = 64
"""Smallest tile size tried when memory runs out."""

TILE_BYTES = 512 << 20
"""Rough memory per tile of `LEAST_DEFAULT_TILE_PX` in a slot: our largest network's."""


def batch_for(free_bytes: int, tile_px: int, slots: int) -> int:
    """Choose a batch that fits in memory: a power of two, at most the default."""
    room = free_bytes * LEAST_DEFAULT_TILE_PX**2 / (TILE_BYTES * slots * tile_px**2)
    batch = DEFAULT_BATCH
    while batch > max(room, 1):
        batch //= 2
    return max(batch, 1)


def find_engine(
    onnx: Path, request: EngineRequest, library: Library, gpu: Gpu
) -> EngineFile | None:
    """Return the best current engine in the cache: the requested tile size, then the largest batch.

    Batches above the one asked for come last: they may not fit.

    Args:
        onnx: the model file.
        request: the request; other tile and batch sizes are acceptable.
        library: TensorRT library to run it.
        gpu: GPU to run it on.
    """
    fitting = [file for file, _ in _engines(onnx, request, library, gpu) if file is not None]
    if not fitting:
        return None

    def rank(file: EngineFile) -> tuple[bool, bool, int, int]:
        facts = file.facts
        fits = facts.batch <= request.batch
        return (
            facts.request.tile_px == request.tile_px,
            fits,
            facts.tile_px,
            facts.batch if fits else -facts.batch,
        )

    return max(fitting, key=rank)


def get_engine(
    onnx: Path, request: EngineRequest, library: Library, gpu: Gpu, build: BuildEngine | None
) -> EngineFile:
    """Return an engine that may be loaded, from the cache or newly built.

    Args:
        onnx: the model file.
        request: the request.
        library: TensorRT library to run it.
        gpu: GPU to run it on.
        build: builds it; None to never build.

    Raises:
        BackendError: there is none and none is to be built; the message says why the ones that
            there are cannot be loaded.
        DggnError: building it failed.
    """
    found = find_engine(onnx, request, library, gpu)
    if found is not None and (build is None or found.facts.request.tile_px == request.tile_px):
        return found
    if build is None:
        reasons = [reason for _, reason in _engines(onnx, request, library, gpu)]
        stale = f" (there is one, but {reasons[0]})" if reasons else ""
        raise BackendError(
            f"there is no TensorRT engine of {onnx.name} for this GPU{stale}: "
            "`dggn-export trt` builds one"
        )
    path = build(onnx, request, gpu)
    return EngineFile(path=path, facts=read_facts(path))


def smaller_request(request: EngineRequest, facts: EngineFacts) -> EngineRequest | None:
    """Reduce a request whose engine needs too much memory; None if it cannot be reduced."""
    if facts.batch > 1:
        return replace(request, tile_px=facts.tile_px, batch=facts.batch // 2)
    multiple = facts.info.size_multiple_px
    tile_px = facts.tile_px // 2 // multiple * multiple
    if tile_px < LEAST_TILE_PX or tile_px <= 2 * facts.info.halo_px:
        return None
    return replace(request, tile_px=tile_px, batch=1)


def _engines(
    onnx: Path, request: EngineRequest, library: Library, gpu: Gpu
) -> Iterator[tuple[EngineFile | None, str]]:
    """Yield cached engines of a model, precision and sample type, or why each is unusable."""
    sha256 = file_sha256(onnx)
    here = Circumstances(onnx_sha256=sha256, library_version=library.version, gpu=gpu)
    beginning = engine_name_prefix(onnx.stem, request.precision, request.sample_type)
    for path in sorted(cache_folder().glob(f"{beginning}*{SUFFIX}")):
        try:
            facts = read_facts(path)
        except ModelError as error:
            yield None, str(error)
            continue
        # Any tile and batch will do.
        alike = replace(request, tile_px=facts.request.tile_px, batch=facts.request.batch)
        reason = reason_not_to_load(facts, alike, here)
        yield (None, reason) if reason else (EngineFile(path=path, facts=facts), "")
