"""Chooses the GPUs that `dggn-export trt` builds for, and the library that can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.backends.gpu import Gpu, probe, require_gpu
from runtime.backends.trt.library import Flavor, FlavorChoice, find_library
from runtime.errors import BackendError, ConfigError, MissingDependency


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The GPUs to build for."""

    names: tuple[str, ...]
    """Compute capabilities, such as `sm86`, each once and in order."""

    flavor: Flavor
    """Library that builds for them."""

    gpu: Gpu | None
    """One of them that is here; None without one."""


def choose_targets(names: Sequence[str], flavor: FlavorChoice, device: int) -> Targets:
    """Choose what to build for: the named GPUs, or this machine's.

    A GPU is looked for before TensorRT is touched: without one, some versions end the process.

    Args:
        names: compute capabilities; none for this machine's GPU.
        flavor: TensorRT flavor, or `auto`.
        device: CUDA device index of this machine's GPU.

    Raises:
        BackendError: no GPU is named, and there is none here.
        ConfigError: the flavor builds for this machine's GPU only.
        MissingDependency: TensorRT is not installed.
    """
    if not names:
        gpu = _own_gpu(device)
        return Targets(names=(gpu.sm,), flavor=find_library(flavor).flavor, gpu=gpu)
    if flavor == "tensorrt":
        raise ConfigError(
            "--target is for TensorRT-RTX: classic TensorRT builds for this machine's GPU alone. "
            "Leave --target out, or use --flavor tensorrt-rtx"
        )
    return Targets(
        names=tuple(sorted(set(names), key=lambda name: (len(name), name))),
        flavor=find_library("tensorrt-rtx").flavor,
        gpu=next((gpu for gpu in _gpus_here() if gpu.sm in names), None),
    )


def _own_gpu(device: int) -> Gpu:
    try:
        return require_gpu(device)
    except BackendError as error:
        raise BackendError(
            f"{error}. Without a GPU, TensorRT-RTX can build for another machine's: name it "
            "with --target, for example --target sm86,sm89,sm120"
        ) from error


def _gpus_here() -> tuple[Gpu, ...]:
    try:
        return probe().gpus
    except MissingDependency:
        return ()  # it would only verify what is built, and the result says that it is not
