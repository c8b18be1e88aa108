"""Lists the devices that each backend finds on this machine."""

from __future__ import annotations

from runtime.backends.gpu import probe
from runtime.backends.openvino.library import openvino_devices
from runtime.backends.ort_session import has_cuda, load_onnxruntime
from runtime.backends.trt.library import installed_flavors
from runtime.errors import BackendError, MissingDependency
from runtime.system.cores import usable_cores


def describe_devices() -> list[str]:
    """Describe each backend's devices, one per line, or why it has none."""
    return [*_tensorrt(), *_cuda(), *_openvino(), _onnxruntime()]


def _tensorrt() -> list[str]:
    if not installed_flavors():
        return ["tensorrt: not installed; pip install 'dggn[trt]', or 'dggn[rtx]' for RTX cards"]
    return [f"tensorrt: {line}" for line in _gpus()]


def _cuda() -> list[str]:
    if not has_cuda():
        return ["cuda: ONNX Runtime for it is not installed; pip install 'dggn[gpu]'"]
    return [f"cuda: {line}" for line in _gpus()]


def _gpus() -> list[str]:
    try:
        found = probe()
    except (BackendError, MissingDependency) as error:
        return [str(error)]
    return [f"{gpu.index}, {gpu.name}" for gpu in found.gpus] or [f"none; {found.problem}"]


def _openvino() -> list[str]:
    try:
        found = openvino_devices()
    except (BackendError, MissingDependency) as error:
        return [f"openvino: {error}"]
    return [
        f"openvino: {device.name}, {device.full_name}; {', '.join(device.capabilities)}"
        for device in found
    ]


def _onnxruntime() -> str:
    try:
        load_onnxruntime()
    except MissingDependency as error:
        return f"onnxruntime: {error}"
    return f"onnxruntime: CPU, {usable_cores()} of its cores for this process"
