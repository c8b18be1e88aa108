"""Fixtures for tests of backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import runtime.backends.gpu
import runtime.backends.select
import runtime.backends.trt.library
import runtime.backends.trt.open
from runtime.backends.gpu import Probe
from runtime.backends.onnxruntime import OrtBackend
from tests.support.gpu_machine import LITE, Machine


@pytest.fixture(scope="module")
def reference() -> Iterator[OrtBackend]:
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    with OrtBackend(LITE, threads=1) as backend:
        yield backend


@pytest.fixture
def machine(tmp_path: Path, reference: OrtBackend, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path, reference)
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    monkeypatch.setattr(
        runtime.backends.gpu, "probe", lambda: Probe(gpus=tuple(machine.gpus), problem="x")
    )
    monkeypatch.setattr(runtime.backends.trt.library, "installed_flavors", lambda: ("tensorrt",))
    monkeypatch.setattr(
        runtime.backends.trt.open, "find_library", lambda *flavor: machine.tensorrt.library
    )
    monkeypatch.setattr(
        runtime.backends.trt.open, "open_device", lambda index: machine.devices[index]
    )
    # The CPU backend does not matter here.
    monkeypatch.setattr(
        runtime.backends.select,
        "_open_openvino",
        lambda onnx, request, int8: OrtBackend(onnx, threads=1, where="cpu"),
    )
    return machine
