"""Finds NVIDIA GPUs through the driver alone.

TensorRT must not be touched on a machine without a GPU: some versions end the process there.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from runtime.backends.cuda.bindings_device import load_cuda_bindings
from runtime.backends.cuda.open import cuda_package
from runtime.errors import BackendError, MissingDependency

_NAME_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One NVIDIA GPU."""

    index: int
    """CUDA device index, after `CUDA_VISIBLE_DEVICES`."""

    name: str
    """Model name, for example `NVIDIA GeForce RTX 3090`."""

    compute_capability: tuple[int, int]
    """Major and minor, for example (8, 6)."""

    memory_bytes: int
    """Total memory, used or free."""

    cuda_version: str
    """Newest CUDA version that the driver supports, for example `13.0`."""

    @property
    def sm(self) -> str:
        """Compute capability in the form of build targets, for example `sm86`."""
        return "sm{}{}".format(*self.compute_capability)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Result of a search for GPUs."""

    gpus: tuple[Gpu, ...]
    """GPUs in CUDA's order."""

    problem: str = ""
    """Human-readable reason why there is none; empty if there is one."""


def gpus() -> tuple[Gpu, ...]:
    """Return this machine's GPUs; none without a driver.

    Raises:
        MissingDependency: cuda-bindings is not installed.
    """
    return probe().gpus


def probe() -> Probe:
    """Search for GPUs, and for the reason if there is none.

    Raises:
        MissingDependency: cuda-bindings is not installed.
    """
    package = _package()
    if package and not _has_driver():  # known without importing the package, which takes long
        return Probe(gpus=(), problem="the NVIDIA driver is not installed")
    if package == "pycuda":
        return _probe_with_pycuda()
    driver = load_cuda_bindings()
    try:
        status = driver.cuInit(0)[0]
    except RuntimeError:  # cuda-bindings' way to say that it does not find libcuda
        return Probe(gpus=(), problem="the NVIDIA driver is not installed")
    if int(status) != 0:
        return Probe(gpus=(), problem=f"the NVIDIA driver does not start ({_text(status)})")
    count = _ask(driver.cuDeviceGetCount)
    if count == 0:
        return Probe(gpus=(), problem="the NVIDIA driver finds no GPU")
    version = _ask(driver.cuDriverGetVersion)
    cuda_version = f"{version // 1000}.{version % 1000 // 10}"
    return Probe(gpus=tuple(_gpu(driver, index, cuda_version) for index in range(count)))


def require_gpu(index: int = 0) -> Gpu:
    """Return the GPU with this index.

    Raises:
        MissingDependency: cuda-bindings is not installed.
        BackendError: there is no such GPU; the message says why.
    """
    found = probe()
    if not found.gpus:
        raise BackendError(
            f"TensorRT needs an NVIDIA GPU, and there is none here: {found.problem}. "
            "Check that nvidia-smi lists one"
        )
    if index >= len(found.gpus):
        known = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in found.gpus)
        raise BackendError(f"GPU {index} does not exist: expected one of {known}")
    return found.gpus[index]


def _package() -> str:
    """Return the name of the CUDA package in use; empty if none is installed."""
    try:
        return cuda_package()
    except MissingDependency:  # said better where it is needed
        return ""


def _has_driver() -> bool:
    """Return whether the driver's library can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _probe_with_pycuda() -> Probe:
    from runtime.backends.cuda.pycuda_device import load_pycuda

    try:
        driver = load_pycuda()
    except BackendError:
        return Probe(gpus=(), problem="the NVIDIA driver is not installed")
    try:
        driver.init()
        version = driver.get_driver_version()
        devices = [driver.Device(index) for index in range(driver.Device.count())]
        found = [
            Gpu(
                index=index,
                name=device.name(),
                compute_capability=device.compute_capability(),
                memory_bytes=device.total_memory(),
                cuda_version=f"{version // 1000}.{version % 1000 // 10}",
            )
            for index, device in enumerate(devices)
        ]
    except driver.Error as error:
        return Probe(gpus=(), problem=f"the NVIDIA driver does not start ({error})")
    return Probe(gpus=tuple(found), problem="" if found else "the NVIDIA driver finds no GPU")


def _gpu(driver: Any, index: int, cuda_version: str) -> Gpu:
    device = _ask(driver.cuDeviceGet, index)
    attribute = driver.CUdevice_attribute
    major, minor = (
        _ask(driver.cuDeviceGetAttribute, which, device)
        for which in (
            attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    name: bytes = _ask(driver.cuDeviceGetName, _NAME_BYTES, device)
    return Gpu(
        index=index,
        name=name.partition(b"\0")[0].decode("utf-8", "replace"),
        compute_capability=(major, minor),
        memory_bytes=_ask(driver.cuDeviceTotalMem, device),
        cuda_version=cuda_version,
    )


def _ask(function: Any, *arguments: Any) -> Any:
    status, value = function(*arguments)
    if int(status) != 0:
        raise BackendError(f"the NVIDIA driver failed ({_text(status)}): does nvidia-smi work?")
    return value


def _text(status: Any) -> str:
    return f"{getattr(status, 'name', 'error')} {int(status)}"
