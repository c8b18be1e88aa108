"""From `--backend` to a picture, with simulated GPUs and TensorRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.gpu_machine import LITE, TILE_PX, Machine

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.backends.trt.engine_file import read_facts
from runtime.backends.trt.request import EngineRequest
from runtime.errors import BackendError, ConfigError, ImageError
from runtime.image.picture import Samples
from runtime.jobs.result import FileResult
from runtime.run.batch import Batch
from runtime.run.options import Options
from runtime.tiles.stitch import upscale_in_tiles
from runtime.upscaler import Upscaler
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import GPU
from tests.support.pipeline_bench import SilentProgress

EXAMPLES = Path(__file__).parents[5] / "examples"


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
    with Upscaler("dggn-lite", tile_size=TILE_PX) as upscaler:
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
    with Upscaler("dggn-lite", tile_size=TILE_PX) as upscaler:
        machine.devices[0] = FakeDevice(0)
        with pytest.raises(ImageError, match="16 bits, which needs an engine.*--io float32"):
            upscaler(photograph(deep=True))
        assert upscaler(photograph()[:20, :20]).shape == (80, 80, 3)


def test_an_engine_is_built_where_none_is(machine: Machine) -> None:
    backend, why = machine.open(build=machine.build)
    backend.__exit__(None, None, None)
    (request,) = machine.requests
    assert machine.built_of == [LITE]
    assert request == EngineRequest(
        flavor="tensorrt",
        precision="fp16",
        sample_type="uint8",
        tile_px=TILE_PX,
        batch=4,
        targets=("sm86",),
    )
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
    with Upscaler("dggn-lite", tile_size=96) as upscaler:
        result = upscaler(photograph())
    np.testing.assert_array_equal(result, expected(photograph()))


def test_memory_that_runs_out_while_opening_builds_less(machine: Machine) -> None:
    machine.devices[0].memory_bytes = 700_000
    machine.engine(batch=4)
    with Upscaler(
        "dggn-lite", tile_size=TILE_PX, build=machine.build, say=machine.said.append
    ) as upscaler:
        np.testing.assert_array_equal(upscaler(photograph()), expected(photograph()))
    assert [request.batch for request in machine.requests] == [2]
    assert machine.said == [
        "Fake GPU is low on memory: continuing with 2 batches at once",
        "Fake GPU is low on memory: continuing with 1 batch at once",
        "Fake GPU is low on memory: continuing with batches of 2 tiles of 64 px",
        "Fake GPU is low on memory: continuing with 2 batches at once",
        "Fake GPU is low on memory: continuing with 1 batch at once",
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
    with pytest.raises(BackendError, match="does not reproduce the model's results.*--force"):
        machine.open(name="tensorrt")
    assert read_facts(path).verification is None
    assert machine.devices[0].closed
    machine.devices[0] = FakeDevice(0)
    backend, why = machine.open()
    with backend:
        assert isinstance(backend, OrtBackend)
    assert why.startswith("TensorRT cannot be used: ")
    assert "does not reproduce the model's results" in why


def test_two_gpus_share_the_work_and_one_may_fail(machine: Machine) -> None:
    machine.gpus.append(replace(GPU, index=1))
    machine.engine(batch=1)
    machine.devices[1].fails_at = 12
    with Upscaler(
        "dggn-lite", tile_size=TILE_PX, devices=(0, 1), say=machine.said.append
    ) as upscaler:
        np.testing.assert_array_equal(upscaler(photograph()), expected(photograph()))
    assert all(device.closed for device in machine.devices.values())
    assert len(machine.said) <= 1
    for line in machine.said:
        assert "failed, continuing without it: CUDA_ERROR_ILLEGAL_ADDRESS" in line


def test_a_gpu_that_cannot_be_opened_is_left_out(machine: Machine) -> None:
    machine.gpus.append(replace(GPU, index=1))
    machine.engine()
    machine.devices[1].memory_bytes = 1
    backend, _ = machine.open(devices=(0, 1))
    with backend:
        assert len(machine.said) == 3
        assert machine.said[-1].startswith("GPU 1, Fake GPU, is not used: ")
    assert machine.devices[1].closed


def test_no_such_gpu(machine: Machine) -> None:
    with pytest.raises(BackendError, match="GPU 1 does not exist: expected one of 0: Fake GPU"):
        machine.open(name="tensorrt", devices=(0, 1))


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
    """Tiles of several pictures share batches, and every file equals ONNX Runtime's."""
    machine.engine()
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    parts = {f"{number:02}.png": photograph()[number:, number * 20 :] for number in range(4)}
    for name, samples in parts.items():
        Image.fromarray(samples).save(source / name)
    machine.devices[0].choose = lambda count: 0
    progress = Talking()
    request = BackendRequest(tile_px=TILE_PX)
    options = Options(source=source, target=target, model="dggn-lite", request=request, jobs=1)
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
    Batch(replace(options, request=replace(request, name="cpu")), again).run()
    assert [result.status for result in again.results] == ["skipped"] * 4


def test_a_dry_run_builds_nothing(machine: Machine, tmp_path: Path) -> None:
    from runtime.run.dry_run import dry_run

    options = Options(
        source=EXAMPLES / "cat.png",
        target=tmp_path / "x.png",
        request=BackendRequest(build=machine.build),
    )
    report = dry_run(options, SilentProgress())
    assert report.totals.planned == 1
    assert machine.requests == []


def test_tiles_that_the_model_cannot_take_are_refused_as_ever(machine: Machine) -> None:
    machine.engine()
    with pytest.raises(ConfigError, match="tile size is 100: this model needs a multiple of 8"):
        Upscaler(tile_size=100)
