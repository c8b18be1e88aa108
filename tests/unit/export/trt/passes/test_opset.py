from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from onnx import helper

from dggn.onnx_graph.values import opset
from export.trt.passes.opset import lower_opset
from runtime.errors import ModelError
from tests.support.graphs import small_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


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
