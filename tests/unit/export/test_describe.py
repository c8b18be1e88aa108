from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")
from export.describe import describe
from runtime.model.info import model_path


def test_what_another_program_wrote_is_described_as_it_is_run(tmp_path: Path) -> None:
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "sizes"], ["y"], mode="nearest")],
        "foreign",
        [helper.make_tensor_value_info("x", floats, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", floats, ["n", 3, None, None])],
        [helper.make_tensor("sizes", floats, [4], [1, 1, 2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "foreign.onnx")
    facts = describe(tmp_path / "foreign.onnx")
    assert facts["Preset"] == "custom, x2"
    assert facts["Origin"] == "another program"
    assert facts["Input"] == "x float[n, 3, h, w], taken for RGB in [0, 1]"
    assert facts["Output"] == "y float[n, 3, any, any], in [0, 1]"


def test_description(exported: dict[str, Path]) -> None:
    facts = describe(exported["bytes"])
    assert facts["Preset"] == "custom, x4"
    assert facts["Input"] == "input uint8[batch, height, width, 3], RGB in [0, 255]"
    assert "multiples of 8 px" in facts["Sizes"]


def test_weights_stored_in_8_bits_are_told_from_quantized_ones(exported: dict[str, Path]) -> None:
    weights = describe(exported["int8"])["Weights"]
    assert re.match(r"[\d,]+ int8 \(storage only\), ", weights)
    assert "storage only" not in describe(model_path("dggn-lite-int8"))["Weights"]


def test_an_unknown_weight_type_is_described_too(exported: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(exported["float32"])
    model.graph.initializer[0].data_type = 999
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert "type 999" in describe(path)["Weights"]
