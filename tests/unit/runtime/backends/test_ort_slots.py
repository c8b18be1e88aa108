"""Sessions over the slots' memory, on the CPU, where streams are synchronous."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends import ort_slots
from runtime.backends.in_slots import SlotModel, SlotsBackend
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.ort_slots import SessionExecution
from runtime.errors import BackendError, Cancelled, ImageError, ModelError, OutOfDeviceMemory
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo, model_path
from tests.support.host_device import HostDevice

LITE = model_path("dggn-lite")


@pytest.fixture(scope="module")
def reference() -> OrtBackend:
    return OrtBackend(LITE, threads=1, where="cpu")


def slot_model(info: ModelInfo, path: Path = LITE) -> SlotModel:
    return SlotModel(path=path, info=info, precision="float32", tile_px=48, batch=3)


def open_backend(model: SlotModel, device: HostDevice) -> SlotsBackend:
    return SlotsBackend(
        model,
        lambda number: SessionExecution(model, None),
        device,
        description="ONNX Runtime on a card",
        say=lambda line: None,
    )


def tiles_of(kind: type[Any]) -> list[Samples]:
    random = np.random.default_rng(0)
    shapes = [(48, 48), (48, 48), (48, 48), (48, 48), (16, 48), (96, 64)]
    return [random.integers(0, np.iinfo(kind).max + 1, (*hw, 3)).astype(kind) for hw in shapes]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_results_are_those_of_a_session_that_copies(reference: OrtBackend, kind: type[Any]) -> None:
    device = HostDevice()
    results: dict[int, Samples] = {}
    tiles = tiles_of(kind)
    with open_backend(slot_model(reference.info), device) as backend:
        assert backend.precision == "float32"
        assert backend.largest_tile_px == 48
        for number, tile in enumerate(tiles):
            backend.submit(tile, partial(lambda n, one: results.update({n: one.copy()}), number))
        backend.finish()
    assert device.closed
    for number, tile in enumerate(tiles[:5]):
        expected = reference.run(tile[None])[0].astype(int)
        assert np.abs(results[number] - expected).max() <= np.iinfo(kind).max // 255
    # The last one exceeds the slots' memory: it was split and reassembled.
    assert results[5].shape == (4 * 96, 4 * 64, 3)


def test_bytes_in_and_out(reference: OrtBackend, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the gpu extra")
    import onnx

    from export.trt.passes.bytes_io import wrap_in_bytes

    model = onnx.load(LITE)
    wrap_in_bytes(model)
    onnx.save(model, tmp_path / "bytes.onnx")
    info = replace(reference.info, sample_type="uint8")
    tile = tiles_of(np.uint8)[0]
    results: list[Samples] = []
    with open_backend(slot_model(info, tmp_path / "bytes.onnx"), HostDevice()) as backend:
        backend.submit(tile, lambda result: results.append(result.copy()))
        backend.finish()
        with pytest.raises(ImageError):
            backend.submit(tile.astype(np.uint16), results.append)
    difference = results[0].astype(int) - reference.run(tile[None])[0]
    assert np.abs(difference).max() <= 1


def test_after_cancelling_nothing_is_taken(reference: OrtBackend) -> None:
    with open_backend(slot_model(reference.info), HostDevice()) as backend:
        backend.cancel()
        with pytest.raises(Cancelled):
            backend.finish()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Failed to allocate memory for requested buffer of size 123", OutOfDeviceMemory),
        ("CUDA failure 2: out of memory", OutOfDeviceMemory),
        ("CUDNN_STATUS_EXECUTION_FAILED", BackendError),
    ],
)
def test_what_fails_is_told_in_our_words(
    reference: OrtBackend, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[BackendError]
) -> None:
    def fail(self: SessionExecution) -> None:
        with self._translated("failed"):
            raise RuntimeError(said)

    monkeypatch.setattr(ort_slots.SessionExecution, "enqueue", fail)
    device = HostDevice()
    with open_backend(slot_model(reference.info), device) as backend:
        backend.submit(tiles_of(np.uint8)[0], lambda result: None)
        for _ in range(2):
            with pytest.raises(BackendError, match=r"ONNX Runtime failed on CUDA") as caught:
                backend.finish()
            assert type(caught.value) is kind
    assert device.closed


def test_what_does_not_open_is_closed(reference: OrtBackend, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    device = HostDevice()
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_backend(slot_model(reference.info, tmp_path / "x.onnx"), device)
    assert device.closed
