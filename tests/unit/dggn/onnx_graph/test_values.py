from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the export extra")

from onnx import TensorProto, helper, numpy_helper

from dggn.onnx_graph.values import (
    all_names,
    attributes,
    element_types,
    inner_names,
    opset,
    producers,
    readers,
    unused_name,
)
from runtime.errors import ModelError


def model_of(*nodes: Any, domain: str = "") -> Any:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    weight = numpy_helper.from_array(np.ones(2, np.float32), "w")
    graph = helper.make_graph(list(nodes), "test", [x], [y], [weight])
    opsets = [helper.make_opsetid("other", 1), helper.make_opsetid(domain, 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


ADD = helper.make_node("Add", ["x", "w"], ["s"], name="add")
SQUARE = helper.make_node("Mul", ["s", "s"], ["y"], name="square")


def test_who_makes_and_who_reads_a_value() -> None:
    graph = model_of(ADD, SQUARE).graph
    assert {name: node.name for name, node in producers(graph).items()} == {
        "s": "add",
        "y": "square",
    }
    assert [node.name for node in readers(graph)["s"]] == ["square"], "once, though it reads twice"
    assert all_names(graph) == {"x", "y", "w", "s"}


def test_attributes_as_python_has_them() -> None:
    node = helper.make_node("X", [], [], mode="cubic", scales=[1.0, 2.0], axis=3)
    assert attributes(node) == {"mode": b"cubic", "scales": [1.0, 2.0], "axis": 3}


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_the_opset_of_the_standard_operators(domain: str) -> None:
    assert opset(model_of(ADD, domain=domain)) == 17
    with pytest.raises(ModelError, match="names no version"):
        opset(model_of(ADD, domain="third"))


def test_types_of_every_value() -> None:
    cast = helper.make_node("Cast", ["s"], ["h"], to=TensorProto.FLOAT16)
    back = helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT)
    types = element_types(model_of(ADD, cast, back))
    assert (types["w"], types["s"], types["h"]) == (1, 1, TensorProto.FLOAT16)


def test_types_that_cannot_be_known() -> None:
    strange = helper.make_node("Strange", ["x"], ["s"], name="odd", domain="other")
    with pytest.raises(ModelError, match="type of s, which Strange odd makes, is unknown"):
        element_types(model_of(strange, SQUARE))
    whole = helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64)
    mixed = helper.make_node("Add", ["x", "i"], ["y"])
    with pytest.raises(ModelError, match="cannot be inferred"):
        element_types(model_of(whole, mixed))


def test_new_names() -> None:
    taken = {"a", "a.1"}
    assert [unused_name(name, taken) for name in ("b", "a", "a", "b")] == ["b", "a.2", "a.3", "b.1"]


def test_names_that_graphs_inside_of_nodes_read() -> None:
    deepest = helper.make_graph([helper.make_node("Neg", ["far"], ["n"])], "deepest", [], [])
    loop = helper.make_node("If", ["c"], ["i"], then_branch=deepest, else_branch=deepest)
    outer = helper.make_graph([loop], "inner", [], [helper.make_empty_tensor_value_info("s")])
    node = helper.make_node("If", ["x"], ["y"], then_branch=outer, else_branch=outer)
    assert inner_names(model_of(node).graph) == {"c", "s", "far"}
    assert inner_names(model_of(ADD, SQUARE).graph) == set()
