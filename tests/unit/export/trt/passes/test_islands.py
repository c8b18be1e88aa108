from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")
from onnx import helper

from export.trt.passes.islands import float32_nodes
from tests.support.graphs import small_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


def test_means_far_from_a_sigmoid_do_not_hold_the_rest_in_float32() -> None:
    trained = np.ones((16, 16, 3, 3), np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[1, 65]),
        helper.make_node("Conv", ["p", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Conv", ["t", "w"], ["d"], pads=[1] * 4),
        helper.make_node("Sigmoid", ["d"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["y"], pads=[1] * 4),
    ]
    model = small_graph(nodes, {"w": trained}, channels=16)
    assert float32_nodes(model) == {0, 4}


@pytest.mark.parametrize(("window", "islands"), [([8, 8], {1, 2}), ([13, 5], {0, 1, 2})])
def test_float16_takes_means_of_small_windows_but_not_their_gates(
    window: list[int], islands: set[int]
) -> None:
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=window),
        helper.make_node("Conv", ["p", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Mul", ["x", "s"], ["m"]),
        helper.make_node("Conv", ["m", "w"], ["y"], pads=[1] * 4),
    ]
    model = small_graph(nodes, {"w": np.ones((16, 16, 3, 3), np.float32)}, channels=16)
    assert float32_nodes(model) == islands
