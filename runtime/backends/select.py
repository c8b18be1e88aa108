"""Chooses the backend that runs a model on this machine, and says why."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.team import DeviceTeam
from runtime.errors import BackendError, ConfigError, DggnError, MissingDependency
from runtime.tiles.backend import Backend

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""File that exists on Linux where the driver is loaded."""


def open_backend(onnx: Path, request: BackendRequest) -> tuple[Backend, str]:
    """Open a model.

    Args:
        onnx: its file.
        request: where and how it is to run.

    Returns:
        The backend, and the reason for it in words: empty where the request names it.

    Raises:
        ConfigError: GPUs are chosen for the CPU.
        BackendError: GPUs are chosen, and none can be used.
        DggnError: it cannot be opened; with `auto`, not even on the CPU.
    """
    if request.name == "cpu":
        if request.devices is not None:
            raise ConfigError("--devices is for GPUs: leave it out, or choose another --backend")
        return OrtBackend(onnx, threads=request.threads, where="cpu"), ""
    if request.name == "cuda":
        return _open_cuda(onnx, request), ""
    if request.name == "tensorrt":
        return _open_tensorrt(onnx, request), ""
    reason = _no_tensorrt()
    if not reason:
        try:
            return _open_tensorrt(onnx, request), "it has an engine for this GPU"
        except DggnError as error:
            reason = f"TensorRT cannot be used: {error}"
    device, *further = request.gpus
    first = OrtBackend(onnx, threads=request.threads, device=device)
    if first.uniform_tiles:  # on CUDA
        return _team([first, *_on_cuda(onnx, further)], request), reason
    if request.devices is not None:
        chosen = ",".join(map(str, request.devices))
        raise BackendError(
            f"--devices {chosen} asks for GPUs, but only the CPU can be used: {reason}. "
            "Leave --devices out to compute on the CPU"
        )
    return first, reason


def _no_tensorrt() -> str:
    """Return the reason not to try TensorRT; empty where it may work."""
    try:
        from runtime.backends.gpu import probe

        found = probe()
    except MissingDependency as error:
        if _has_driver():
            return f"TensorRT would be quicker: {error}"
        return "no NVIDIA GPU was found"
    except BackendError as error:
        return f"no NVIDIA GPU can be used: {error}"
    if not found.gpus:
        return "no NVIDIA GPU was found" + (f": {found.problem}" if _has_driver() else "")
    from runtime.backends.trt.library import installed_flavors

    if not installed_flavors():
        return "TensorRT would be quicker: pip install 'dggn[trt]', or 'dggn[rtx]' for RTX cards"
    return ""


def _has_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or NVIDIA_DRIVER.exists()


def _open_cuda(onnx: Path, request: BackendRequest) -> Backend:
    return _team(_on_cuda(onnx, request.gpus), request)


def _on_cuda(onnx: Path, devices: Sequence[int]) -> list[OrtBackend]:
    return [OrtBackend(onnx, where="cuda", device=device) for device in devices]


def _team(members: Sequence[Backend], request: BackendRequest) -> Backend:
    return members[0] if len(members) == 1 else DeviceTeam(members, say=request.say)


def _open_tensorrt(onnx: Path, request: BackendRequest) -> Backend:
    from runtime.backends.trt.open import open_tensorrt

    return open_tensorrt(onnx, request)
