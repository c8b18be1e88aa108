"""Opens TensorRT backends: for a model on one or several GPUs, verified before their first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.backends.cuda.open import open_device
from runtime.backends.gpu import Gpu, require_gpu
from runtime.backends.team import DeviceTeam
from runtime.backends.trt.backend import DEFAULT_SLOTS, EngineFile, TrtBackend, nothing_smaller
from runtime.backends.trt.by_depth import ByDepth
from runtime.backends.trt.engine_facts import EnginePrecision, verified
from runtime.backends.trt.engine_file import read_facts, write_facts
from runtime.backends.trt.find_engine import (
    BuildEngine,
    EngineRequest,
    batch_for,
    get_engine,
    smaller_request,
)
from runtime.backends.trt.library import Library, find_library
from runtime.backends.trt.slots import Say
from runtime.backends.trt.verify import failure, verify_with
from runtime.errors import BackendError, TargetError
from runtime.model.info import SampleType, file_sha256
from runtime.tiles.backend import Backend


@dataclass(frozen=True, kw_only=True)
class TrtWish:
    """What somebody wants of TensorRT."""

    onnx: Path
    """The model."""

    precision: EnginePrecision
    """To compute in."""

    tile_px: int
    """Largest tile."""

    devices: Sequence[int]
    """GPUs, as CUDA numbers them; at least one."""

    build: BuildEngine | None
    """Builds engines; None where none is to be built."""

    say: Say
    """Told what people should know: a line each."""

    open_reference: Callable[[], Backend]
    """Opens the float32 model on the CPU, for verification."""


def open_tensorrt(wish: TrtWish) -> Backend:
    """A backend for pictures of 8 bits, and, from the first one on, of 16.

    Raises:
        MissingDependency: TensorRT or a package for CUDA is not installed.
        BackendError: there is no GPU, or no engine that can be used on it.
        DggnError: building an engine failed.
    """
    # Before TensorRT is touched: without a GPU, some versions end the process.
    gpus = [require_gpu(index) for index in wish.devices]
    library = find_library()
    request = EngineRequest(
        onnx=wish.onnx,
        onnx_sha256=file_sha256(wish.onnx),
        flavor=library.flavor,
        precision=wish.precision,
        sample_type="uint8",
        tile_px=wish.tile_px,
    )

    def open_all(sample_type: SampleType) -> Backend:
        return _open_all(wish, replace(request, sample_type=sample_type), library, gpus)

    return ByDepth(open_all("uint8"), lambda: open_all("float32"))


def open_engine(path: Path, gpu: Gpu) -> TrtBackend:
    """A backend of an engine that was just built, to verify it.

    Raises:
        ModelError: it is not what its sidecar says.
        BackendError: it does not run.
    """
    file = EngineFile(path=path, facts=read_facts(path))
    library = find_library(file.facts.options.flavor)
    device = open_device(gpu.index)
    return TrtBackend(file, library, device, gpu, say=lambda line: None, slots=1)


def _open_all(
    wish: TrtWish, request: EngineRequest, library: Library, gpus: Sequence[Gpu]
) -> Backend:
    """One backend for all GPUs; one that cannot be used is left out, if there are others."""
    errors: list[BackendError] = []
    with ExitStack() as opened:
        members: list[Backend] = []
        for gpu in gpus:
            try:
                member = _open_one(wish, replace(request, device=gpu.index), library, gpu)
            except BackendError as error:
                errors.append(error)
                if len(gpus) > 1:
                    wish.say(f"GPU {gpu.index}, {gpu.name}, is left out: {error}")
            else:
                members.append(opened.enter_context(member))
        if not members:
            raise errors[0]
        opened.pop_all()
    return members[0] if len(members) == 1 else DeviceTeam(members, say=wish.say)


def _open_one(wish: TrtWish, request: EngineRequest, library: Library, gpu: Gpu) -> TrtBackend:
    device = open_device(gpu.index)
    with ExitStack() as on_failure:
        on_failure.callback(device.close)
        with device.active():
            batch = batch_for(device.free_bytes(), request.tile_px, DEFAULT_SLOTS)
        request = replace(request, batch=batch)
        file = get_engine(request, library, gpu, wish.build)
        on_failure.pop_all()  # from here on the backend closes it

    def smaller(file: EngineFile) -> EngineFile | None:
        less = smaller_request(request, file.facts)
        if less is None or wish.build is None:
            return None
        path = wish.build(less)
        return EngineFile(path=path, facts=read_facts(path))

    backend = TrtBackend(
        file,
        library,
        device,
        gpu,
        say=wish.say,
        smaller=nothing_smaller if wish.build is None else smaller,
    )
    with ExitStack() as on_failure:
        on_failure.enter_context(backend)
        if file.facts.verification is None:
            _verify(wish, file, backend)
        on_failure.pop_all()
    return backend


def _verify(wish: TrtWish, file: EngineFile, backend: TrtBackend) -> None:
    """Compare an engine from a machine without a GPU with the model it was built from.

    Raises:
        BackendError: it does not compute what the model does.
        MissingDependency: ONNX Runtime, which is to compare with, is not installed.
    """
    wish.say(f"{file.path.name} is used for the first time: verifying it")
    found = verify_with(backend, wish.open_reference, file.facts.tile_px)
    problem = failure(found, file.facts.precision)
    if problem:
        raise BackendError(
            f"{file.path} does not compute what the model does: {problem}. Build it again with "
            "`dggn-export trt --force`, in --precision fp32 if need be"
        )
    try:
        write_facts(file.path, verified(file.facts, found))
    except TargetError as error:
        wish.say(f"the next run will verify it again: {error}")
