"""`dggn-run --backend` on a machine without a GPU."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

from tests.support import dggn_run

pytestmark = pytest.mark.skipif(
    shutil.which("nvidia-smi") is not None, reason="there is a GPU, or at least its driver"
)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    Image.new("RGB", (24, 20), "red").save(folder / "a.png")
    return dggn_run.run(folder / "a.png", folder / "b.png", *arguments)


def first_line(text: str) -> str:
    return text.splitlines()[0]


def test_what_is_used_and_why_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    line = first_line(result.stderr)
    if find_spec("openvino") is None:
        assert line.startswith("dggn-lite-photo x4, ONNX Runtime on the CPU, ")
        assert "; no NVIDIA GPU was found, and OpenVINO " in line
    else:
        assert line.startswith("dggn-lite-photo x4, OpenVINO on the CPU in ")
        assert line.endswith("; no NVIDIA GPU was found")
    assert len(result.stderr.splitlines()) == 3, "no noise for those without a GPU"


def test_what_was_asked_for_needs_no_reason(tmp_path: Path) -> None:
    result = run(tmp_path, "--backend", "cpu")
    assert result.returncode == 0, result.stderr
    assert ";" not in first_line(result.stderr)


@pytest.mark.parametrize("name", ["onnxruntime", "cpu"])
def test_onnx_runtime_on_the_processor_can_be_asked_for(tmp_path: Path, name: str) -> None:
    result = run(tmp_path, "--backend", name, "--threads", "1")
    assert result.returncode == 0, result.stderr
    assert first_line(result.stderr) == "dggn-lite-photo x4, ONNX Runtime on the CPU, 1 thread"


def test_what_each_backend_sees_is_listed() -> None:
    result = dggn_run.run("--devices", "list")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "tensorrt",
        "cuda",
        "openvino",
        "onnxruntime",
    ]
    assert "not installed" in lines[2] or "openvino: CPU, " in lines[2]


@pytest.mark.parametrize("device", ["0", "3", "0,1"])
def test_tensorrt_without_a_gpu_is_refused_before_it_is_touched(
    tmp_path: Path, device: str
) -> None:
    result = run(tmp_path, "--backend", "tensorrt", "--devices", device)
    assert result.returncode == 3
    assert not (tmp_path / "b.png").exists()
    (line,) = result.stderr.splitlines()
    try:
        installed = find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:
        installed = False
    if installed:
        assert "TensorRT needs an NVIDIA GPU, and there is none here" in line
        assert "nvidia-smi" in line
    else:
        assert "pip install 'dggn[trt]'" in line


def test_cuda_without_a_gpu(tmp_path: Path) -> None:
    result = run(tmp_path, "--backend", "cuda")
    assert result.returncode == 3
    assert "nvidia-smi" in result.stderr or "dggn[gpu]" in result.stderr


@pytest.mark.parametrize("devices", ["", "x", "0,0", "-1", "0,,1"])
def test_devices_that_make_no_sense(tmp_path: Path, devices: str) -> None:
    result = run(tmp_path, "--devices", devices)
    assert result.returncode == 2
    assert "expected different numbers, for example 0,1" in result.stderr


def test_gpus_for_the_cpu(tmp_path: Path) -> None:
    result = run(tmp_path, "--backend", "cpu", "--devices", "0")
    assert result.returncode == 2
    assert "--devices is for GPUs" in result.stderr


@pytest.mark.parametrize("devices", ["0", "0,1"])
def test_chosen_gpus_that_are_not_there(tmp_path: Path, devices: str) -> None:
    result = run(tmp_path, "--devices", devices)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert line == (
        f"dggn-run: --devices {devices} names GPUs, but only the CPU can be used: "
        "no NVIDIA GPU was found. Leave --devices out to compute on the CPU"
    )
    assert not (tmp_path / "b.png").exists()
