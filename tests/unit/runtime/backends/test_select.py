"""Choice of the backend, and the reasons given."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.gpu_machine import LITE, TILE_PX, Machine

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

import runtime.backends.gpu
import runtime.backends.select
import runtime.backends.trt.library
import runtime.backends.trt.open
from runtime.backends.gpu import Probe
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.select import open_default
from runtime.errors import BackendError, ConfigError, MissingDependency
from runtime.model.info import model_path, tensorrt_model_path


def test_auto_says_why_it_does_without_tensorrt(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def why() -> str:
        backend, why = machine.open()
        with backend:
            assert isinstance(backend, OrtBackend)
        return why

    assert "there is no TensorRT engine of dggn-lite.onnx" in why()
    monkeypatch.setattr(runtime.backends.trt.library, "installed_flavors", lambda: ())
    assert why() == (
        "TensorRT would be faster: pip install 'dggn[trt]', or 'dggn[rtx]' for RTX cards"
    )
    machine.gpus.clear()
    monkeypatch.setattr(runtime.backends.select, "NVIDIA_DRIVER", tmp_path / "none")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert why() == "no NVIDIA GPU was found: x"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert why() == "no NVIDIA GPU was found"

    def no_package() -> Probe:
        raise MissingDependency("this needs cuda-bindings, which is not installed")

    monkeypatch.setattr(runtime.backends.gpu, "probe", no_package)
    assert why() == "no NVIDIA GPU was found"
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert why() == "TensorRT would be faster: this needs cuda-bindings, which is not installed"


def test_what_is_chosen_needs_no_reason(machine: Machine) -> None:
    backend, why = machine.open(name="cpu")
    with backend:
        assert backend.description.startswith("ONNX Runtime on the CPU")
        assert why == ""


def test_gpus_are_not_for_the_cpu(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="--devices is for GPUs"):
        machine.open(name="cpu", devices=(0,))


def test_gpus_that_were_chosen_are_not_passed_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.backends.select, "has_cuda", lambda: False)
    with pytest.raises(BackendError) as caught:
        machine.open(devices=(0, 1))
    message = str(caught.value)
    assert message.startswith("--devices 0,1 names GPUs, but only the CPU can be used: ")
    assert "GPU 1 does not exist: expected one of 0: Fake GPU" in message
    assert message.endswith("Leave --devices out to compute on the CPU")


@pytest.mark.parametrize(
    ("name", "precision"),
    [("dggn-lite", "fp16"), ("dggn-lite-int8", "int8"), ("dggn-lite-int8-tensorrt", "int8")],
)
def test_engines_of_shipped_models_have_their_precision(name: str, precision: str) -> None:
    with OrtBackend(tensorrt_model_path(model_path(name)), threads=1, where="cpu") as model:
        assert runtime.backends.trt.open._engine_precision(model.info, None) == precision


def test_cuda_is_refused_where_onnx_runtime_has_none(machine: Machine) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BackendError, match=r"for CPUs only.*dggn\[gpu\]"):
        machine.open(name="cuda")


@pytest.mark.parametrize("has_engine", [True, False])
def test_the_default_model_follows_the_device(machine: Machine, has_engine: bool) -> None:
    small = model_path("dggn-lite-photo")
    if has_engine:
        machine.engine()
    request = BackendRequest(tile_px=TILE_PX, threads=1)
    file, backend, why = open_default(LITE, small, request)
    with backend:
        assert file == (LITE if has_engine else small)
        assert ("it has an engine" if has_engine else "there is no TensorRT engine") in why


def test_a_named_backend_decides_the_default_model(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = model_path("dggn-lite-photo")
    machine.engine()
    file, backend, why = open_default(LITE, small, BackendRequest(name="cpu", threads=1))
    with backend:
        assert (file, why) == (small, "")
    file, backend, why = open_default(LITE, small, BackendRequest(name="tensorrt", tile_px=TILE_PX))
    with backend:
        assert (file, why) == (LITE, "")
    monkeypatch.setattr(runtime.backends.select, "_open_openvino", _opens_on_processor)
    file, backend, why = open_default(LITE, small, BackendRequest(precision="bfloat16"))
    with backend:
        assert (file, why) == (small, "it supports bfloat16")


def _opens_on_processor(onnx: Path, request: BackendRequest) -> OrtBackend:
    return OrtBackend(onnx, threads=1, where="cpu")
