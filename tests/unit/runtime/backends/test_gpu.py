from __future__ import annotations

import enum
import shutil
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.backends import gpu
from runtime.backends.gpu import Gpu, Probe, gpus, probe, require_gpu
from runtime.errors import BackendError, MissingDependency


class Status(enum.IntEnum):
    SUCCESS = 0
    NO_DEVICE = 100
    SYSTEM_DRIVER_MISMATCH = 803


def fake_driver(status: Status = Status.SUCCESS, count: int = 2) -> Any:
    """The parts of cuda-bindings' driver that probing needs."""
    attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major",
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor",
    )
    ok = Status.SUCCESS
    return SimpleNamespace(
        CUdevice_attribute=attribute,
        cuInit=lambda flags: (status,),
        cuDeviceGetCount=lambda: (ok, count),
        cuDriverGetVersion=lambda: (ok, 12080),
        cuDeviceGet=lambda index: (ok, index),
        cuDeviceGetAttribute=lambda which, device: (ok, {"major": 8, "minor": 6 + device}[which]),
        cuDeviceGetName=lambda size, device: (ok, f"Card {device}".encode().ljust(size, b"\0")),
        cuDeviceTotalMem=lambda device: (ok, (device + 1) << 30),
    )


@pytest.fixture
def with_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are there: a driver's library, and a package that uses it."""
    monkeypatch.setattr(gpu, "_has_driver", lambda: True)
    monkeypatch.setattr(gpu, "_package", lambda: "cuda-bindings")


@pytest.mark.usefixtures("with_driver")
def test_what_a_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "load_cuda_bindings", fake_driver)
    first, second = gpus()
    assert first == Gpu(
        index=0,
        name="Card 0",
        compute_capability=(8, 6),
        memory_bytes=1 << 30,
        cuda_version="12.8",
    )
    assert (second.index, second.name, second.sm) == (1, "Card 1", "sm87")
    assert require_gpu(1) == second
    with pytest.raises(
        BackendError, match="GPU 2 does not exist: expected one of 0: Card 0, 1: Card"
    ):
        require_gpu(2)


@pytest.mark.parametrize("package", ["cuda-bindings", "pycuda"])
def test_no_driver(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Then the package, which takes long to import, is left alone."""
    monkeypatch.setattr(gpu, "_has_driver", lambda: False)
    monkeypatch.setattr(gpu, "_package", lambda: package)
    monkeypatch.setattr(gpu, "load_cuda_bindings", pytest.fail)
    monkeypatch.setattr(gpu, "_probe_with_pycuda", pytest.fail)
    assert gpus() == ()
    with pytest.raises(BackendError, match=r"none here: the NVIDIA driver is not installed\."):
        require_gpu()


@pytest.mark.usefixtures("with_driver")
def test_a_driver_that_cuda_bindings_do_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = fake_driver()

    def fail(flags: int) -> None:
        raise RuntimeError("libcuda.so.1 not found")

    driver.cuInit = fail
    monkeypatch.setattr(gpu, "load_cuda_bindings", lambda: driver)
    assert probe() == Probe(gpus=(), problem="the NVIDIA driver is not installed")


@pytest.mark.usefixtures("with_driver")
@pytest.mark.parametrize(
    ("driver", "problem"),
    [
        (fake_driver(Status.NO_DEVICE), "does not start (NO_DEVICE 100)"),
        (fake_driver(Status.SYSTEM_DRIVER_MISMATCH), "(SYSTEM_DRIVER_MISMATCH 803)"),
        (fake_driver(count=0), "finds no GPU"),
    ],
)
def test_a_driver_without_gpus(monkeypatch: pytest.MonkeyPatch, driver: Any, problem: str) -> None:
    monkeypatch.setattr(gpu, "load_cuda_bindings", lambda: driver)
    found = probe()
    assert found.gpus == ()
    assert problem in found.problem


@pytest.mark.usefixtures("with_driver")
def test_a_driver_that_fails_later(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = fake_driver()
    driver.cuDeviceTotalMem = lambda device: (Status.NO_DEVICE, None)
    monkeypatch.setattr(gpu, "load_cuda_bindings", lambda: driver)
    with pytest.raises(BackendError, match="NO_DEVICE 100.*nvidia-smi"):
        gpus()


def test_cuda_bindings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(MissingDependency, match=r"cuda-bindings.*'dggn\[trt\]' or 'dggn\[rtx\]'"):
        gpus()


def test_this_machine() -> None:
    pytest.importorskip("cuda.bindings")
    has_driver = shutil.which("nvidia-smi") is not None
    if has_driver:
        pytest.skip("this machine has a driver")
    assert gpus() == ()
