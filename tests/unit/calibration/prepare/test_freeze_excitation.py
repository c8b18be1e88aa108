from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the calibrate extra")

import onnx
from onnx import numpy_helper

from calibration.prepare.freeze_excitation import freeze_excitation
from calibration.prepare.source import read_model
from calibration.prepare.tiles import Tile
from dggn.data.pairs import read_pairs
from dggn.onnx_graph.source import SourceModel

GATES = ("Sigmoid", "AveragePool", "Resize", "Mul")


@pytest.fixture
def source(models: dict[str, Path]) -> SourceModel:
    return read_model(models["half"])


@pytest.fixture(scope="module")
def tiles(photographs: Path) -> list[Tile]:
    from calibration.prepare.tiles import sample_tiles

    return sample_tiles(read_pairs([photographs]), count=4, tile_px=16)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def initializers(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_gates_that_never_vary_are_folded_exactly(
    source: SourceModel,
    tiles: list[Tile],
    run: Callable[..., NDArray[Any]],
    batch: NDArray[np.float32],
) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(source.model)
    for tensor in graph.graph.initializer:
        if tensor.name.endswith(".se.excite.weight"):
            zeros = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    constant = replace(source, model=graph)
    frozen = freeze_excitation(constant, tiles)
    onnx.checker.check_model(frozen.model, full_check=True)
    np.testing.assert_allclose(run(frozen.model, batch), run(graph, batch), atol=2e-6)


def test_nothing_is_left_of_the_gates(source: SourceModel, tiles: list[Tile]) -> None:
    before, after = kinds(source.model), kinds(freeze_excitation(source, tiles).model)
    units = before["Sigmoid"]
    assert units == 2
    assert after["Sigmoid"] == after["AveragePool"] == 0
    assert before["Conv"] - after["Conv"] == 2 * units
    assert not any(".se." in name for name in initializers(freeze_excitation(source, tiles).model))


def test_the_constants_are_means_over_the_tiles(
    source: SourceModel, tiles: list[Tile], run: Callable[..., NDArray[Any]]
) -> None:
    sigmoid = next(node for node in source.model.graph.node if node.op_type == "Sigmoid")
    asked = onnx.ModelProto()
    asked.CopyFrom(source.model)
    sigmoid_of_asked = next(node for node in asked.graph.node if node.op_type == "Sigmoid")
    del asked.graph.output[:]
    asked.graph.output.append(onnx.ValueInfoProto(name="output"))
    for node in asked.graph.node:
        node.output[:] = ["unread" if name == "output" else name for name in node.output]
        for index, name in enumerate(node.input):
            if name == sigmoid.output[0]:
                node.input[index] = "output"
    sigmoid_of_asked.output[0] = "output"
    images = np.stack([tile.image_hwc.transpose(2, 0, 1) for tile in tiles]) / np.float32(255)
    mean = run(asked, images).mean(axis=(0, 2, 3))
    before, after = initializers(source.model), initializers(freeze_excitation(source, tiles).model)
    (scaled,) = [
        name
        for name in after
        if name.endswith("fuse.bias") and np.allclose(after[name], before[name] * mean, atol=1e-6)
    ]
    weight = scaled.replace("bias", "weight")
    np.testing.assert_allclose(after[weight], before[weight] * mean[:, None, None, None], rtol=1e-5)


def test_scaled_weights_are_stored_in_float32(source: SourceModel, tiles: list[Tile]) -> None:
    left = source.storages.keys() - freeze_excitation(source, tiles).storages.keys()
    assert {name for name in left if ".fuse." in name} == left
    assert len(left) == 4


def test_a_model_without_gates_is_taken_as_it_is(source: SourceModel, tiles: list[Tile]) -> None:
    frozen = freeze_excitation(source, tiles)
    assert freeze_excitation(frozen, tiles) is frozen


def test_the_model_given_is_not_changed(source: SourceModel, tiles: list[Tile]) -> None:
    before = source.model.SerializeToString(deterministic=True)
    freeze_excitation(source, tiles)
    assert source.model.SerializeToString(deterministic=True) == before
