"""The last convolution below the last shuffle: the same results from smaller maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the gpu extra")
pytest.importorskip("onnxruntime", reason="needs the gpu extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from export.trt.passes.low_tail import lower_tail
from export.trt.passes.source import read_source
from runtime.model.info import model_path

if TYPE_CHECKING:
    from tests.unit.export.trt.conftest import Run

RANDOM = np.random.default_rng(0)


def tail_of_two(*, mode: str = "CRD", outputs: int = 3, pad: int = 1) -> onnx.ModelProto:
    """Two shuffled maps of 8 channels, joined before a convolution; one of them is read twice."""
    nodes = [
        helper.make_node("DepthToSpace", ["x"], ["one"], "s1", blocksize=2, mode=mode),
        helper.make_node("Neg", ["x"], ["negative"], "neg"),
        helper.make_node("DepthToSpace", ["negative"], ["two"], "s2", blocksize=2, mode=mode),
        helper.make_node("LeakyRelu", ["two"], ["soft"], "soft", alpha=0.2),
        helper.make_node("Concat", ["one", "soft"], ["joined"], "join", axis=1),
        helper.make_node("Conv", ["joined", "w", "b"], ["y"], "tail", pads=[pad] * 4),
        helper.make_node("ReduceMax", ["one"], ["most"], "most"),
    ]
    stored = [
        numpy_helper.from_array(RANDOM.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in (("w", (outputs, 4, 3, 3)), ("b", (outputs,)))
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, "h", "w"])
    made = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h2", "w2"])
        for name in ("y", "most")
    ]
    graph = helper.make_graph(nodes, "g", [given], made, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def test_the_results_are_the_same(run: Run) -> None:
    model = tail_of_two()
    batch = RANDOM.random((1, 8, 5, 7), dtype=np.float32)
    expected = run(model, batch)
    lower_tail(model)
    onnx.checker.check_model(model, full_check=True)
    assert expected.shape == (1, 3, 10, 14)
    np.testing.assert_allclose(run(model, batch), expected, rtol=0, atol=2e-6)
    (tail,) = (node for node in model.graph.node if node.op_type == "Conv")
    shuffles = [node for node in model.graph.node if node.op_type == "DepthToSpace"]
    assert shuffles[-1].input[0] == tail.output[0]
    assert [node.output[0] for node in shuffles] == ["one", "y"], "one is read by others, too"


@pytest.mark.parametrize(
    "model", [tail_of_two(mode="DCR"), tail_of_two(outputs=5), tail_of_two(pad=0)]
)
def test_other_tails_are_left_alone(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    lower_tail(model)
    assert model.SerializeToString() == before


def test_the_shipped_models(batch: NDArray[np.float32], run: Run) -> None:
    for name in ("dggn-lite", "dggn-lite-photo"):
        model = read_source(model_path(name)).model
        expected = run(model, batch)
        lower_tail(model)
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_allclose(run(model, batch), expected, rtol=0, atol=2e-6)
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
        assert shapes[convolutions[-1].input[1]][0] > 3, "it is below a shuffle"
