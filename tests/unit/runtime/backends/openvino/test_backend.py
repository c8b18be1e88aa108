"""OpenVINO as a backend, with small made-up models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.openvino.backend import OpenVinoBackend
from runtime.errors import Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.stitch import upscale_in_tiles
from tests.support.openvino_models import INFO, Opener, noise, whole


def write_choosy_model(path: Path) -> Path:
    """Another program's model, which fails on tiles of 70 columns."""
    make = onnx.helper.make_node
    numbers = {"last": [3], "after": [4], "seventy": [70], "first": [0]}
    nodes = [
        make("Shape", ["input"], ["shape"]),
        make("Slice", ["shape", "last", "after"], ["width"]),
        make("Equal", ["width", "seventy"], ["is_seventy"]),
        make("Cast", ["is_seventy"], ["missing"], to=onnx.TensorProto.INT64),
        make("Sub", ["width", "missing"], ["end"]),
        make("Slice", ["input", "first", "end", "last"], ["part"]),
        make("Max", ["input", "part"], ["same"]),  # of 70 columns and 69
        make("Resize", ["same", "", "scales"], ["output"], mode="nearest"),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "a test's",
        [onnx.helper.make_tensor_value_info("input", floats, ["n", 3, "h", "w"])],
        [onnx.helper.make_tensor_value_info("output", floats, ["n", 3, "hh", "ww"])],
        [
            onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
            *(onnx.numpy_helper.from_array(np.array(v), k) for k, v in numbers.items()),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def test_what_another_programs_model_fails_on_is_a_pictures_error(
    tmp_path: Path, opener: Opener
) -> None:
    path = write_choosy_model(tmp_path / "choosy.onnx")
    with opener(path, "float32") as backend, OrtBackend(path, threads=1, where="cpu") as other:
        for one in (backend, other):
            for _ in range(3):  # requests are given back
                with pytest.raises(ImageError, match="the model fails on a tile of 20x70 px"):
                    one.submit(noise(20, 70), lambda result: None)
            picture = noise(20, 68)
            np.testing.assert_array_equal(
                whole(one, picture), picture.repeat(2, axis=0).repeat(2, axis=1)
            )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_float32_makes_the_pictures_of_onnx_runtime(
    model: Path, opener: Opener, dtype: type
) -> None:
    picture = noise(50, 62, dtype)
    with opener(model, "float32") as backend, OrtBackend(model, threads=1, where="cpu") as other:
        assert backend.info == other.info == INFO
        assert backend.precision == "float32"
        assert backend.description == "OpenVINO on the CPU in float32, 1 thread"
        found, expected = (whole(one, picture) for one in (backend, other))
    assert found.dtype == expected.dtype == dtype
    # Sums have another order, so halves may round either way.
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found != expected) < (0.001 if dtype == np.uint8 else 0.05)


def test_many_tiles_come_back_each_to_its_place(model: Path, opener: Opener) -> None:
    picture = noise(130, 118)
    with opener(model, "float32") as backend:
        tiled = upscale_in_tiles(picture, backend, tile_size=24, overlap=4)
        np.testing.assert_array_equal(tiled, whole(backend, picture))


def test_a_tile_that_cannot_be_written_to_is_taken(model: Path, opener: Opener) -> None:
    picture = noise(24, 24)
    picture.flags.writeable = False
    results: list[Samples] = []
    with opener(model, "float32") as backend:
        backend.submit(picture, lambda result: results.append(result.copy()))
        backend.finish()
    assert results[0].shape == (48, 48, 3)


def test_models_of_bytes_take_no_16_bits(tmp_path: Path, opener: Opener) -> None:
    make = onnx.helper.make_node
    bytes_type = onnx.TensorProto.UINT8
    graph = onnx.helper.make_graph(
        [make("Identity", ["input"], ["output"])],
        "a test's",
        [onnx.helper.make_tensor_value_info("input", bytes_type, ["n", "h", "w", 3])],
        [onnx.helper.make_tensor_value_info("output", bytes_type, ["n", "h", "w", 3])],
    )
    file = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9
    )
    info = ModelInfo(**{**vars(INFO), "scale": 1, "sample_type": "uint8"})
    onnx.helper.set_model_props(file, info.to_metadata())
    onnx.save(file, tmp_path / "m.onnx")
    picture = noise(24, 32)
    with opener(tmp_path / "m.onnx", "float32") as backend:
        np.testing.assert_array_equal(whole(backend, picture), picture)
        with pytest.raises(ImageError, match="takes 8-bit samples and the picture has 16"):
            whole(backend, picture.astype(np.uint16))


@pytest.fixture
def running(model: Path, opener: Opener) -> Iterator[OpenVinoBackend]:
    with opener(model, "float32") as backend:
        yield backend


def test_what_is_cancelled_ends(running: OpenVinoBackend) -> None:
    ended = threading.Event()

    def work() -> None:
        try:
            while True:
                running.submit(noise(256, 256), lambda result: None)
        except Cancelled:
            ended.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    running.cancel()
    thread.join(60)
    assert ended.is_set()
    with pytest.raises(Cancelled):
        running.finish()


def test_what_a_receiver_raises_ends_the_work(running: OpenVinoBackend) -> None:
    def full(result: Samples) -> None:
        raise ImageError("no room")

    running.submit(noise(16, 16), full)
    with pytest.raises(ImageError, match="no room"):
        running.finish()


def test_tiles_smaller_than_the_model_takes_are_padded(running: OpenVinoBackend) -> None:
    small, large = noise(8, 6), noise(8, 16)
    large[:, :6], large[:, 6:] = small, small[:, -1:]
    expected = whole(running, large)
    running._least_px = 16
    found = whole(running, small)
    assert found.shape == (16, 12, 3)
    # At the bottom, the model pads with zeros where the edge was replicated.
    np.testing.assert_array_equal(found[:14], expected[:14, :12])
