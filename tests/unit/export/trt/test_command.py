from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from export.cli import app
from export.describe import describe_engine
from export.trt import command
from export.trt.command import BuildResult, build_or_reuse, model_file, read_model
from export.trt.on_demand import EngineBuilder
from runtime.backends.gpu import Gpu, Probe
from runtime.backends.request import BackendRequest
from runtime.backends.trt.engine_file import sidecar_path
from runtime.backends.trt.library import Flavor, Library, library_of
from runtime.backends.trt.open import open_tensorrt
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
from tests.support.fake_cuda import FakeDevice

MakeTensorRt = Callable[[str], Any]

LITE = model_path("dggn-lite")
GPU = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 30, cuda_version="12.8"
)
SMALL = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=64,
    batch=1,
    targets=("sm86",),
)
RTX = dataclasses.replace(SMALL, flavor="tensorrt-rtx")


class Machine:
    """A machine with or without a GPU, with some libraries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make_tensorrt: MakeTensorRt) -> None:
        self.gpu: Gpu | None = GPU
        self.said: list[str] = []
        self.libraries: dict[Flavor, Library] = {
            "tensorrt": library_of(make_tensorrt("10.7"), "tensorrt"),
            "tensorrt-rtx": library_of(make_tensorrt("rtx-1.7"), "tensorrt-rtx"),
        }
        for module in ("export.trt.command", "export.trt.targets", "runtime.backends.trt.open"):
            monkeypatch.setattr(f"{module}.find_library", self.find_library)
        monkeypatch.setattr(command, "open_engine", None)  # no runtime can execute it here
        for module in ("export.trt.targets", "runtime.backends.gpu"):
            monkeypatch.setattr(f"{module}.probe", self.probe)

    def probe(self) -> Probe:
        return Probe(gpus=() if self.gpu is None else (self.gpu,))

    def find_library(self, choice: str = "auto") -> Library:
        return self.libraries["tensorrt-rtx" if choice == "tensorrt-rtx" else "tensorrt"]

    def ask(
        self, request: EngineRequest = SMALL, *, onnx: Path = LITE, **options: Any
    ) -> BuildResult:
        return build_or_reuse(
            read_model(onnx, request.flavor),
            request,
            self.gpu,
            say=self.said.append,
            on_progress=lambda what, share: None,
            **options,
        )


@pytest.fixture
def machine(
    monkeypatch: pytest.MonkeyPatch, make_tensorrt: MakeTensorRt, tmp_path: Path
) -> Machine:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    return Machine(monkeypatch, make_tensorrt)


def test_an_engine_is_built_once(machine: Machine, tmp_path: Path) -> None:
    first = machine.ask()
    assert first.was_built
    assert first.path.parent == tmp_path / "cache" / "engines"
    assert first.path.name.startswith("dggn-lite-fp16-uint8-sm86-")
    assert first.facts.request == SMALL
    second = machine.ask()
    assert (second.was_built, second.facts) == (False, first.facts)
    assert machine.ask(force=True).was_built
    float_ = machine.ask(dataclasses.replace(SMALL, sample_type="float32"))
    assert float_.path != first.path


def test_a_run_and_the_command_want_the_same_engine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command finds the engine that a run has built."""
    opened: list[Path] = []

    def open_backend(file: Any, *arguments: Any, **options: Any) -> Backend:
        opened.append(file.path)
        raise BackendError("nothing can execute it here")

    monkeypatch.setattr("runtime.backends.trt.open.open_device", FakeDevice)
    monkeypatch.setattr("runtime.backends.trt.open.TrtBackend", open_backend)
    wanted = BackendRequest(tile_px=64, build=EngineBuilder(quiet=True))
    with pytest.raises(BackendError, match="nothing can execute it"):
        open_tensorrt(LITE, wanted)
    (path,) = opened
    result = CliRunner().invoke(app, ["trt", "--onnx", "dggn-lite", "--tile", "64"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{path}: up to date, built with TensorRT 10.7.0 for sm86")
    assert list(path.parent.glob("*.engine")) == [path]


@pytest.mark.parametrize("why", ["model", "library", "driver", "gpu", "damage", "request"])
def test_stale_engines_are_built_again_with_the_reason(
    machine: Machine, tmp_path: Path, why: str
) -> None:
    model = tmp_path / "m.onnx"
    shutil.copy(model_path("dggn-lite"), model)
    output = tmp_path / "x.engine"
    request = SMALL
    machine.ask(onnx=model, output=output)
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
        machine.gpu = dataclasses.replace(GPU, cuda_version="13.0")
    elif why == "gpu":
        machine.gpu = dataclasses.replace(GPU, name="Other")
        reason = "built on Card, and this is Other"
    elif why == "damage":
        sidecar_path(output).write_text("{")
        reason = "is not a usable engine"
    else:
        request = dataclasses.replace(SMALL, precision="fp32")
        reason = "built for precision fp16, not fp32"
    machine.said.clear()
    result = machine.ask(request, onnx=model, output=output)
    # A newer driver runs engines that an older one built.
    assert result.was_built == (why != "driver")
    assert [line for line in machine.said if "is built again" in line and reason in line] == (
        machine.said[:1] if reason else []
    )


def test_without_a_gpu_it_is_kept_unverified(machine: Machine) -> None:
    machine.gpu = None
    result = machine.ask(dataclasses.replace(RTX, targets=("sm86", "sm120")))
    assert result.facts.request.targets == ("sm86", "sm120")
    assert result.facts.verification is None
    assert "unverified" in result.facts.status
    assert (result.facts.gpu_name, result.facts.cuda_version) == ("", "")


def test_a_target_that_the_library_does_not_know(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="builds nothing for sm90"):
        machine.ask(dataclasses.replace(RTX, targets=("sm90",)))
    assert not list(tmp_path.rglob("*.engine*"))


@pytest.mark.parametrize(("flavor", "extra"), [("tensorrt", "trt"), ("tensorrt-rtx", "rtx")])
def test_a_missing_package_is_named_with_the_librarys_extra(
    monkeypatch: pytest.MonkeyPatch, flavor: Flavor, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependency, match=rf"dggn\[{extra}\]"):
        read_model(LITE, flavor)


def test_what_is_built_is_verified(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def open_engine(path: Path, gpu: Gpu) -> Backend:
        opened.append(path)
        raise OutOfDeviceMemory("too little memory left")

    monkeypatch.setattr(command, "open_engine", open_engine)
    with pytest.raises(OutOfDeviceMemory):
        machine.ask()
    assert len(opened) == 1


def test_a_model_that_there_is_not() -> None:
    with pytest.raises(ModelError, match="nosuch is neither a file nor a shipped model"):
        model_file("nosuch", "fp16")


@pytest.mark.parametrize("named", ["dggn-lite", "file"])
def test_int8_on_rtx_says_why_not(machine: Machine, int8_file: Path, named: str) -> None:
    onnx = model_file(str(int8_file) if named == "file" else named, "int8")
    result = machine.ask(dataclasses.replace(RTX, precision="int8"), onnx=onnx)
    assert result.facts.onnx_name == "dggn-lite-int8-tensorrt.onnx"
    assert result.facts.precision == "int8"
    assert result.facts.largest_activation is None
    assert any("does not fuse INT8 convolutions" in line for line in machine.said)


def test_an_engine_is_described(machine: Machine) -> None:
    result = machine.ask()
    facts = describe_engine(result.path)
    assert facts["Preset"] == "dggn-lite, x4"
    assert facts["Library"].startswith("tensorrt 10.7.0")
    assert facts["GPU"] == "sm86, built on Card"
    assert facts["Samples"] == "uint8[batch, height, width, 3]"
    assert "8 to 64 px, up to 1 at a time" in facts["Tiles"]
    assert "unverified" in facts["State"]
    assert "Profiles" not in facts
