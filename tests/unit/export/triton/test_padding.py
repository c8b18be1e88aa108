from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")

import onnx
import onnxruntime
from onnx import helper

from export.triton.padding import pad_inside
from tests.support.graphs import small_graph

MULTIPLE = 4


def means_of_blocks() -> Any:
    """A graph that takes only multiples of 4, and returns each block's mean."""
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["deep"], blocksize=4),
        helper.make_node("DepthToSpace", ["deep"], ["same"], blocksize=4),
        helper.make_node("AveragePool", ["same"], ["y"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Relu", ["y"], ["unread"]),
    ]
    return small_graph(nodes, {})


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (5, 11)])
def test_edges_are_repeated_and_cut_off(size: tuple[int, int]) -> None:
    model = means_of_blocks()
    # As if every block were one pixel of a result of the same scale.
    pad_inside(model, multiple=MULTIPLE, scale=1)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.random.default_rng(1).random((2, 3, *size), np.float32)
    (found,) = session.run(None, {"x": x})
    missing = [(0, -length % MULTIPLE) for length in size]
    padded = np.pad(x, ((0, 0), (0, 0), *missing), mode="edge")
    blocks = padded.reshape(2, 3, padded.shape[2] // 4, 4, padded.shape[3] // 4, 4)
    expected = blocks.mean(axis=(3, 5))[:, :, : size[0], : size[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_names_and_types_stay() -> None:
    model = means_of_blocks()
    before = [value.SerializeToString() for value in (*model.graph.input, *model.graph.output)]
    pad_inside(model, multiple=MULTIPLE, scale=1)
    after = [value.SerializeToString() for value in (*model.graph.input, *model.graph.output)]
    assert before == after
    names = [node.name for node in model.graph.node if node.name]
    assert len(set(names)) == len(names)
