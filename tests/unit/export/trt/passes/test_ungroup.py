"""Grouped convolutions as plain ones: the same results, and no Split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the gpu extra")
pytest.importorskip("onnxruntime", reason="needs the gpu extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from export.trt.passes.source import read_source
from export.trt.passes.ungroup import MOST_GROUPS, ungroup
from runtime.model.info import model_path, tensorrt_model_path

if TYPE_CHECKING:
    from tests.unit.export.trt.conftest import Run

RANDOM = np.random.default_rng(0)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def groups(model: onnx.ModelProto) -> set[int]:
    return {
        next((entry.i for entry in node.attribute if entry.name == "group"), 1)
        for node in model.graph.node
        if node.op_type == "Conv"
    }


def layer(name: str, outputs: int, inputs: int, side: int = 1) -> list[TensorProto]:
    """Weight and bias of a convolution."""
    shapes = {f"{name}.w": (outputs, inputs, side, side), f"{name}.b": (outputs,)}
    return [
        numpy_helper.from_array(RANDOM.normal(0, 0.3, shape).astype(np.float32), one)
        for one, shape in shapes.items()
    ]


def conv(source: str, name: str, group: int = 1) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, f"{name}.w", f"{name}.b"], [name], name, group=group)


def graph(
    nodes: Sequence[onnx.NodeProto], stored: Sequence[TensorProto], outputs: Sequence[str] = ("y",)
) -> onnx.ModelProto:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"])

    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 6, 6])
    made = helper.make_graph(nodes, "g", [given], [value(name) for name in outputs], stored)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def ungrouped(model: onnx.ModelProto, run: Run) -> onnx.ModelProto:
    """Apply the pass, and check that results stay the same."""
    batch = RANDOM.random((1, 4, 6, 6), dtype=np.float32)
    expected = run(model, batch)
    ungroup(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, batch), expected, rtol=0, atol=2e-6)
    return model


@pytest.mark.parametrize(
    "path",
    [
        model_path("dggn-lite"),
        model_path("dggn-lite-photo"),
        tensorrt_model_path(model_path("dggn-lite", "int8")),
    ],
    ids=lambda path: path.stem,
)
def test_no_shipped_model_has_groups_or_splits(
    path: Path, batch: NDArray[np.float32], run: Run
) -> None:
    model = read_source(path).model
    expected, concats = run(model, batch), kinds(model)["Concat"]
    ungroup(model)
    onnx.checker.check_model(model, full_check=True)
    assert groups(model) == {1}
    assert kinds(model)["Split"] == 0 == kinds(model)["Slice"]
    assert kinds(model)["Concat"] == concats, "nothing is copied instead"
    np.testing.assert_allclose(run(model, batch), expected, rtol=0, atol=1e-6)


def test_a_second_time_nothing_changes(batch: NDArray[np.float32]) -> None:
    model = read_source(model_path("dggn-lite")).model
    ungroup(model)
    before = model.SerializeToString()
    ungroup(model)
    assert model.SerializeToString() == before


def test_a_part_of_a_split_may_be_wanted_whole(run: Run) -> None:
    """One half goes through two groups, and the other is added whole."""
    model = graph(
        [
            conv("x", "enter"),
            helper.make_node("LeakyRelu", ["enter"], ["soft"], alpha=0.2),
            helper.make_node("Split", ["soft"], ["one", "other"], axis=1, num_outputs=2),
            conv("one", "inner", group=2),
            helper.make_node("Add", ["inner", "other"], ["y"]),
        ],
        layer("enter", 8, 4) + layer("inner", 4, 2),
    )
    made = ungrouped(model, run)
    assert groups(made) == {1}
    assert kinds(made)["Split"] == 0


def test_a_value_in_parts_may_be_an_output(run: Run) -> None:
    model = graph(
        [conv("x", "enter"), conv("enter", "y", group=2)],
        layer("enter", 4, 4) + layer("y", 6, 2),
    )
    assert groups(ungrouped(model, run)) == {1}


def test_groups_behind_groups_of_another_number(run: Run) -> None:
    model = graph(
        [conv("x", "a"), conv("a", "b", group=2), conv("b", "c", group=3), conv("c", "y")],
        layer("a", 8, 4) + layer("b", 12, 4) + layer("c", 6, 4) + layer("y", 3, 6),
    )
    assert groups(ungrouped(model, run)) == {1}


def test_single_channels_become_one_plain_convolution(run: Run) -> None:
    node = conv("x", "y", group=4)
    model = graph([node], layer("y", 4, 1, side=3))
    made = ungrouped(model, run)
    assert groups(made) == {1}
    assert len(made.graph.node) == 1


def unchanged(model: onnx.ModelProto) -> bool:
    before = kinds(model), groups(model)
    ungroup(model)
    return (kinds(model), groups(model)) == before


def test_what_would_need_a_split_keeps_its_groups() -> None:
    assert unchanged(graph([conv("x", "y", group=2)], layer("y", 4, 2)))


def test_many_groups_are_left_alone() -> None:
    count = 2 * MOST_GROUPS
    stored = layer("a", 2 * count, 4) + layer("y", count, 2)
    assert unchanged(graph([conv("x", "a"), conv("a", "y", group=count)], stored))


def test_unequal_parts_are_left_alone() -> None:
    sizes = numpy_helper.from_array(np.array([1, 3], np.int64), "sizes")
    nodes = [conv("x", "a"), helper.make_node("Split", ["a", "sizes"], ["y", "z"], axis=1)]
    assert unchanged(graph(nodes, [*layer("a", 4, 4), sizes], outputs=("y", "z")))
