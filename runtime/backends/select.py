"""Chooses the backend for a model on this machine, and explains the choice."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.ort_session import has_cuda
from runtime.backends.request import BackendRequest
from runtime.backends.team import DeviceTeam
from runtime.errors import BackendError, ConfigError, DggnError, MissingDependency
from runtime.tiles.backend import Backend

OPENVINO_WHEELS = {
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("darwin", "arm64"),
    ("win32", "AMD64"),
}
"""Platforms on which the `cpu` extra includes OpenVINO."""

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""File that exists on Linux when the driver is loaded."""


def open_backend(onnx: Path, request: BackendRequest) -> tuple[Backend, str]:
    """Open a model with the requested backend; also return the reason for a fallback.

    Args:
        onnx: the model file.
        request: backend, devices and precision.

    Returns:
        The backend, and the reason for the choice: empty if the request names it.

    Raises:
        ConfigError: GPUs are requested for the CPU.
        BackendError: GPUs are requested, and none can be used.
        DggnError: it cannot be opened; with `auto`, not even on the CPU.
    """
    if request.name in ("openvino", "onnxruntime", "cpu"):
        if request.devices is not None:
            raise ConfigError("--devices is for GPUs: leave it out, or choose another --backend")
        if request.name == "openvino":
            return _open_openvino(onnx, request), ""
        return _on_processor(onnx, request), ""
    if request.precision == "bfloat16":
        if request.name != "auto" or request.devices is not None:
            raise ConfigError("bfloat16 is for OpenVINO: leave --precision out, or --devices")
        return _open_openvino(onnx, request), "it supports bfloat16"
    if request.name == "cuda":
        return _open_cuda(onnx, request), ""
    if request.name == "tensorrt":
        return _open_tensorrt(onnx, request), ""
    backend, reason = _try_gpus(onnx, request)
    return (backend, reason) if backend else _open_on_processor(onnx, request, reason)


def open_default(
    on_gpu: Path, on_processor: Path, request: BackendRequest
) -> tuple[Path, Backend, str]:
    """Open one of two models, whichever suits what this machine computes with.

    Args:
        on_gpu: the file for NVIDIA GPUs.
        on_processor: the file for everything else.
        request: backend, devices and precision.

    Returns:
        The file, and what `open_backend` returns for it.

    Raises:
        DggnError: see `open_backend`.
    """
    if request.name in ("tensorrt", "cuda"):
        return on_gpu, *open_backend(on_gpu, request)
    if request.name != "auto" or request.precision == "bfloat16":
        return on_processor, *open_backend(on_processor, request)
    backend, reason = _try_gpus(on_gpu, request)
    if backend:
        return on_gpu, backend, reason
    return on_processor, *_open_on_processor(on_processor, request, reason)


def builds_first(request: BackendRequest) -> bool:
    """Return whether this machine has what TensorRT needs, and missing engines are to be built."""
    return (
        request.build is not None
        and request.name in ("auto", "tensorrt")
        and request.precision != "bfloat16"
        and not _no_tensorrt()
    )


def _try_gpus(onnx: Path, request: BackendRequest) -> tuple[Backend | None, str]:
    """Open TensorRT, or else ONNX Runtime on CUDA; also return the reason for the choice.

    Returns:
        None with the reason if only the CPU is left.

    Raises:
        BackendError: GPUs are requested, and none can be used.
    """
    reason = _no_tensorrt()
    if not reason:
        try:
            return _open_tensorrt(onnx, request), "it has an engine for this GPU"
        except DggnError as error:
            reason = f"TensorRT cannot be used: {error}"
    if has_cuda():
        try:
            return _open_cuda(onnx, request), reason
        except BackendError as error:
            reason = f"{reason}, and {error}"
    if request.devices is not None:
        chosen = ",".join(map(str, request.devices))
        raise BackendError(
            f"--devices {chosen} names GPUs, but only the CPU can be used: {reason}. "
            "Leave --devices out to compute on the CPU"
        )
    return None, reason


def _open_on_processor(onnx: Path, request: BackendRequest, reason: str) -> tuple[Backend, str]:
    """Open OpenVINO, or else ONNX Runtime with the reason."""
    problem = _no_openvino(request)
    if not problem:
        try:
            return _open_openvino(onnx, request, int8=False), reason
        except ConfigError:
            raise
        except DggnError as error:
            problem = f"OpenVINO is not used: {error}"
    return _on_processor(onnx, request), f"{reason}, and {problem}" if problem else reason


def _no_openvino(request: BackendRequest) -> str:
    """Explain why OpenVINO is not worth trying; empty if it may work."""
    if request.precision == "int8":
        return "INT8 models are faster with ONNX Runtime than with OpenVINO"
    if find_spec("openvino") is not None:
        return ""
    if (sys.platform, platform.machine()) in OPENVINO_WHEELS:
        return "OpenVINO would be faster: pip install 'dggn[cpu]'"
    return "OpenVINO is not installed"


def _open_openvino(onnx: Path, request: BackendRequest, *, int8: bool = True) -> Backend:
    from runtime.backends.openvino.open import open_openvino

    return open_openvino(
        onnx,
        device=request.openvino_device,
        precision=request.precision,
        int8=int8,
        threads=request.threads,
        say=request.say,
        open_reference=lambda: OrtBackend(onnx, threads=request.threads, where="cpu"),
    )


def _on_processor(onnx: Path, request: BackendRequest) -> Backend:
    """Open ONNX Runtime on the CPU.

    Raises:
        ConfigError: it has another precision than requested.
    """
    if request.precision == "bfloat16":
        raise ConfigError("ONNX Runtime has no bfloat16 on CPUs: --backend openvino may")
    backend = OrtBackend(onnx, threads=request.threads, where="cpu")
    if request.precision == "float32" and backend.info.precision != "float32":
        raise ConfigError(
            f"{onnx} is {backend.info.precision.upper()}, and float32 was requested: "
            "leave one of them out"
        )
    return backend


def _no_tensorrt() -> str:
    """Explain why TensorRT is not worth trying; empty if it may work."""
    try:
        from runtime.backends.gpu import probe

        found = probe()
    except MissingDependency as error:
        if _has_driver():
            return f"TensorRT would be faster: {error}"
        return "no NVIDIA GPU was found"
    except BackendError as error:
        return f"no NVIDIA GPU can be used: {error}"
    if not found.gpus:
        return "no NVIDIA GPU was found" + (f": {found.problem}" if _has_driver() else "")
    from runtime.backends.trt.library import installed_flavors

    if not installed_flavors():
        return "TensorRT would be faster: pip install 'dggn[trt]', or 'dggn[rtx]' for RTX cards"
    return ""


def _has_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or NVIDIA_DRIVER.exists()


def _open_cuda(onnx: Path, request: BackendRequest) -> Backend:
    from runtime.backends.on_cuda import open_on_cuda

    with ExitStack() as opened:
        members = [
            opened.enter_context(open_on_cuda(onnx, device, request)) for device in request.gpus
        ]
        opened.pop_all()
    return _team(members, request)


def _team(members: Sequence[Backend], request: BackendRequest) -> Backend:
    return members[0] if len(members) == 1 else DeviceTeam(members, say=request.say)


def _open_tensorrt(onnx: Path, request: BackendRequest) -> Backend:
    from runtime.backends.trt.open import open_tensorrt

    return open_tensorrt(onnx, request)
