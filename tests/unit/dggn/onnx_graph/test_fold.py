from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export, calibrate or trt extra")

from onnx import TensorProto, helper, numpy_helper

from dggn.onnx_graph.fold import drop_unread, fold_constants
from dggn.onnx_graph.weight_storage import reading_nodes

HALF = np.array([1.5, 2.25], np.float16)


def model_of(nodes: list[Any], stored: dict[str, Any], *, also_inputs: tuple[str, ...] = ()) -> Any:
    """A model of float32[2] in and out, `x` and `y`."""
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"}
    inputs = [values["x"]] + [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(stored[name].dtype), [2]
        )
        for name in also_inputs
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "test", inputs, [values["y"]], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def cast(source: str, target: str, to: int = TensorProto.FLOAT) -> Any:
    return helper.make_node("Cast", [source], [target], to=to)


def weights(model: Any) -> dict[str, Any]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def compute(model: Any) -> Any:
    from onnx.reference import ReferenceEvaluator

    results: Any = ReferenceEvaluator(model).run(None, {"x": np.array([3, 4], np.float32)})
    return results[0]


def test_a_cast_weight_keeps_its_name() -> None:
    nodes = [cast("w", "w.float32"), helper.make_node("Mul", ["x", "w.float32"], ["y"])]
    model = model_of(nodes, {"w": HALF, "unread": HALF})
    expected = compute(model)
    assert fold_constants(model) == {"w": "float16"}
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Mul"]
    (stored,) = weights(model).items()
    assert (stored[0], stored[1].dtype) == ("w", np.float32)
    np.testing.assert_array_equal(compute(model), expected)


def test_a_weight_that_is_read_as_it_is_stays() -> None:
    nodes = [
        cast("w", "w.float32"),
        helper.make_node("Add", ["w", "w"], ["sum"]),
        cast("sum", "sum.float32"),
        helper.make_node("Sum", ["x", "w.float32", "sum.float32"], ["y"]),
    ]
    model = model_of(nodes, {"w": HALF})
    expected = compute(model)
    assert fold_constants(model) == {"w.float32": "float16"}
    assert {name: array.dtype.name for name, array in weights(model).items()} == {
        "w": "float16",
        "w.float32": "float32",
    }
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(compute(model), expected)


def test_a_weight_that_a_caller_may_override_is_not_folded() -> None:
    nodes = [cast("w", "w.float32"), helper.make_node("Mul", ["x", "w.float32"], ["y"])]
    model = model_of(nodes, {"w": HALF}, also_inputs=("w",))
    assert fold_constants(model) == {}
    assert [node.op_type for node in model.graph.node] == ["Cast", "Mul"]
    assert [value.name for value in model.graph.input] == ["x"], "its weight is no picture"


INT8 = np.array([[1, -127], [3, 127]], np.int8)
SCALES = np.array([[0.5], [0.25]], np.float32)


def int8_model(**changed: Any) -> Any:
    """y = x @ (w * scale), with other initializers, or readers of the integers, on demand."""
    others = changed.pop("nodes", [])
    nodes = [
        *reading_nodes("w", "int8"),
        helper.make_node("MatMul", ["x", "w.float32"], ["product"]),
        *others,
        helper.make_node("Sum", ["product", *(node.output[0] for node in others)], ["y"]),
    ]
    return model_of(nodes, {"w": INT8, "w.scale": SCALES} | changed)


def test_a_scaled_weight_keeps_its_name() -> None:
    model = int8_model()
    expected = compute(model)
    assert fold_constants(model) == {"w": "int8"}
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Sum"]
    assert weights(model).keys() == {"w"}
    np.testing.assert_array_equal(weights(model)["w"], INT8 * SCALES)
    np.testing.assert_array_equal(compute(model), expected)


@pytest.mark.parametrize(
    "changed",
    [
        {"nodes": [helper.make_node("MatMul", ["x", "w.integers"], ["other"])]},
        {"w.scale": SCALES.T},
        {"w.scale": SCALES.ravel()},
        {"w": INT8.astype(np.uint8)},
        {"w": INT8.astype(np.uint8), "w.shape": np.array([2, 2])},
    ],
    ids=[
        "integers read otherwise",
        "scales of inputs",
        "scales of another rank",
        "unsigned",
        "unsigned, with a shape",
    ],
)
def test_other_products_are_not_folded(changed: dict[str, Any]) -> None:
    model = int8_model(**changed)
    expected = compute(model)
    assert fold_constants(model) == {}
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[:2] == ["Mul", "MatMul"], "only the casts are folded"
    np.testing.assert_array_equal(compute(model), expected)


@pytest.mark.parametrize(
    "changed",
    [
        {"w": np.zeros((1, 2, 16), np.uint8), "w.shape": np.array([2, 64])},
        {"w.scale": np.ones((1, 1, 1), np.float16)},
        {"w.shape": np.array([2, -1])},
    ],
    ids=["of other blocks", "one scale", "a shape to be inferred"],
)
def test_four_bits_of_another_kind_stay(changed: dict[str, Any]) -> None:
    arrays = {
        "w": np.zeros((2, 1, 16), np.uint8),
        "w.scale": np.ones((2, 1, 1), np.float16),
        "w.shape": np.array([2, 32]),
    }
    nodes = [
        *reading_nodes("w", "int4"),
        helper.make_node("ReduceMax", ["w.float32"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["x", "largest"], ["y"]),
    ]
    model = model_of(nodes, arrays | changed)
    expected = compute(model)
    assert "w" not in fold_constants(model)
    assert "Reshape" in [node.op_type for node in model.graph.node]
    np.testing.assert_array_equal(compute(model), expected)


def test_constants_and_casts_of_casts() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(HALF)),
        cast("c", "d", TensorProto.DOUBLE),
        cast("d", "e"),
        helper.make_node("Mul", ["x", "e"], ["y"]),
    ]
    model = model_of(nodes, {})
    expected = compute(model)
    fold_constants(model)
    assert len(model.graph.node) == len(model.graph.initializer) == 1
    np.testing.assert_array_equal(compute(model), expected)


def test_what_an_inner_graph_reads_keeps_its_name() -> None:
    value = helper.make_tensor_value_info
    branches = {
        name: helper.make_graph(
            [helper.make_node(kind, ["x", "w.float32"], [f"{name}.out"])],
            name,
            [],
            [value(f"{name}.out", TensorProto.FLOAT, [2])],
        )
        for name, kind in (("then_branch", "Mul"), ("else_branch", "Add"))
    }
    nodes = [cast("w", "w.float32"), helper.make_node("If", ["which"], ["y"], **branches)]
    model = model_of(nodes, {"w": HALF, "which": np.array(True)})
    expected = compute(model)
    fold_constants(model)
    assert weights(model).keys() == {"w.float32", "which"}
    np.testing.assert_array_equal(compute(model), expected)


def test_dead_branches_are_dropped() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Mul", ["x", "w"], ["dead"]),
        helper.make_node("Relu", ["dead"], ["deader"]),
    ]
    model = model_of(nodes, {"w": np.ones(2, np.float32)})
    drop_unread(model)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    assert not model.graph.initializer
