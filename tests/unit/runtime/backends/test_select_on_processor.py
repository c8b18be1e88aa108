"""The backend that `auto` chooses on a CPU, and the reasons given."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends import select
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.select import open_backend
from runtime.errors import BackendError, ConfigError
from runtime.model.info import model_path

LITE = model_path("dggn-lite")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "_no_tensorrt", lambda: "no NVIDIA GPU was found")


def opened(onnx: Path = LITE, **request: Any) -> tuple[str, str]:
    backend, why = open_backend(onnx, BackendRequest(**{"threads": 1, **request}))
    with backend:
        return backend.description, why


def test_openvino_is_quicker() -> None:
    pytest.importorskip("openvino", reason="needs the cpu extra")
    description, why = opened()
    assert description.startswith("OpenVINO on the CPU in ")
    assert why == "no NVIDIA GPU was found"


def test_onnx_runtime_takes_over_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise BackendError("it does not compile")

    monkeypatch.setattr(select, "_no_openvino", lambda request: "")
    monkeypatch.setattr(select, "_open_openvino", fail)
    description, why = opened()
    assert description == "ONNX Runtime on the CPU, 1 thread"
    assert why == "no NVIDIA GPU was found, and OpenVINO is not used: it does not compile"
    with pytest.raises(BackendError, match="^it does not compile$"):
        opened(name="openvino")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (("linux", "x86_64"), "OpenVINO would be faster: pip install 'dggn[cpu]'"),
        (("linux", "riscv64"), "OpenVINO is not installed"),
    ],
)
def test_openvino_is_recommended_where_it_can_be_had(
    place: tuple[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        select, "find_spec", lambda name: find(name) if name != "openvino" else None
    )
    monkeypatch.setattr(sys, "platform", place[0])
    monkeypatch.setattr(platform, "machine", lambda: place[1])
    assert select._no_openvino(BackendRequest()) == reason


@pytest.mark.parametrize("name", ["onnxruntime", "cpu"])
def test_onnx_runtime_on_the_processor_has_two_names(name: str) -> None:
    assert opened(name=name) == ("ONNX Runtime on the CPU, 1 thread", "")


def test_int8_stays_with_onnx_runtime() -> None:
    pytest.importorskip("openvino", reason="needs the cpu extra")
    int8 = model_path("dggn-lite", "int8")
    for precision in ("int8", None):
        description, why = opened(int8, precision=precision)
        assert description == "ONNX Runtime on the CPU, 1 thread"
        assert "INT8 models are faster with ONNX Runtime" in why


def test_precisions_that_cannot_be_had() -> None:
    int8 = model_path("dggn-lite", "int8")
    with pytest.raises(ConfigError, match="ONNX Runtime has no bfloat16"):
        opened(name="cpu", precision="bfloat16")
    with pytest.raises(ConfigError, match="is INT8, and float32 was requested"):
        opened(int8, name="cpu", precision="float32")
    with pytest.raises(ConfigError, match="INT8, and float32 was requested"):
        opened(int8, precision="float32")
    with pytest.raises(ConfigError, match="bfloat16 is for OpenVINO"):
        opened(name="tensorrt", precision="bfloat16")
    with pytest.raises(ConfigError, match="--devices is for GPUs"):
        opened(name="openvino", devices=(0,))


def test_onnx_runtime_is_only_opened_for_cuda_where_it_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Opening it would take a second, and memory, before OpenVINO takes over."""
    pytest.importorskip("openvino", reason="needs the cpu extra")
    opened()  # verified, which opens it once

    def never(*arguments: Any, **options: Any) -> OrtBackend:
        raise AssertionError

    monkeypatch.setattr(select, "has_cuda", lambda: False)
    monkeypatch.setattr(select, "OrtBackend", never)
    assert opened()[0].startswith("OpenVINO")
