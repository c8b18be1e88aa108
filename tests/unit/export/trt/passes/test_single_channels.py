"""Convolutions of single channels as plain ones: the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the gpu extra")
pytest.importorskip("onnxruntime", reason="needs the gpu extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from export.trt.passes.single_channels import CHANNELS_MOST, join_single_channels

if TYPE_CHECKING:
    from tests.unit.export.trt.conftest import Run

RANDOM = np.random.default_rng(0)


def two_filters(channels: int, group: int) -> onnx.ModelProto:
    """Two convolutions with the same weight, one after the other."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], "one", group=group, pads=[1] * 4),
        helper.make_node("Conv", ["a", "w"], ["y"], "two", group=group, pads=[1] * 4),
    ]
    weight = RANDOM.normal(size=(channels, channels // group, 3, 3)).astype(np.float32)
    bias = RANDOM.normal(size=channels).astype(np.float32)
    stored = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name in ("x", "y")
    )
    graph = helper.make_graph(nodes, "g", [given], [made], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def groups(model: onnx.ModelProto) -> set[int]:
    return {
        entry.i for node in model.graph.node for entry in node.attribute if entry.name == "group"
    }


@pytest.mark.parametrize("channels", [2, 3, CHANNELS_MOST])
def test_the_results_are_the_same(channels: int, run: Run) -> None:
    model = two_filters(channels, channels)
    batch = RANDOM.random((2, channels, 6, 7), dtype=np.float32)
    expected = run(model, batch)
    join_single_channels(model)
    onnx.checker.check_model(model, full_check=True)
    assert groups(model) == {1}
    assert sorted(one.name for one in model.graph.initializer) == ["b", "w.plain"]
    np.testing.assert_allclose(run(model, batch), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("channels", "group"), [(2 * CHANNELS_MOST, 2 * CHANNELS_MOST), (4, 2)])
def test_other_groups_are_left_alone(channels: int, group: int) -> None:
    model = two_filters(channels, group)
    before = model.SerializeToString()
    join_single_channels(model)
    assert model.SerializeToString() == before
