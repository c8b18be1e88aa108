from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the calibrate extra")

import onnx

from calibration.prepare.ungroup import ungroup
from dggn.onnx_graph.fold import fold_constants

UNITS = 2
"""Of the fixture's two branches together."""


@pytest.fixture
def model(models: dict[str, Path]) -> onnx.ModelProto:
    model = onnx.load(models["half"])
    fold_constants(model)
    return model


def groups(model: onnx.ModelProto) -> Counter[int]:
    return Counter(
        attribute.i
        for node in model.graph.node
        if node.op_type == "Conv"
        for attribute in node.attribute
        if attribute.name == "group"
    )


def test_the_output_is_the_same(
    model: onnx.ModelProto, run: Callable[..., NDArray[Any]], batch: NDArray[np.float32]
) -> None:
    expected = run(model, batch)
    ungroup(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, batch), expected, atol=2e-6)


def test_only_the_gradient_operator_stays_grouped(model: onnx.ModelProto) -> None:
    before = groups(model)
    assert before[2] == 4 * UNITS
    parts = ungroup(model)
    after = groups(model)
    assert after[2] == 0
    assert after[3] == before[3] > 0
    assert after[1] == before[1] + 2 * before[2]
    stored = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert parts["image_trunk.0.conv5x5.weight"] == [
        "image_trunk.0.conv5x5.weight.part0",
        "image_trunk.0.conv5x5.weight.part1",
    ]
    assert "image_trunk.0.conv5x5.weight" not in stored
    assert stored["image_trunk.0.conv5x5.weight.part1"] == [16, 16, 5, 5]


def test_nothing_is_split_or_concatenated_more_often(model: onnx.ModelProto) -> None:
    before = Counter(node.op_type for node in model.graph.node)
    ungroup(model)
    after = Counter(node.op_type for node in model.graph.node)
    assert after["Split"] == before["Split"] == UNITS
    assert after["Concat"] == before["Concat"]


def test_a_second_time_nothing_changes(model: onnx.ModelProto) -> None:
    ungroup(model)
    before = model.SerializeToString()
    assert ungroup(model) == {}
    assert model.SerializeToString() == before


def test_a_split_that_is_read_by_something_else_is_left_alone(model: onnx.ModelProto) -> None:
    split = next(node for node in model.graph.node if node.op_type == "Split")
    model.graph.node.append(
        onnx.helper.make_node("Relu", [split.output[0]], ["other"], name="other")
    )
    before = groups(model)[2]
    ungroup(model)
    assert groups(model)[2] == before // UNITS
