from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export, calibrate or trt extra")

from onnx import helper

from dggn.onnx_graph.fold import fold_constants
from dggn.onnx_graph.half_weights import store_in_half
from tests.unit.dggn.onnx_graph.test_fold import compute, model_of, weights

NAMES = {"w", "unread", "integer", "no such name"}


def test_weights_take_half_the_bytes_and_come_back() -> None:
    stored = {
        "w": np.array([1.5, 2.25], np.float32),
        "kept": np.array([0.1, 0.2], np.float32),
        "unread": np.array([1, 2], np.float32),
        "integer": np.array([1, 2], np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"]),
        helper.make_node("Sum", ["a", "w", "kept"], ["y"]),
    ]
    model = model_of(nodes, stored)
    expected = compute(model)
    store_in_half(model, NAMES)
    onnx.checker.check_model(model, full_check=True)
    assert {name: array.dtype.name for name, array in weights(model).items()} == {
        "w": "float16",
        "kept": "float32",
        "unread": "float16",
        "integer": "int64",
    }
    assert [node.op_type for node in model.graph.node] == ["Cast", "Mul", "Sum"]
    np.testing.assert_array_equal(compute(model), expected)

    assert fold_constants(model) == {"w"}
    np.testing.assert_array_equal(weights(model)["w"], stored["w"])
    np.testing.assert_array_equal(compute(model), expected)
