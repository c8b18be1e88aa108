from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

import onnx
from onnx import helper

from calibration.search.measure import (
    as_file,
    half_black_half_noise,
    largest_seam,
    mean_psnr_db,
    seam_tile_px,
)
from dggn.data.pairs import Pair
from runtime.errors import ModelError
from runtime.model.info import ModelInfo
from tests.support.graphs import small_graph

INFO = ModelInfo(
    preset="nearest",
    scale=4,
    sample_type="float32",
    size_multiple_px=1,
    halo_px=0,
    origin="a test",
)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a network of some nodes from `x` to `s`, then an enlargement by repetition."""

    def write(*nodes: Any) -> Path:
        options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        resize = helper.make_node("Resize", ["s", "", "scales"], ["y"], mode="nearest", **options)
        graph = small_graph([*nodes, resize], {"scales": np.array([1, 1, 4, 4], np.float32)})
        helper.set_model_props(graph, INFO.to_metadata())
        path = tmp_path / "model.onnx"
        onnx.save(graph, path)
        return path

    return write


@pytest.fixture
def pair() -> Pair:
    lr = np.random.default_rng(1).integers(0, 256, (40, 56, 3), np.uint8)
    return Pair(name="noise", lr_hwc=lr, hr_hwc=lr.repeat(4, axis=0).repeat(4, axis=1))


IDENTITY = helper.make_node("Identity", ["x"], ["s"])


def test_a_perfect_model_has_no_error(model: Callable[..., Path], pair: Pair) -> None:
    assert mean_psnr_db(model(IDENTITY), [pair]) == float("inf")
    assert mean_psnr_db(model(helper.make_node("Neg", ["x"], ["s"])), [pair]) < 10


def test_pixel_by_pixel_there_are_no_seams(model: Callable[..., Path], pair: Pair) -> None:
    assert largest_seam(model(IDENTITY), [pair], 0) == 0


def test_what_looks_far_shows_at_seams(model: Callable[..., Path], pair: Pair) -> None:
    pool = helper.make_node("AveragePool", ["x"], ["s"], kernel_shape=[9, 9], pads=[4] * 4)
    path = model(pool)
    assert largest_seam(path, [pair], 0) > 5
    assert largest_seam(path, [pair], 4) < 0.01


def test_tiles_have_a_core_of_32_pixels_at_least() -> None:
    assert [seam_tile_px(0, 1), seam_tile_px(16, 2), seam_tile_px(5, 8)] == [32, 64, 48]


def test_the_hard_picture() -> None:
    image = half_black_half_noise(10)
    assert not image[:, :5].any()
    assert image[:, 5:].std() > 50
    assert np.array_equal(image, half_black_half_noise(10))


def test_a_model_as_a_file_for_a_while(model: Callable[..., Path]) -> None:
    graph = onnx.load(model(IDENTITY))
    with as_file(graph) as path:
        assert onnx.load(path) == graph
    assert not path.exists()


def test_a_file_that_cannot_be_loaded(tmp_path: Path, pair: Pair) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError):
        mean_psnr_db(path, [pair])
