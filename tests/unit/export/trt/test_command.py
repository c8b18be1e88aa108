from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from export.describe import describe_engine
from export.trt import command
from export.trt.command import BuildResult, build_or_reuse, model_file
from runtime.backends.gpu import Gpu, Probe
from runtime.backends.trt.engine_file import sidecar_path
from runtime.backends.trt.library import Flavor, Library, library_of
from runtime.backends.trt.request import EngineRequest
from runtime.errors import (
    BackendError,
    ConfigError,
    MissingDependency,
    ModelError,
    OutOfDeviceMemory,
)
from runtime.model.info import model_path
from runtime.tiles.backend import Backend

MakeTensorRt = Callable[[str], Any]

GPU = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 30, cuda_version="12.8"
)
SMALL = EngineRequest(onnx=model_path("dggn-lite"), tile_px=64, batch=1)


class Machine:
    """A machine with or without a GPU, with some libraries, that records what is used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make_tensorrt: MakeTensorRt) -> None:
        self.gpus: tuple[Gpu, ...] = (GPU,)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.libraries: dict[Flavor, Library] = {
            "tensorrt": library_of(make_tensorrt("10.7"), "tensorrt"),
            "tensorrt-rtx": library_of(make_tensorrt("rtx-1.7"), "tensorrt-rtx"),
        }
        monkeypatch.setattr(command, "find_library", self.find_library)
        monkeypatch.setattr(command, "open_engine", None)  # no runtime can execute it here
        for module in ("export.trt.command", "runtime.backends.gpu"):
            monkeypatch.setattr(f"{module}.probe", self.probe)

    def probe(self) -> Probe:
        return Probe(gpus=self.gpus, problem="" if self.gpus else "the driver is not installed")

    def find_library(self, choice: str) -> Library:
        self.asked.append(choice)
        return self.libraries["tensorrt-rtx" if choice == "tensorrt-rtx" else "tensorrt"]

    def ask(self, request: EngineRequest) -> BuildResult:
        return build_or_reuse(request, say=self.said.append, on_progress=lambda what, share: None)


@pytest.fixture
def machine(
    monkeypatch: pytest.MonkeyPatch, make_tensorrt: MakeTensorRt, tmp_path: Path
) -> Machine:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    return Machine(monkeypatch, make_tensorrt)


def test_an_engine_is_built_once(machine: Machine, tmp_path: Path) -> None:
    first = machine.ask(SMALL)
    assert first.was_built
    assert first.path.parent == tmp_path / "cache" / "engines"
    assert first.path.name.startswith("dggn-lite-fp16-uint8-sm86-")
    assert first.facts.options.targets == ("sm86",)
    second = machine.ask(SMALL)
    assert (second.was_built, second.facts) == (False, first.facts)
    assert machine.ask(dataclasses.replace(SMALL, force=True)).was_built
    float_ = machine.ask(dataclasses.replace(SMALL, sample_type="float32"))
    assert float_.path != first.path


@pytest.mark.parametrize("why", ["model", "library", "driver", "gpu", "damage", "options"])
def test_stale_engines_are_built_again_with_the_reason(
    machine: Machine, tmp_path: Path, why: str
) -> None:
    model = tmp_path / "m.onnx"
    shutil.copy(model_path("dggn-lite"), model)
    output = tmp_path / "x.engine"
    request = dataclasses.replace(SMALL, onnx=model, output=output)
    machine.ask(request)
    reason = ""
    if why == "model":
        import onnx

        changed = onnx.load(model)
        changed.doc_string = "changed"
        onnx.save(changed, model)
        reason = "built from another version of the model (m.onnx)"
    elif why == "library":
        machine.libraries["tensorrt"] = dataclasses.replace(
            machine.libraries["tensorrt"], version="10.8.0"
        )
        reason = "built with tensorrt 10.7.0, and 10.8.0 is installed"
    elif why == "driver":
        machine.gpus = (dataclasses.replace(GPU, cuda_version="13.0"),)
    elif why == "gpu":
        machine.gpus = (dataclasses.replace(GPU, name="Other"),)
        reason = "built on Card, and this is Other"
    elif why == "damage":
        sidecar_path(output).write_text("{")
        reason = "is not a usable engine"
    else:
        request = dataclasses.replace(request, precision="fp32")
        reason = "built for precision fp16, not fp32"
    machine.said.clear()
    result = machine.ask(request)
    # A newer driver runs engines that an older one built.
    assert result.was_built == (why != "driver")
    assert [line for line in machine.said if "is built again" in line and reason in line] == (
        machine.said[:1] if reason else []
    )


def test_without_a_gpu_tensorrt_is_not_touched(machine: Machine) -> None:
    machine.gpus = ()
    with pytest.raises(BackendError, match=r"none here: the driver.*--target sm86,sm89,sm120"):
        machine.ask(SMALL)
    assert not machine.asked


def test_targets_need_no_gpu(machine: Machine) -> None:
    machine.gpus = ()
    result = machine.ask(dataclasses.replace(SMALL, targets=("sm120", "sm86", "sm86")))
    assert machine.asked == ["tensorrt-rtx"]
    assert result.facts.options.targets == ("sm86", "sm120")
    assert result.facts.verification is None
    assert "unverified" in result.facts.status
    assert (result.facts.gpu_name, result.facts.cuda_version) == ("", "")


def test_targets_need_no_cuda_bindings(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Probe:
        raise MissingDependency("this needs cuda-bindings")

    monkeypatch.setattr(command, "probe", missing)
    assert machine.ask(dataclasses.replace(SMALL, targets=("sm86",))).was_built


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"targets": ("sm86",), "flavor": "tensorrt"}, ConfigError, "--target is for TensorRT-RTX"),
        ({"targets": ("86",)}, ConfigError, "a target is '86': expected for example sm86"),
        ({"targets": ("sm90",)}, ConfigError, "builds nothing for sm90"),
        ({"output": Path("x.plan")}, ConfigError, r"x\.plan does not end in \.engine"),
        ({"batch": 10_000}, ConfigError, "batch is 10000: expected 1 to"),
        ({"device": 3}, BackendError, "GPU 3 does not exist: expected one of 0: Card"),
    ],
)
def test_mistakes(
    machine: Machine,
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        machine.ask(dataclasses.replace(SMALL, **changes))
    assert not list(tmp_path.rglob("*.engine*"))


def test_what_is_built_is_verified(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def open_engine(path: Path, gpu: Gpu) -> Backend:
        opened.append(path)
        raise OutOfDeviceMemory("too little memory left")

    monkeypatch.setattr(command, "open_engine", open_engine)
    with pytest.raises(OutOfDeviceMemory):
        machine.ask(SMALL)
    assert len(opened) == 1


def test_a_model_that_there_is_not() -> None:
    with pytest.raises(ModelError, match="nosuch is neither a file nor a shipped model"):
        model_file("nosuch", "fp16")


@pytest.mark.parametrize("named", ["dggn-lite", "file"])
def test_int8_on_rtx_says_why_not(machine: Machine, int8_file: Path, named: str) -> None:
    onnx = model_file(str(int8_file) if named == "file" else named, "int8")
    request = dataclasses.replace(
        SMALL, onnx=onnx, precision="int8", targets=("sm86",), tile_px=None
    )
    result = machine.ask(request)
    assert result.facts.tile_px == 256
    assert result.facts.onnx_name == "dggn-lite-int8-tensorrt.onnx"
    assert result.facts.precision == "int8"
    assert result.facts.largest_activation is None
    assert any("does not fuse INT8 convolutions" in line for line in machine.said)


def test_an_engine_is_described(machine: Machine) -> None:
    result = machine.ask(SMALL)
    facts = describe_engine(result.path)
    assert facts["Preset"] == "dggn-lite, x4"
    assert facts["Library"].startswith("tensorrt 10.7.0")
    assert facts["GPU"] == "sm86, built on Card"
    assert facts["Samples"] == "uint8[batch, height, width, 3]"
    assert "8 to 64 px, up to 1 at a time" in facts["Tiles"]
    assert "unverified" in facts["State"]
    assert "Profiles" not in facts
