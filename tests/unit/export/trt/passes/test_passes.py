"""Passes over graphs of a few nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from onnx import TensorProto, helper, numpy_helper

from dggn.onnx_graph.values import opset
from export.trt.passes.half import to_half
from export.trt.passes.islands import float32_nodes
from export.trt.passes.opset import lower_opset
from runtime.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


def small_graph(
    nodes: list[Any], tensors: dict[str, NDArray[Any]], version: int = 18, channels: int = 3
) -> Any:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name in ("x", "y")
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "small", values[:1], values[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=9)


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
    """`Resize` takes float32 scales only, and `Shape` reads whatever there is."""
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


def test_means_far_from_a_sigmoid_do_not_hold_the_rest_in_float32() -> None:
    trained = np.ones((16, 16, 3, 3), np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["p", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Conv", ["t", "w"], ["d"], pads=[1] * 4),
        helper.make_node("Sigmoid", ["d"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["y"], pads=[1] * 4),
    ]
    model = small_graph(nodes, {"w": trained}, channels=16)
    assert float32_nodes(model) == {0, 4}


@pytest.mark.parametrize(
    ("node", "tensors", "message"),
    [
        (("Resize", ["x", "", "k"], {"antialias": 1}), {"k": [1, 1, 2, 2]}, "uses antialias = 1"),
        (("Resize", ["x", "", "k"], {"axes": [2, 3]}), {"k": [2, 2]}, "uses axes"),
    ],
)
def test_what_opset_17_cannot_say(node: Any, tensors: dict[str, list[float]], message: str) -> None:
    kind, inputs, options = node
    arrays = {name: np.array(value, np.float32) for name, value in tensors.items()}
    model = small_graph(
        [helper.make_node(kind, inputs, ["y"], name="n", mode="linear", **options)], arrays
    )
    with pytest.raises(ModelError, match=f"{kind} n {message}.*TensorRT 10 or later"):
        lower_opset(model, 17)


def test_reductions_and_splits_in_opset_17(run: Run) -> None:
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b", "c"], axis=1, num_outputs=3),
        helper.make_node("Concat", ["c", "b", "a"], ["d"], axis=1),
        helper.make_node("ReduceMean", ["d", "axes"], ["m"], keepdims=1),
        helper.make_node("Sub", ["d", "m"], ["y"]),
    ]
    model = small_graph(nodes, {"axes": np.array([2, 3], np.int64)})
    lowered = lower_opset(model, 17)
    assert (opset(model), opset(lowered)) == (18, 17)
    batch = np.random.default_rng(0).random((1, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(run(lowered, batch), run(model, batch))


def test_much_later_opsets_are_refused_for_old_libraries() -> None:
    model = small_graph([helper.make_node("Relu", ["x"], ["y"])], {}, version=20)
    with pytest.raises(ModelError, match="opset 20.*reads up to 17"):
        lower_opset(model, 17)
    assert lower_opset(model, 20) is model
