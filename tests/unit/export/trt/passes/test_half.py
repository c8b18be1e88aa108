from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")
from onnx import TensorProto, helper

from export.trt.passes.half import to_half
from runtime.errors import ModelError
from tests.support.graphs import small_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


def test_weights_too_large_for_float16_are_refused() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    model = small_graph([node], {"w": np.full((3, 3, 1, 1), 1e6, np.float32)})
    with pytest.raises(ModelError, match="weight w reaches 1e\\+06.*--precision fp32"):
        to_half(model, set())


def test_graphs_in_graphs_are_refused() -> None:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    model = small_graph([node], {"flag": np.array(True)})
    with pytest.raises(ModelError, match="contains a subgraph.*--precision fp32"):
        to_half(model, set())


def test_an_output_that_is_read_again_keeps_its_type(run: Run) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("Relu", ["y"], ["unused"]),
    ]
    model = small_graph(nodes, {"w": np.eye(3, dtype=np.float32)[:, :, None, None]})
    to_half(model, set())
    onnx.checker.check_model(model, full_check=True)
    batch = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 3, 2, 2)
    np.testing.assert_allclose(run(model, batch), batch, atol=1e-3)


def test_shapes_and_scales_keep_their_types(run: Run) -> None:
    """`Resize` takes only float32 scales; `Shape` reads any type."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("Reshape", ["r", "s"], ["t"]),
        helper.make_node("Resize", ["t", "", "scales"], ["y"], mode="linear"),
    ]
    model = small_graph(nodes, {"scales": np.array([1, 1, 2, 2], np.float32)})
    to_half(model, set())
    onnx.checker.check_model(model, full_check=True)
    assert run(model, np.ones((1, 3, 4, 4), np.float32)).shape == (1, 3, 8, 8)
