from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.backends import devices
from runtime.backends.devices import describe_devices
from runtime.backends.gpu import Gpu, Probe
from runtime.backends.openvino.library import OpenVinoDevice
from runtime.errors import BackendError, MissingDependency

CARD = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 33, cuda_version="13.0"
)
CPU = OpenVinoDevice(name="CPU", full_name="A chip", capabilities=("FP32", "INT8"))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object, **options: object) -> Any:
        raise error

    return fail


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Describe a machine on which everything works except the given parts."""

    def describe(**changes: Any) -> list[str]:
        works = {
            "installed_flavors": lambda: ("tensorrt",),
            "has_cuda": lambda: True,
            "probe": lambda: Probe(gpus=(CARD,)),
            "openvino_devices": lambda: (CPU,),
            "load_onnxruntime": lambda: None,
            "usable_cores": lambda: 3,
        }
        for name, value in (works | changes).items():
            monkeypatch.setattr(devices, name, value)
        return describe_devices()

    return describe


def test_where_everything_works(machine: Callable[..., list[str]]) -> None:
    assert machine() == [
        "tensorrt: 0, Card",
        "cuda: 0, Card",
        "openvino: CPU, A chip; FP32, INT8",
        "onnxruntime: CPU, 3 of its cores for this process",
    ]


def test_every_backend_says_what_it_lacks(machine: Callable[..., list[str]]) -> None:
    missing = raising(MissingDependency("pip install it"))
    lines = machine(
        installed_flavors=tuple,
        has_cuda=lambda: False,
        openvino_devices=missing,
        load_onnxruntime=missing,
    )
    assert lines[0].startswith("tensorrt: not installed; pip install 'dggn[trt]'")
    assert lines[1].endswith("pip install 'dggn[gpu]'")
    assert lines[2:] == ["openvino: pip install it", "onnxruntime: pip install it"]


def test_a_machine_without_a_gpu_or_with_a_broken_driver(machine: Callable[..., list[str]]) -> None:
    none = machine(probe=lambda: Probe(gpus=(), problem="there is no driver"))
    assert none[:2] == ["tensorrt: none; there is no driver", "cuda: none; there is no driver"]
    broken = machine(probe=raising(BackendError("the driver failed")))
    assert broken[:2] == ["tensorrt: the driver failed", "cuda: the driver failed"]


def test_a_broken_onnx_runtime_is_no_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").write_text("raise ImportError('DLL load failed')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    said = describe_devices()[-1]
    assert said.startswith("onnxruntime: onnxruntime is installed, but cannot be loaded (DLL load")
