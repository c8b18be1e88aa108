"""Which backend runs a model on this machine, and why."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runtime.backends.onnxruntime import OrtBackend, has_cuda
from runtime.backends.team import DeviceTeam
from runtime.errors import BackendError, ConfigError, DggnError, MissingDependency
from runtime.model.info import ModelInfo, WantedPrecision, for_tensorrt
from runtime.tiles.backend import Backend
from runtime.tiles.plan import default_tile_px

if TYPE_CHECKING:
    from runtime.backends.trt.engine_facts import EnginePrecision
    from runtime.backends.trt.find_engine import BuildEngine

BackendName = Literal["auto", "tensorrt", "cuda", "openvino", "onnxruntime", "cpu"]
"""`onnxruntime` is ONNX Runtime on the CPU, and `cpu` another name for it."""

OPENVINO_WHEELS = {
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("darwin", "arm64"),
    ("win32", "AMD64"),
}
"""Where the extra `cpu` brings OpenVINO along."""

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Where Linux shows that the driver is loaded."""


@dataclass(frozen=True, kw_only=True)
class BackendWish:
    """What somebody wants."""

    name: BackendName = "auto"
    """`auto`: TensorRT, where an engine exists or can be built, else CUDA, else the CPU, with
    OpenVINO where that works and ONNX Runtime elsewhere."""

    precision: WantedPrecision | None = None
    """None leaves it to the backend: TensorRT computes float32 models mixed with float16, OpenVINO
    in bfloat16, both where that makes the same pictures."""

    tile_px: int | None = None
    """Largest tile; None for one that suits the model."""

    devices: Sequence[int] | None = None
    """GPUs, as CUDA numbers them; at least one. None for the first, where there is any."""

    openvino_device: str = "CPU"
    """What OpenVINO computes on, as it calls it."""

    threads: int | None = None
    """Of the CPU; by default every core this process may use."""

    build: BuildEngine | None = None
    """Builds TensorRT engines; None where none is to be built."""

    say: Callable[[str], None]
    """Told what people should know: a line each."""


def open_backend(onnx: Path, wish: BackendWish) -> tuple[Backend, str]:
    """Open a model.

    Args:
        onnx: its file.
        wish: where it is to run.

    Returns:
        The backend; and why it is this one, for people: empty where they chose it.

    Raises:
        ConfigError: GPUs are chosen for the CPU.
        BackendError: GPUs are chosen, and none can be used.
        DggnError: it cannot be opened; with `auto`, not even on the CPU.
    """
    if wish.name in ("openvino", "onnxruntime", "cpu"):
        if wish.devices is not None:
            raise ConfigError("--devices is for GPUs: leave it out, or choose another --backend")
        if wish.name == "openvino":
            return _open_openvino(onnx, wish), ""
        return _on_processor(onnx, wish), ""
    if wish.precision == "bfloat16":
        if wish.name != "auto" or wish.devices is not None:
            raise ConfigError("bfloat16 is for OpenVINO: leave --precision out, or --devices")
        return _open_openvino(onnx, wish), "it computes in bfloat16"
    if wish.name == "cuda":
        return _open_cuda(onnx, wish), ""
    if wish.name == "tensorrt":
        return _open_tensorrt(onnx, wish), ""
    reason = _no_tensorrt()
    if not reason:
        try:
            return _open_tensorrt(onnx, wish), "it has an engine for this GPU"
        except DggnError as error:
            reason = f"TensorRT cannot be used: {error}"
    if has_cuda():
        device, *further = _gpus(wish)
        first = OrtBackend(onnx, threads=wish.threads, device=device)
        if first.uniform_tiles:  # on CUDA
            return _team([first, *_on_cuda(onnx, further)], wish), reason
        first.cancel()
    if wish.devices is not None:
        raise BackendError(
            f"--devices {','.join(map(str, wish.devices))} asks for GPUs, but only the CPU can be "
            f"used: {reason}. Leave --devices out to compute on the CPU"
        )
    return _open_on_processor(onnx, wish, reason)


def _open_on_processor(onnx: Path, wish: BackendWish, reason: str) -> tuple[Backend, str]:
    """OpenVINO, or else ONNX Runtime and why."""
    problem = _no_openvino(wish)
    if not problem:
        try:
            return _open_openvino(onnx, wish, int8=False), reason
        except ConfigError:
            raise
        except DggnError as error:
            problem = f"OpenVINO is not used: {error}"
    return _on_processor(onnx, wish), f"{reason}, and {problem}" if problem else reason


def _no_openvino(wish: BackendWish) -> str:
    """Why OpenVINO need not even be tried; empty where it may do."""
    if wish.precision == "int8":
        return "INT8 models are quicker with ONNX Runtime than with OpenVINO"
    if find_spec("openvino") is not None:
        return ""
    if (sys.platform, platform.machine()) in OPENVINO_WHEELS:
        return "OpenVINO would be quicker: pip install 'dggn[cpu]'"
    return "OpenVINO is not installed"


def _open_openvino(onnx: Path, wish: BackendWish, *, int8: bool = True) -> Backend:
    from runtime.backends.openvino.open import open_openvino

    return open_openvino(
        onnx,
        device=wish.openvino_device,
        precision=wish.precision,
        int8=int8,
        threads=wish.threads,
        say=wish.say,
        open_reference=lambda: OrtBackend(onnx, threads=wish.threads, where="cpu"),
    )


def _on_processor(onnx: Path, wish: BackendWish) -> Backend:
    """ONNX Runtime on the CPU.

    Raises:
        ConfigError: it computes in another precision than the one asked for.
    """
    if wish.precision == "bfloat16":
        raise ConfigError("ONNX Runtime computes no bfloat16 on processors: --backend openvino may")
    backend = OrtBackend(onnx, threads=wish.threads, where="cpu")
    if wish.precision == "float32" and backend.info.precision != "float32":
        raise ConfigError(
            f"{onnx} computes in {backend.info.precision.upper()}, and float32 is asked for: "
            "leave one of them out"
        )
    return backend


def _no_tensorrt() -> str:
    """Why TensorRT need not even be tried; empty where it may do."""
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


def _open_cuda(onnx: Path, wish: BackendWish) -> Backend:
    return _team(_on_cuda(onnx, _gpus(wish)), wish)


def _gpus(wish: BackendWish) -> Sequence[int]:
    return (0,) if wish.devices is None else wish.devices


def _on_cuda(onnx: Path, devices: Sequence[int]) -> list[OrtBackend]:
    return [OrtBackend(onnx, where="cuda", device=device) for device in devices]


def _team(members: Sequence[Backend], wish: BackendWish) -> Backend:
    return members[0] if len(members) == 1 else DeviceTeam(members, say=wish.say)


def _open_tensorrt(onnx: Path, wish: BackendWish) -> Backend:
    from runtime.backends.trt.open import TrtWish, open_tensorrt

    onnx = for_tensorrt(onnx)
    with OrtBackend(onnx, threads=1, where="cpu") as model:
        info = model.info
    tile_px = default_tile_px(info.halo_px) if wish.tile_px is None else wish.tile_px
    return open_tensorrt(
        TrtWish(
            onnx=onnx,
            precision=_engine_precision(info, wish.precision),
            tile_px=tile_px,
            devices=_gpus(wish),
            build=wish.build,
            say=wish.say,
            open_reference=lambda: OrtBackend(onnx, threads=wish.threads, where="cpu"),
        )
    )


def _engine_precision(info: ModelInfo, wanted: WantedPrecision | None) -> EnginePrecision:
    """What engines of a model compute in."""
    if wanted is None:
        return "int8" if info.precision == "int8" else "fp16"
    return "fp32" if wanted == "float32" else "int8"
