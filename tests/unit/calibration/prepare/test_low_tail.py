from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the calibrate extra")

import onnx

from calibration.prepare.low_tail import TAIL_WEIGHT, lower_tail
from dggn.onnx_graph.fold import fold_constants


@pytest.fixture
def model(models: dict[str, Path]) -> onnx.ModelProto:
    model = onnx.load(models["half"])
    fold_constants(model)
    return model


def test_the_output_is_the_same(
    model: onnx.ModelProto,
    run: Callable[..., NDArray[Any]],
    batch: NDArray[np.float32],
) -> None:
    expected = run(model, batch)
    assert lower_tail(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, batch), expected, atol=2e-6)


def test_the_tail_works_at_half_the_size(model: onnx.ModelProto) -> None:
    lower_tail(model)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == TAIL_WEIGHT)
    # 3 channels of 2x2 px, filled up to 16; 16 channels of 2x2 px.
    assert list(weight.dims) == [16, 64, 3, 3]
    values = onnx.numpy_helper.to_array(weight)
    assert not values[12:].any()
    assert np.count_nonzero(values[:12]) == 4 * np.count_nonzero(values[:12, :, 1, 1]) * 9 // 16
    shuffles = [node for node in model.graph.node if node.op_type == "DepthToSpace"]
    assert len(shuffles) == 5


@pytest.mark.parametrize("activation_last", [True, False])
def test_one_branch_alone(run: Callable[..., NDArray[Any]], activation_last: bool) -> None:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 2, 3, 3)).astype(np.float32)
    names = {"DepthToSpace": ("input", "x"), "LeakyRelu": ("x", "y")}
    if not activation_last:
        names = {"LeakyRelu": ("input", "x"), "DepthToSpace": ("x", "y")}
    values: dict[str, dict[str, Any]] = {
        "DepthToSpace": {"blocksize": 2, "mode": "CRD"},
        "LeakyRelu": {"alpha": 0.2},
    }
    nodes = [
        *(
            helper.make_node(kind, [before], [after], name=kind, **values[kind])
            for kind, (before, after) in names.items()
        ),
        helper.make_node(
            "Conv", ["y", TAIL_WEIGHT, "image_tail.bias"], ["output"], name="t", pads=[1] * 4
        ),
    ]
    shape: list[str | int | None] = ["n", 8, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "y", "x"])],
        [
            numpy_helper.from_array(weight, TAIL_WEIGHT),
            numpy_helper.from_array(np.arange(3, dtype=np.float32), "image_tail.bias"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    image = random.normal(size=(1, 8, 5, 7)).astype(np.float32)
    expected = run(model, image)
    assert lower_tail(model)
    np.testing.assert_allclose(run(model, image), expected, atol=1e-5)


def test_another_graph_is_left_alone(model: onnx.ModelProto) -> None:
    assert lower_tail(model)
    before = model.SerializeToString()
    assert not lower_tail(model)
    assert model.SerializeToString() == before
