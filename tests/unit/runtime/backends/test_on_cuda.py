"""ONNX Runtime on CUDA, in float16 if the pictures stay the same, on a simulated GPU."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the gpu extra")
pytest.importorskip("onnx", reason="needs the gpu extra")

from export.half_file import half_file
from runtime.backends import on_cuda
from runtime.backends.half_cache import half_path
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.ort_slots import SessionExecution
from runtime.backends.request import BackendRequest
from runtime.backends.trt.verify import Bounds
from runtime.errors import BackendError, ConfigError, MissingDependency
from runtime.model.info import model_path
from runtime.tiles.backend import Backend
from runtime.upscaler import Upscaler
from tests.support.fake_tensorrt import GPU
from tests.support.host_device import HostDevice

LITE = model_path("dggn-lite")


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGGN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return half_file(LITE)


class Scene:
    """A machine whose GPU is its CPU."""

    def __init__(self, half: Path) -> None:
        self.half = half
        self.said: list[str] = []
        self.devices: list[HostDevice] = []

    def open_device(self, index: int) -> HostDevice:
        self.devices.append(HostDevice(index))
        return self.devices[-1]

    def open(self, onnx: Path = LITE, **options: Any) -> Backend:
        request = BackendRequest(
            **{
                "name": "cuda",
                "tile_px": 48,
                "threads": 1,
                "say": self.said.append,
                "half": lambda onnx: self.half,
                **options,
            }
        )
        return on_cuda.open_on_cuda(onnx, 0, request)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half: Path) -> Scene:
    scene = Scene(tmp_path / half.name)
    shutil.copy(half, scene.half)

    def plain(onnx: Path, *, threads: int | None, where: str, device: int = 0) -> OrtBackend:
        return OrtBackend(onnx, threads=threads, where="cpu")

    monkeypatch.setattr(on_cuda, "OrtBackend", plain)
    monkeypatch.setattr(
        on_cuda, "SessionExecution", lambda model, index: SessionExecution(model, None)
    )
    monkeypatch.setattr(on_cuda, "open_device", scene.open_device)
    monkeypatch.setattr(on_cuda, "require_gpu", lambda index: GPU)
    return scene


def run(backend: Backend, tile: Any) -> Any:
    results: list[Any] = []
    backend.submit(tile, lambda result: results.append(result.copy()))
    backend.finish()
    return results[0]


def picture(kind: Any = np.uint8) -> Any:
    smooth = np.add.outer(np.arange(48), np.arange(48))[..., None] * np.ones(3)
    return (smooth * (np.iinfo(kind).max / 96)).astype(kind)


def test_float16_is_verified_once_and_used(scene: Scene, tmp_path: Path) -> None:
    expected = OrtBackend(LITE, threads=1, where="cpu").run(picture()[None])[0].astype(int)
    for _ in range(2):
        with scene.open() as backend:
            assert backend.precision == "float16"
            assert np.abs(run(backend, picture()) - expected).max() <= 1
    verified = "dggn-lite runs in float16 on Fake GPU for the first time: verifying it"
    assert scene.said == [verified]
    (note,) = tmp_path.glob("*.verified.json")
    assert json.loads(note.read_bytes())["psnr_db"] >= 50
    note.write_bytes(b"{")
    scene.open().__exit__(None, None, None)
    assert scene.said == [verified, verified], "a damaged note is none"
    assert all(device.closed for device in scene.devices)


def test_pictures_of_16_bits_are_computed_in_float32(scene: Scene) -> None:
    with scene.open() as backend:
        expected = OrtBackend(LITE, threads=1, where="cpu").run(picture(np.uint16)[None])[0]
        found = run(backend, picture(np.uint16))
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_float32_where_it_is_asked_for(scene: Scene) -> None:
    with scene.open(precision="float32") as backend:
        assert backend.precision == "float32"
        run(backend, picture())
    assert scene.said == []


def test_who_makes_no_float16_uses_what_the_cache_has(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    with scene.open(half=None) as backend:
        assert backend.precision == "float32"
    assert scene.said == [
        "computing in float32, because the cache has no float16 version of dggn-lite: "
        "dggn-run --backend cuda makes it"
    ]
    kept = half_path(LITE)
    kept.parent.mkdir(parents=True)
    shutil.copy(scene.half, kept)
    with scene.open(half=None) as backend:
        assert backend.precision == "float16"


def test_upscalers_compute_in_float16_too(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    with Upscaler(LITE, backend="cuda", tile_size=48, threads=1, half=half_file) as upscaler:
        assert upscaler.precision == "float16"
        assert upscaler(picture()).shape == (192, 192, 3)
    with Upscaler(LITE, backend="cuda", tile_size=48, threads=1) as upscaler:
        assert upscaler.precision == "float16", "it is in the cache"


def test_float16_that_is_not_good_enough_is_not_used(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = {"fp16": Bounds(psnr_db=1000, largest_difference=0)}
    monkeypatch.setattr("runtime.backends.trt.verify.BOUNDS", strict)
    with scene.open() as backend:
        assert backend.precision == "float32"
    assert scene.said[1].startswith("computing in float32, because float16 is not good enough")
    assert all(device.closed for device in scene.devices)


def test_float16_that_fails_is_not_used(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BackendError("no kernel for Half")

    monkeypatch.setattr(on_cuda, "verify_with", fail)
    with scene.open() as backend:
        assert backend.precision == "float32"
    assert scene.said[1].endswith("not good enough here: no kernel for Half")


def test_float16_that_does_not_open_is_not_used(scene: Scene) -> None:
    scene.half.write_bytes(b"no model")
    with scene.open() as backend:
        assert backend.precision == "float32"
    assert scene.said[0].startswith("computing in float32, because float16 cannot be used here: ")
    assert all(device.closed for device in scene.devices)


def test_without_onnx_it_is_float32_and_said(scene: Scene) -> None:
    def no_onnx(path: Path) -> Path:
        raise MissingDependency("this needs onnx: pip install 'dggn[gpu]'")

    with scene.open(half=no_onnx) as backend:
        assert backend.precision == "float32"
    assert scene.said == [
        "computing in float32, because float16 is not available: this needs onnx: pip install "
        "'dggn[gpu]'"
    ]


def test_quantized_models_stay_as_they_are(scene: Scene) -> None:
    with scene.open(model_path("dggn-lite", "int8")) as backend:
        assert backend.precision == "int8"
    with pytest.raises(ConfigError, match="is quantized"):
        half_file(model_path("dggn-lite-int8-tensorrt"))


def test_without_a_package_for_cuda_tiles_are_copied_one_by_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(index: int) -> Any:
        raise MissingDependency("this needs cuda-bindings")

    monkeypatch.setattr(on_cuda, "require_gpu", missing)
    backend = scene.open()
    assert isinstance(backend, OrtBackend)
    assert scene.said == ["tiles go to the GPU one by one: this needs cuda-bindings"]


def test_models_of_other_programs_keep_their_own_way(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(onnx: Path, **options: Any) -> OrtBackend:
        backend = OrtBackend(onnx, threads=1, where="cpu")
        backend.is_foreign = True
        return backend

    monkeypatch.setattr(on_cuda, "OrtBackend", foreign)
    assert isinstance(scene.open(), OrtBackend)
    assert not scene.devices
