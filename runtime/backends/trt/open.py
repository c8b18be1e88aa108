"""Opens TensorRT backends on one or several GPUs, verified before first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from runtime.backends.cuda.open import open_device
from runtime.backends.gpu import Gpu, require_gpu
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.team import DeviceTeam
from runtime.backends.trt.backend import DEFAULT_SLOTS, EngineFile, TrtBackend, no_smaller_engine
from runtime.backends.trt.by_depth import BitDepthRouter
from runtime.backends.trt.engine_facts import with_verification
from runtime.backends.trt.engine_file import read_facts, write_facts
from runtime.backends.trt.find_engine import batch_for, get_engine, smaller_request
from runtime.backends.trt.library import Library, find_library
from runtime.backends.trt.request import DEFAULT_BATCH, EnginePrecision, EngineRequest
from runtime.backends.trt.verify import verification_failure, verify_with
from runtime.errors import BackendError, TargetError
from runtime.model.info import ModelInfo, SampleType, WantedPrecision, tensorrt_model_path
from runtime.tiles.backend import Backend
from runtime.tiles.plan import default_tile_px


def open_tensorrt(onnx: Path, request: BackendRequest) -> Backend:
    """Open a backend for 8-bit pictures, which opens one for 16-bit pictures when needed.

    Args:
        onnx: the model file.
        request: devices, precision and tile size.

    Raises:
        MissingDependency: TensorRT or a package for CUDA is not installed.
        BackendError: there is no GPU, or no engine that can be used on it.
        DggnError: building an engine failed.
    """
    onnx = tensorrt_model_path(onnx)
    with OrtBackend(onnx, threads=1, where="cpu") as model:
        info = model.info
    # Before TensorRT is touched: without a GPU, some versions end the process.
    gpus = [require_gpu(index) for index in request.gpus]
    library = find_library()

    def open_all(sample_type: SampleType) -> Backend:
        def open_one(gpu: Gpu) -> TrtBackend:
            wanted = _engine_request(request, info, sample_type, library, gpu)
            return _open_one(onnx, wanted, library, gpu, request)

        return _open_team(open_one, gpus, request.say)

    return BitDepthRouter(open_all("uint8"), lambda: open_all("float32"))


def _engine_request(
    request: BackendRequest, info: ModelInfo, sample_type: SampleType, library: Library, gpu: Gpu
) -> EngineRequest:
    """Return the engine that a run wants of a model on one GPU."""
    return EngineRequest(
        flavor=library.flavor,
        precision=_engine_precision(info, request.precision),
        sample_type=sample_type,
        tile_px=default_tile_px(info.halo_px) if request.tile_px is None else request.tile_px,
        batch=DEFAULT_BATCH,
        targets=(gpu.sm,),
    )


def _engine_precision(info: ModelInfo, wanted: WantedPrecision | None) -> EnginePrecision:
    """Return the engine precision for a model."""
    if wanted is None:
        return "int8" if info.precision == "int8" else "fp16"
    return "fp32" if wanted == "float32" else "int8"


def _open_team(
    open_one: Callable[[Gpu], TrtBackend], gpus: Sequence[Gpu], say: Callable[[str], None]
) -> Backend:
    """Open one backend over all GPUs; unusable ones are left out if any works."""
    errors: list[BackendError] = []
    with ExitStack() as opened:
        members: list[Backend] = []
        for gpu in gpus:
            try:
                member = open_one(gpu)
            except BackendError as error:
                errors.append(error)
                if len(gpus) > 1:
                    say(f"GPU {gpu.index}, {gpu.name}, is not used: {error}")
            else:
                members.append(opened.enter_context(member))
        if not members:
            raise errors[0]
        opened.pop_all()
    return members[0] if len(members) == 1 else DeviceTeam(members, say=say)


def _open_one(
    onnx: Path, wanted: EngineRequest, library: Library, gpu: Gpu, request: BackendRequest
) -> TrtBackend:
    build = request.build
    device = open_device(gpu.index)
    with ExitStack() as on_failure:
        on_failure.callback(device.close)
        with device.active():
            batch = batch_for(device.free_bytes(), wanted.tile_px, DEFAULT_SLOTS)
        wanted = replace(wanted, batch=batch)
        file = get_engine(onnx, wanted, library, gpu, build)
        on_failure.pop_all()  # from here on the backend closes it

    def smaller(file: EngineFile) -> EngineFile | None:
        less = smaller_request(wanted, file.facts)
        if less is None or build is None:
            return None
        path = build(onnx, less, gpu)
        return EngineFile(path=path, facts=read_facts(path))

    backend = TrtBackend(
        file,
        library,
        device,
        gpu,
        say=request.say,
        smaller=no_smaller_engine if build is None else smaller,
        graphs=request.cuda_graphs,
    )
    with ExitStack() as on_failure:
        on_failure.enter_context(backend)
        if file.facts.verification is None:
            _verify(request, onnx, file, backend)
        on_failure.pop_all()
    return backend


def _verify(request: BackendRequest, onnx: Path, file: EngineFile, backend: TrtBackend) -> None:
    """Verify an engine built without a GPU against its model.

    Raises:
        BackendError: it does not reproduce the model's results.
        MissingDependency: ONNX Runtime, the reference, is not installed.
    """
    request.say(f"{file.path.name} is used for the first time: verifying it")
    found = verify_with(
        backend,
        lambda: OrtBackend(onnx, threads=request.threads, where="cpu"),
        file.facts.tile_px,
    )
    problem = verification_failure(found, file.facts.precision)
    if problem:
        raise BackendError(
            f"{file.path} does not reproduce the model's results: {problem}. Build it again with "
            "`dggn-export trt --force`, with --precision fp32 if necessary"
        )
    try:
        write_facts(file.path, with_verification(file.facts, found))
    except TargetError as error:
        request.say(f"the next run will verify it again: {error}")


def open_engine(path: Path, gpu: Gpu) -> TrtBackend:
    """Open a backend for a newly built engine, to verify it.

    Raises:
        ModelError: it is not what its sidecar says.
        BackendError: it fails.
    """
    file = EngineFile(path=path, facts=read_facts(path))
    library = find_library(file.facts.request.flavor)
    device = open_device(gpu.index)
    return TrtBackend(file, library, device, gpu, say=lambda line: None, slots=1)
