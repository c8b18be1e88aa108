from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from dggn.model.onnx_costs import onnx_costs
from dggn.onnx_graph.weight_storage import store_weights
from runtime.errors import ModelError


def saved(path: Path, nodes: list[Any], weights: dict[str, Any], size: Any = ("h", "w")) -> Path:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def test_a_convolution(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])
    path = saved(tmp_path / "a.onnx", [node], {"w": ones(8, 3, 3, 3), "b": ones(8)})
    assert onnx_costs(path, 10, 20) == (8 * 27 + 8, 2 * 8 * 27 * 5 * 10)


def test_groups_have_fewer_products(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=3)
    path = saved(tmp_path / "a.onnx", [node], {"w": ones(6, 1, 1, 1)})
    assert onnx_costs(path, 4, 5) == (6, 2 * 6 * 20)


def test_a_transposed_convolution_counts_by_its_input(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = saved(tmp_path / "a.onnx", [node], {"w": ones(3, 8, 2, 2)})
    assert onnx_costs(path, 4, 5)[1] == 2 * (3 * 20) * (8 * 4)


def test_matrix_products_either_way_up(tmp_path: Path) -> None:
    first = helper.make_node("Reshape", ["x", "shape"], ["rows"])
    counts = []
    for transposed, shape in ((0, (4, -1)), (1, (-1, 4))):
        weights = {"shape": np.array(shape), "w": ones(15, 7)}
        node = helper.make_node("Gemm", ["rows", "w"], ["y"], transA=transposed)
        path = saved(tmp_path / f"{transposed}.onnx", [first, node], weights)
        counts.append(onnx_costs(path, 4, 5)[1])
    assert counts == [2 * 4 * 15 * 7] * 2


def test_only_floating_weights_are_parameters(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["half"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "w"], ["y"]),
    ]
    weights = {"half": np.ones((1, 3, 1, 1), np.float16), "steps": np.arange(99)}
    assert onnx_costs(saved(tmp_path / "a.onnx", nodes, weights), 4, 5) == (3, 0)


def test_weights_stored_in_8_bits_are_parameters_and_their_scales_are_not(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    path = saved(tmp_path / "a.onnx", [node], {"w": ones(6, 3, 1, 1)})
    expected = onnx_costs(path, 4, 5)
    stored = onnx.load(path)
    store_weights(stored, {"w": "int8"})
    onnx.save(stored, path)
    assert onnx_costs(path, 4, 5) == expected


def test_a_size_that_the_graph_does_not_take(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    path = saved(tmp_path / "a.onnx", [node], {"w": ones(2, 3, 1, 1)}, size=(8, 8))
    with pytest.raises(ModelError, match=r"a\.onnx cannot be counted.*9x9 px; try another --size"):
        onnx_costs(path, 9, 9)


def test_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"no protobuf")
    for name in (path, tmp_path / "missing.onnx"):
        with pytest.raises(ModelError, match="is not a readable ONNX file"):
            onnx_costs(name, 8, 8)
