from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

import onnx
import onnxruntime

from calibration.observe.ranges import METHODS, Method, observe
from calibration.prepare.source import read_model
from calibration.prepare.tiles import Tile, sample_tiles
from calibration.search.place import OPERATORS
from dggn.data.pairs import read_pairs
from dggn.onnx_graph.evaluate import as_input

TENSOR = "image_trunk.0.enter.weight.0"


@pytest.fixture(scope="module")
def tiles(photographs: Path) -> list[Tile]:
    return sample_tiles(read_pairs([photographs]), count=6, tile_px=16)


@pytest.fixture(scope="module")
def seen(models: dict[str, Path], tiles: list[Tile]) -> dict[str, dict[str, tuple[float, float]]]:
    """The ranges of every method."""
    source = read_model(models["half"])

    def ranges(method: Method) -> dict[str, tuple[float, float]]:
        return observe(
            source.model,
            tiles,
            method=method,
            operators=OPERATORS["cpu"],
            sample_type="float32",
            on_share=lambda share: None,
        )

    return {method: ranges(method) for method in METHODS}


def test_minmax_takes_everything_in(
    models: dict[str, Path],
    tiles: list[Tile],
    seen: dict[str, dict[str, tuple[float, float]]],
) -> None:
    model = onnx.load(models["half"])
    (node,) = (node for node in model.graph.node if any(TENSOR in name for name in node.input[1:]))
    name = node.output[0]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = np.stack(
        [session.run([name], {"input": as_input(tile.image_hwc, "float32")})[0] for tile in tiles]
    )
    low, high = seen["minmax"][name]
    assert low == pytest.approx(min(values.min(), 0), abs=1e-5)
    assert high == pytest.approx(max(values.max(), 0), abs=1e-5)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_the_others_leave_out_the_ends(
    seen: dict[str, dict[str, tuple[float, float]]], method: str
) -> None:
    assert set(seen[method]) == set(seen["minmax"])
    narrower = 0
    for name, (low, high) in seen[method].items():
        lowest, highest = seen["minmax"][name]
        slack = 0.02 * (highest - lowest) + 1e-6
        assert lowest - slack <= low <= 0 <= high <= highest + slack
        narrower += high - low < highest - lowest
    assert narrower > len(seen["minmax"]) / 2


def test_feeds() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert as_input(image, "uint8").shape == (1, 2, 4, 3)
    batch = as_input(image, "float32")
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, 1] * 255, image[..., 1], rtol=1e-6)


def test_nothing_is_printed(
    models: dict[str, Path], tiles: list[Tile], capfd: pytest.CaptureFixture[str]
) -> None:
    source = read_model(models["bytes"])
    shares: list[float] = []
    observe(
        source.model,
        tiles,
        method="entropy",
        operators=OPERATORS["tensorrt"],
        sample_type="uint8",
        on_share=shares.append,
    )
    assert shares == [4 / 6, 1.0]
    assert capfd.readouterr() == ("", "")
