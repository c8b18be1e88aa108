from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from onnx import TensorProto, helper

from export.trt.passes.bytes_io import wrap_in_bytes
from tests.support.graphs import small_graph

Run = Callable[[Any, Any], Any]


def wrapped(factor: float, *, reads_its_output: bool = False) -> Any:
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    if reads_its_output:
        nodes = [
            helper.make_node("Mul", ["x", "factor"], ["y"]),
            helper.make_node("Relu", ["y"], ["unread"]),
        ]
    model = small_graph(nodes, {"factor": np.array(factor, np.float32)})
    wrap_in_bytes(model)
    return model


BYTES = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3).astype(np.uint8) * 2


def test_an_identity_keeps_every_byte(run: Run) -> None:
    assert np.array_equal(run(wrapped(1.0), BYTES), BYTES)


@pytest.mark.parametrize("factor", [0.5, 3.0, -1.0])
def test_results_are_rounded_and_clamped(run: Run, factor: float) -> None:
    expected = np.rint(np.clip(BYTES.astype(np.float32) * factor, 0, 255))
    assert np.abs(run(wrapped(factor), BYTES) - expected).max() <= (factor == 0.5)


def test_names_stay_and_types_change() -> None:
    model = wrapped(1.0, reads_its_output=True)
    for value, name in ((model.graph.input[0], "x"), (model.graph.output[0], "y")):
        tensor = value.type.tensor_type
        assert value.name == name
        assert tensor.elem_type == TensorProto.UINT8
        assert [one.dim_param or one.dim_value for one in tensor.shape.dim] == ["n", "h", "w", 3]
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[0] == kinds[-1] == "Cast"
