"""From `--backend` to a picture, with GPUs and TensorRT that exist in memory only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

import runtime.backends.gpu
import runtime.backends.select
import runtime.backends.trt.library
import runtime.backends.trt.open
from runtime.backends.gpu import Gpu, Probe
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.select import BackendWish, open_backend
from runtime.backends.trt.engine_file import read_facts
from runtime.backends.trt.find_engine import EngineRequest, batch_for
from runtime.errors import BackendError, ConfigError, ImageError, MissingDependency
from runtime.image.picture import Samples
from runtime.jobs.result import FileResult
from runtime.model.info import file_sha256, for_tensorrt, model_path
from runtime.run.batch import Batch, Options
from runtime.tiles.stitch import upscale_in_tiles
from runtime.upscaler import Upscaler
from tests.unit.runtime.backends.trt.fake_cuda import FakeDevice
from tests.unit.runtime.backends.trt.fake_tensorrt import GPU, FakeTensorRT
from tests.unit.runtime.pipeline_bench import SilentProgress

EXAMPLES = Path(__file__).parents[5] / "examples"
LITE = model_path("dggn-lite")
TILE_PX = 64


class Machine:
    """A machine with GPUs; engines compute with ONNX Runtime."""

    def __init__(self, cache: Path, reference: OrtBackend) -> None:
        self.reference = reference
        self.info = replace(reference.info, sample_type="uint8")
        self.tensorrt = FakeTensorRT(self.info, self.compute)
        self.cache = cache / "engines"
        self.cache.mkdir()
        self.gpus: list[Gpu] = [GPU]
        self.devices = {0: FakeDevice(0), 1: FakeDevice(1)}
        self.said: list[str] = []
        self.requests: list[EngineRequest] = []

    def compute(self, batch: NDArray[Any]) -> NDArray[Any]:
        if batch.dtype == np.uint8:
            return np.concatenate([self.reference.run(one[None]) for one in batch])
        return np.concatenate([self.reference._infer(one[None]) for one in batch])

    def engine(self, **options: Any) -> Path:
        """Put an engine of dggn-lite into the cache."""
        options = {"tile_px": TILE_PX, "onnx": LITE, **options}
        return self.tensorrt.engine_file(self.cache, **options).path

    def build(self, request: EngineRequest) -> Path:
        """What `dggn-export trt` does."""
        self.requests.append(request)
        return self.engine(
            tile_px=request.tile_px,
            batch=request.batch,
            precision=request.precision,
            sample_type=request.sample_type,
        )

    def open(self, **options: Any) -> tuple[Any, str]:
        return open_backend(
            LITE, BackendWish(**{"tile_px": TILE_PX, "say": self.said.append, **options})
        )


@pytest.fixture(scope="module")
def reference() -> Iterator[OrtBackend]:
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
    # What computes on the processor instead is no matter here.
    monkeypatch.setattr(
        runtime.backends.select,
        "_open_openvino",
        lambda onnx, wish, int8: OrtBackend(onnx, threads=1, where="cpu"),
    )
    return machine


class Uniform(OrtBackend):
    """Cuts pictures as engines do."""

    uniform_tiles = True


def photograph(*, deep: bool = False) -> Samples:
    with Image.open(EXAMPLES / "cat.png") as image:
        whole = np.asarray(image.convert("RGB"))[:80, :110]
    return whole.astype(np.uint16) * 257 if deep else whole


KNOWN: dict[bytes, Samples] = {}


def expected(picture: Samples) -> Samples:
    key = repr((picture.shape, picture.dtype)).encode() + picture.tobytes()
    if key not in KNOWN:
        with Uniform(LITE, threads=1) as backend:
            KNOWN[key] = upscale_in_tiles(
                picture, backend, tile_size=TILE_PX, overlap=backend.info.halo_px
            )
    return KNOWN[key]


def test_the_same_bytes_as_onnx_runtime(machine: Machine) -> None:
    machine.engine()
    with Upscaler(tile_size=TILE_PX) as upscaler:
        assert upscaler.description == "dggn-lite x4, TensorRT 10.14 in FP16 on Fake GPU"
        np.testing.assert_array_equal(upscaler(photograph()), expected(photograph()))
    assert machine.devices[0].closed


@pytest.mark.parametrize("build", [False, True])
def test_16_bits_have_an_engine_of_their_own(machine: Machine, build: bool) -> None:
    machine.engine()
    options = {"build": machine.build} if build else {}
    if not build:
        machine.engine(sample_type="float32")
    # Each engine has a device of its own here, so that both can be closed.
    backend, _ = machine.open(**options)
    machine.devices[0] = FakeDevice(0)
    with backend:
        assert backend.info.sample_type == "float32"
        picture = photograph(deep=True)
        result = upscale_in_tiles(picture, backend, tile_size=TILE_PX, overlap=backend.info.halo_px)
    np.testing.assert_array_equal(result, expected(picture))
    assert [request.sample_type for request in machine.requests] == ["float32"] * build


def test_16_bits_without_an_engine_are_one_pictures_problem(machine: Machine) -> None:
    machine.engine()
    with Upscaler(tile_size=TILE_PX) as upscaler:
        machine.devices[0] = FakeDevice(0)
        with pytest.raises(ImageError, match="16 bits, which needs an engine.*--io float32"):
            upscaler(photograph(deep=True))
        assert upscaler(photograph()[:20, :20]).shape == (80, 80, 3)


def test_an_engine_is_built_where_none_is(machine: Machine) -> None:
    backend, why = machine.open(build=machine.build)
    backend.__exit__(None, None, None)
    (request,) = machine.requests
    assert (request.onnx, request.onnx_sha256) == (LITE, file_sha256(LITE))
    assert (request.precision, request.sample_type, request.tile_px) == ("fp16", "uint8", TILE_PX)
    assert why == "it has an engine for this GPU"
    machine.devices[0] = FakeDevice(0)
    backend, _ = machine.open(build=machine.build)
    backend.__exit__(None, None, None)
    assert len(machine.requests) == 1, "the second run finds it"


def test_asked_for_float32_the_engine_computes_in_it(machine: Machine) -> None:
    backend, _ = machine.open(build=machine.build, precision="float32")
    with backend:
        assert "in FP32" in backend.description


def test_another_tile_size_is_another_engine(machine: Machine) -> None:
    machine.engine()
    backend, _ = machine.open(build=machine.build, tile_px=96)
    backend.__exit__(None, None, None)
    assert [request.tile_px for request in machine.requests] == [96]


def test_without_building_any_tile_size_will_do(machine: Machine) -> None:
    machine.engine()
    with Upscaler(tile_size=96) as upscaler:
        result = upscaler(photograph())
    np.testing.assert_array_equal(result, expected(photograph()))


def test_little_memory_asks_for_small_batches() -> None:
    gib = 1 << 30
    assert [batch_for(n * gib, 256, 3) for n in (0, 1, 2, 4, 8, 80)] == [1, 1, 1, 2, 4, 4]
    assert batch_for(8 * gib, 512, 3) == 1


def test_memory_that_runs_out_while_opening_builds_less(machine: Machine) -> None:
    machine.devices[0].memory_bytes = 700_000
    machine.engine(batch=4)
    with Upscaler(tile_size=TILE_PX, build=machine.build, say=machine.said.append) as upscaler:
        np.testing.assert_array_equal(upscaler(photograph()), expected(photograph()))
    assert [request.batch for request in machine.requests] == [2]
    assert machine.said == [
        "Fake GPU is short of memory: going on with 2 batches at once",
        "Fake GPU is short of memory: going on with 1 batch at once",
        "Fake GPU is short of memory: going on with batches of 2 tiles of 64 px",
        "Fake GPU is short of memory: going on with 2 batches at once",
        "Fake GPU is short of memory: going on with 1 batch at once",
    ]


def test_the_first_use_verifies_an_engine(machine: Machine) -> None:
    path = machine.engine(verified=False)
    backend, _ = machine.open()
    backend.__exit__(None, None, None)
    assert machine.said == [f"{path.name} is used for the first time: verifying it"]
    found = read_facts(path).verification
    assert found is not None
    assert found.largest_difference == 0
    machine.said.clear()
    machine.devices[0] = FakeDevice(0)
    backend, _ = machine.open()
    backend.__exit__(None, None, None)
    assert machine.said == [], "once"


def test_an_engine_that_computes_something_else_is_not_used(machine: Machine) -> None:
    path = machine.engine(verified=False)
    compute = machine.tensorrt.compute
    machine.tensorrt.compute = lambda batch: 255 - compute(batch)
    with pytest.raises(BackendError, match="does not compute what the model does.*--force"):
        machine.open(name="tensorrt")
    assert read_facts(path).verification is None
    assert machine.devices[0].closed
    machine.devices[0] = FakeDevice(0)
    backend, why = machine.open()
    with backend:
        assert isinstance(backend, OrtBackend)
    assert why.startswith("TensorRT cannot be used: ")
    assert "does not compute what the model does" in why


def test_two_gpus_share_the_work_and_one_may_fail(machine: Machine) -> None:
    machine.gpus.append(replace(GPU, index=1))
    machine.engine(batch=1)
    machine.devices[1].fails_at = 12
    with Upscaler(tile_size=TILE_PX, devices=(0, 1), say=machine.said.append) as upscaler:
        np.testing.assert_array_equal(upscaler(photograph()), expected(photograph()))
    assert all(device.closed for device in machine.devices.values())
    assert len(machine.said) <= 1
    for line in machine.said:
        assert "failed, and the others go on without it: CUDA_ERROR_ILLEGAL_ADDRESS" in line


def test_a_gpu_that_cannot_be_opened_is_left_out(machine: Machine) -> None:
    machine.gpus.append(replace(GPU, index=1))
    machine.engine()
    machine.devices[1].memory_bytes = 1
    backend, _ = machine.open(devices=(0, 1))
    with backend:
        assert len(machine.said) == 3
        assert machine.said[-1].startswith("GPU 1, Fake GPU, is left out: ")
    assert machine.devices[1].closed


def test_no_such_gpu(machine: Machine) -> None:
    with pytest.raises(BackendError, match="there is no GPU 1: expected one of 0: Fake GPU"):
        machine.open(name="tensorrt", devices=(0, 1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("none", "there is no TensorRT engine of dggn-lite.onnx for this GPU: `dggn-export trt`"),
        ("version", "there is one, but it was built with tensorrt 10.14, and 11.0 is installed"),
        ("gpu", "there is one, but it was built on Fake GPU, and this is Another GPU"),
        ("damaged", "its content is not what its sidecar describes"),
    ],
)
def test_stale_and_foreign_engines_are_never_loaded(
    machine: Machine, spoil: str, reason: str
) -> None:
    if spoil != "none":
        path = machine.engine()
    if spoil == "version":
        machine.tensorrt.library = replace(machine.tensorrt.library, version="11.0")
    elif spoil == "gpu":
        machine.gpus[0] = replace(GPU, name="Another GPU")
    elif spoil == "damaged":
        path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(BackendError) as caught:
        machine.open(name="tensorrt")
    assert reason in str(caught.value)
    assert machine.devices[0].closed
    assert machine.tensorrt.runs == 0


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
        "TensorRT would be quicker: pip install 'dggn[trt]', or 'dggn[rtx]' for RTX cards"
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
    assert why() == "TensorRT would be quicker: this needs cuda-bindings, which is not installed"


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
    monkeypatch.setattr(
        runtime.backends.onnxruntime, "_providers", lambda where, device: ["CPUExecutionProvider"]
    )
    with pytest.raises(BackendError) as caught:
        machine.open(devices=(0, 1))
    message = str(caught.value)
    assert message.startswith("--devices 0,1 asks for GPUs, but only the CPU can be used: ")
    assert "there is no GPU 1: expected one of 0: Fake GPU" in message
    assert message.endswith("Leave --devices out to compute on the CPU")


@pytest.mark.parametrize(
    ("name", "precision"),
    [("dggn-lite", "fp16"), ("dggn-lite-int8", "int8"), ("dggn-lite-int8-tensorrt", "int8")],
)
def test_engines_of_shipped_models_have_their_precision(name: str, precision: str) -> None:
    with OrtBackend(for_tensorrt(model_path(name)), threads=1, where="cpu") as model:
        assert runtime.backends.select._engine_precision(model.info, None) == precision


def test_cuda_is_refused_where_onnx_runtime_has_none(machine: Machine) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BackendError, match=r"for processors only.*dggn\[gpu\]"):
        machine.open(name="cuda")


class Talking(SilentProgress):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.results: list[FileResult] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def finished(self, result: FileResult) -> None:
        self.results.append(result)


def test_a_folder_from_file_to_file(machine: Machine, tmp_path: Path) -> None:
    """Tiles of several pictures fill one batch, and every file is what ONNX Runtime makes."""
    machine.engine()
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    parts = {f"{number:02}.png": photograph()[number:, number * 20 :] for number in range(4)}
    for name, samples in parts.items():
        Image.fromarray(samples).save(source / name)
    machine.devices[0].choose = lambda count: 0
    progress = Talking()
    options = Options(source=source, target=target, tile_size=TILE_PX, jobs=1)
    Batch(options, progress).run()
    assert progress.said[0] == (
        "dggn-lite x4, TensorRT 10.14 in FP16 on Fake GPU; it has an engine for this GPU"
    )
    assert [result.status for result in progress.results] == ["done"] * 4
    for name, samples in parts.items():
        with Image.open(target / name) as image:
            np.testing.assert_array_equal(np.asarray(image), expected(samples))

    # The same model and settings: a run on another backend finds nothing to do.
    again = Talking()
    Batch(replace(options, backend="cpu"), again).run()
    assert [result.status for result in again.results] == ["skipped"] * 4


def test_a_dry_run_builds_nothing(machine: Machine, tmp_path: Path) -> None:
    from runtime.run.dry_run import dry_run

    options = Options(source=EXAMPLES / "cat.png", target=tmp_path / "x.png", build=machine.build)
    report = dry_run(options, SilentProgress())
    assert report.totals.planned == 1
    assert machine.requests == []


def test_tiles_that_the_model_cannot_take_are_refused_as_ever(machine: Machine) -> None:
    machine.engine()
    with pytest.raises(ConfigError, match="tile size is 100: this model needs a multiple of 8"):
        Upscaler(tile_size=100)
