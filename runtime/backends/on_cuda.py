"""Opens ONNX Runtime on CUDA: in float16 if that reproduces the pictures, otherwise in float32."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from runtime.backends.cuda.open import open_device
from runtime.backends.gpu import Gpu, require_gpu
from runtime.backends.half_cache import half_path
from runtime.backends.in_slots import SLOTS, SlotModel, SlotsBackend
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.ort_session import load_onnxruntime
from runtime.backends.ort_slots import SessionExecution
from runtime.backends.request import BackendRequest
from runtime.backends.trt.by_depth import BitDepthRouter
from runtime.backends.trt.find_engine import batch_for
from runtime.backends.trt.verify import verification_failure, verify_with
from runtime.errors import BackendError, DggnError, MissingDependency, ModelError, TargetError
from runtime.model.info import ModelInfo
from runtime.system.files import write_whole
from runtime.tiles.backend import Backend
from runtime.tiles.plan import default_tile_px

VERIFIED_SUFFIX = ".verified.json"
"""Suffix of the note that a float16 model reproduced the float32 one's pictures."""


def open_on_cuda(onnx: Path, device: int, request: BackendRequest) -> Backend:
    """Open a model on one GPU.

    Models of other programs, whose tensors may be of any kind, and machines without a package for
    CUDA get :class:`OrtBackend`, which copies tile by tile.

    Args:
        onnx: the model's file.
        device: CUDA device index.
        request: how it is to run.

    Raises:
        BackendError: ONNX Runtime does not start on CUDA; the message says why.
        MissingDependency: it is not installed.
        ModelError: the file cannot be loaded.
    """
    plain = OrtBackend(onnx, threads=request.threads, where="cuda", device=device)
    if plain.is_foreign:
        return plain
    try:
        gpu = require_gpu(device)
    except (BackendError, MissingDependency) as error:
        request.say(f"tiles go to the GPU one by one: {error}")
        return plain
    info = plain.info
    plain.cancel()

    def open_floats() -> Backend:
        return _open(onnx, info, info.precision, gpu, request)

    if request.precision is None and info.precision == "float32" == info.sample_type:
        half = _open_half(onnx, info, gpu, request)
        if half is not None:
            return BitDepthRouter(half, open_floats)
    return open_floats()


def _open_half(
    onnx: Path, info: ModelInfo, gpu: Gpu, request: BackendRequest
) -> SlotsBackend | None:
    """Open the float16 version of a model; None if there is no usable one."""
    path = half_path(onnx)
    try:
        if request.half is not None:
            path = request.half(onnx)
    except DggnError as error:
        request.say(f"computing in float32, because float16 is not available: {error}")
        return None
    if not path.is_file():
        request.say(
            f"computing in float32, because the cache has no float16 version of {onnx.stem}: "
            "dggn-run --backend cuda makes it"
        )
        return None
    try:
        backend = _open(path, replace(info, sample_type="uint8"), "float16", gpu, request)
    except (BackendError, ModelError) as error:
        request.say(f"computing in float32, because float16 cannot be used here: {error}")
        return None
    with ExitStack() as on_failure:
        on_failure.enter_context(backend)
        problem = _verify(onnx, path, backend, gpu, request)
        if problem is None:
            on_failure.pop_all()
            return backend
    request.say(f"computing in float32, because float16 is not good enough here: {problem}")
    return None


def _open(
    path: Path, info: ModelInfo, precision: str, gpu: Gpu, request: BackendRequest
) -> SlotsBackend:
    tile_px = default_tile_px(info.halo_px) if request.tile_px is None else request.tile_px
    device = open_device(gpu.index)
    with ExitStack() as on_failure:
        on_failure.callback(device.close)
        with device.active():
            batch = batch_for(device.free_bytes(), tile_px, SLOTS)
        on_failure.pop_all()  # from here on the backend closes it
    model = SlotModel(path=path, info=info, precision=precision, tile_px=tile_px, batch=batch)
    return SlotsBackend(
        model,
        lambda number: SessionExecution(model, gpu.index),
        device,
        description=f"ONNX Runtime on CUDA in {precision}, {gpu.name}",
        say=request.say,
    )


def _verify(
    onnx: Path, half: Path, backend: Backend, gpu: Gpu, request: BackendRequest
) -> str | None:
    """Compare a float16 model with its float32 original, once per GPU and version.

    Returns:
        Why it may not be used; None where it may.
    """
    note = half.with_name(half.name + VERIFIED_SUFFIX)
    here = {"gpu": gpu.name, "onnxruntime": str(load_onnxruntime().__version__)}
    if _holds(note, here):
        return None
    request.say(f"{onnx.stem} runs in float16 on {gpu.name} for the first time: verifying it")
    assert backend.largest_tile_px is not None
    open_reference: Callable[[], Backend] = lambda: OrtBackend(  # noqa: E731
        onnx, threads=request.threads, where="cpu"
    )
    try:
        found = verify_with(backend, open_reference, backend.largest_tile_px)
    except BackendError as error:
        return str(error)
    problem = verification_failure(found, "fp16")
    if problem is None:
        try:
            write_whole(note, json.dumps({**here, "psnr_db": found.psnr_db}).encode())
        except TargetError as error:
            request.say(f"the next run will verify it again: {error}")
    return problem


def _holds(note: Path, here: dict[str, str]) -> bool:
    try:
        kept = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(kept, dict) and all(kept.get(name) == one for name, one in here.items())
