from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export, calibrate or trt extra")

from onnx import helper

from dggn.onnx_graph.fold import fold_constants
from dggn.onnx_graph.weight_storage import (
    Storage,
    choose_storage,
    count_weights,
    read_weights,
    rounded,
    scales_of,
    store_weights,
)
from tests.unit.dggn.onnx_graph.test_fold import INT8, SCALES, compute, model_of, weights

NAMES = ("w", "unread", "integer", "no such name")
RANDOM = np.random.default_rng(0)
KERNELS = RANDOM.normal(0, 0.1, (5, 4, 3, 3)).astype(np.float32)


def reader_of_a_matrix() -> Any:
    return helper.make_node("MatMul", ["x", "w"], ["y"])


def sum_of_rows(matrix: str, output: str) -> Any:
    """A reader of matrices that have more columns than `x` values."""
    return helper.make_node("ReduceL2", [matrix, "last"], [output], keepdims=0)


@pytest.mark.parametrize(
    ("asked", "shape", "expected"),
    [
        ("int8", (5, 4, 3, 3), "int8"),
        ("int8", (5,), "float16"),
        ("int8", (5, 4), "float16"),
        ("float16", (5, 4, 3, 3), "float16"),
        ("int4", (5, 32, 3, 3), "int4"),
        ("int4", (5, 4, 3, 3), "float16"),
        ("int4", (32,), "float16"),
    ],
)
def test_only_kernels_take_few_bits(
    asked: Storage, shape: tuple[int, ...], expected: Storage
) -> None:
    assert choose_storage(asked, shape) == expected


def test_each_channel_has_its_own_scale() -> None:
    loud = KERNELS * np.array([1e-6, 1e-3, 1, 1e3, 1e6], np.float32)[:, None, None, None]
    error = np.abs(rounded(loud, "int8") - loud).max(axis=(1, 2, 3))
    largest = np.abs(loud).max(axis=(1, 2, 3))
    assert (error <= largest / 127 * 0.501).all()
    assert (error > largest / 127 * 0.3).all(), "there are 8 bits only"


@pytest.mark.parametrize(("storage", "inputs"), [("int8", 3), ("int4", 64)])
def test_what_was_rounded_once_is_not_changed_by_rounding_it_again(
    storage: Storage, inputs: int
) -> None:
    many = RANDOM.normal(0, 1, (20_000, inputs, 1, 1)).astype(np.float32)
    once = rounded(many, storage)
    assert (once != many).any()
    np.testing.assert_array_equal(rounded(once, storage), once)


@pytest.mark.parametrize("value", [0, 1e-40, -1e-36])
def test_channels_of_next_to_nothing_are_zero(value: float) -> None:
    few = np.full((2, 3, 1, 1), value, np.float32)
    few[1] = 127
    np.testing.assert_array_equal(
        rounded(few, "int8"), np.array([0, 127])[:, None, None, None] + 0 * few
    )


def test_what_float16_does_not_hold_is_infinite() -> None:
    assert rounded(np.array([1e6], np.float32), "float16") == np.inf


def test_weights_take_a_quarter_of_the_bytes_and_come_back() -> None:
    matrix = rounded(np.array([[0.1, -0.7], [30, 12]], np.float32), "int8")
    stored = {"w": matrix, "unread": matrix[:1], "kept": matrix}
    nodes = [reader_of_a_matrix(), helper.make_node("Relu", ["y"], ["unused"])]
    model = model_of(nodes, stored)
    expected = compute(model)
    store_weights(model, dict.fromkeys(NAMES, "int8"))
    onnx.checker.check_model(model, full_check=True)
    assert {name: (array.dtype.name, array.shape) for name, array in weights(model).items()} == {
        "w": ("int8", (2, 2)),
        "w.scale": ("float32", (2, 1)),
        "unread": ("int8", (1, 2)),
        "unread.scale": ("float32", (1, 1)),
        "kept": ("float32", (2, 2)),
    }
    assert scales_of(model.graph) == {"w": "w.scale", "unread": "unread.scale"}
    np.testing.assert_array_equal(compute(model), expected)
    for name, array in read_weights(model.graph, stored).items():
        np.testing.assert_array_equal(array, stored[name])

    assert fold_constants(model) == {"w": "int8"}
    np.testing.assert_array_equal(weights(model)["w"], matrix)
    np.testing.assert_array_equal(compute(model), expected)


def test_weights_take_four_bits_and_come_back() -> None:
    matrix = rounded(RANDOM.normal(0, 1, (2, 64)).astype(np.float32), "int4")
    stored = {"w": matrix, "unread": matrix, "last": np.array([1])}
    model = model_of([sum_of_rows("w", "y")], stored)
    expected = compute(model)
    store_weights(model, {"w": "int4", "unread": "int4"})
    onnx.checker.check_model(model, full_check=True)
    found = {name: (array.dtype.name, array.shape) for name, array in weights(model).items()}
    assert found.pop("last") == ("int64", (1,))
    assert found == {
        f"{name}{suffix}": shape
        for name in ("w", "unread")
        for suffix, shape in {
            "": ("uint8", (2, 2, 16)),
            ".scale": ("float16", (2, 2, 1)),
            ".shape": ("int64", (2,)),
        }.items()
    }
    assert scales_of(model.graph) == {"w": "w.scale", "unread": "unread.scale"}
    assert [count_weights(one) for one in model.graph.initializer if one.name == "w"] == [128]
    np.testing.assert_array_equal(compute(model), expected)
    for name, array in read_weights(model.graph, ["w", "unread"]).items():
        np.testing.assert_array_equal(array, matrix, err_msg=name)

    assert fold_constants(model)["w"] == "int4"
    assert [node.op_type for node in model.graph.node] == ["ReduceL2"]
    np.testing.assert_array_equal(weights(model)["w"], matrix)
    np.testing.assert_array_equal(compute(model), expected)


@pytest.mark.parametrize("read", ["w", "w.levels", "w.scale"])
def test_weights_of_four_bits_that_are_read_otherwise_stay(read: str) -> None:
    matrix = rounded(RANDOM.normal(0, 1, (2, 64)).astype(np.float32), "int4")
    stored = {"w": matrix, "last": np.array([1])}
    model = model_of([sum_of_rows("w", "product")], stored)
    store_weights(model, {"w": "int4"})
    last = [
        helper.make_node("Cast", [read], ["other"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["other"], ["sum"], keepdims=0),
        helper.make_node("Add", ["product", "sum"], ["y"]),
    ]
    model.graph.node.extend(last)
    expected = compute(model)
    assert "w" not in fold_constants(model)
    assert "Reshape" in [node.op_type for node in model.graph.node], "nodes unpack it still"
    np.testing.assert_array_equal(compute(model), expected)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"w": INT8}, "no scale"),
        ({"w": INT8, "w.scale": SCALES.ravel()}, "no scale"),
        ({"w": INT8, "w.scale": SCALES.astype(np.float16)}, "no scale"),
        ({"w": INT8.astype(np.uint8), "w.scale": SCALES}, "no shape"),
    ],
    ids=["none", "of another rank", "of another type", "unsigned"],
)
def test_integers_without_scales_are_no_weights(stored: dict[str, Any], message: str) -> None:
    model = model_of([reader_of_a_matrix()], stored)
    with pytest.raises(ValueError, match=message):
        read_weights(model.graph, ["w"])


@pytest.mark.parametrize("victim", ["w", "w.scale"])
def test_no_other_file_is_read(victim: str) -> None:
    model = model_of([reader_of_a_matrix()], {"w": INT8, "w.scale": SCALES})
    (tensor,) = [one for one in model.graph.initializer if one.name == victim]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    with pytest.raises(ValueError, match=f"^{victim} is in another file"):
        read_weights(model.graph, ["w"])


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
    store_weights(model, dict.fromkeys(NAMES, "float16"))
    onnx.checker.check_model(model, full_check=True)
    assert {name: array.dtype.name for name, array in weights(model).items()} == {
        "w": "float16",
        "kept": "float32",
        "unread": "float16",
        "integer": "int64",
    }
    assert [node.op_type for node in model.graph.node] == ["Cast", "Mul", "Sum"]
    np.testing.assert_array_equal(compute(model), expected)

    assert fold_constants(model) == {"w": "float16"}
    np.testing.assert_array_equal(weights(model)["w"], stored["w"])
    np.testing.assert_array_equal(compute(model), expected)
