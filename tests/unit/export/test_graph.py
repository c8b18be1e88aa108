from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")
from dggn import load
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from export.write import ExportOptions, write_onnx
from tests.support.graphs import initializers

OPTIONS = ExportOptions(sample_type="float32", weights="float32", halo_px=16, origin="a test")


@pytest.mark.parametrize("name", ["float32", "half", "int8"])
def test_gradient_kernels_are_constant_weights(exported: dict[str, Path], name: str) -> None:
    tensors = initializers(exported[name])
    row = np.array([1, 0, -1], np.float32)
    for axis, shape in (("x", (3, 3, 1, 3)), ("y", (3, 3, 3, 1))):
        kernel = f"gradient.plain_{axis}"
        assert tensors[kernel].shape == shape
        assert tensors[kernel].dtype == np.float32
        for output, inputs in enumerate(tensors[kernel]):
            for channel, values in enumerate(inputs):
                np.testing.assert_array_equal(values.ravel(), row * (channel == output))
        graph = onnx.load(exported[name]).graph
        readers = [node for node in graph.node if kernel in node.input]
        assert [(node.op_type, list(node.input).index(kernel)) for node in readers] == [("Conv", 1)]


@pytest.mark.parametrize("name", ["float32", "half", "int8", "bytes"])
def test_files_pass_the_checker(exported: dict[str, Path], name: str) -> None:
    onnx.checker.check_model(exported[name], full_check=True)


@pytest.mark.parametrize(
    ("name", "kind", "input_shape", "output_shape"),
    [
        (
            "float32",
            "FLOAT",
            ["batch", 3, "height", "width"],
            ["batch", 3, "output_height", "output_width"],
        ),
        (
            "bytes",
            "UINT8",
            ["batch", "height", "width", 3],
            ["batch", "output_height", "output_width", 3],
        ),
    ],
)
def test_inputs_and_outputs(
    exported: dict[str, Path],
    name: str,
    kind: str,
    input_shape: list[Any],
    output_shape: list[Any],
) -> None:
    graph = onnx.load(exported[name]).graph
    found = []
    for value in (*graph.input, *graph.output):
        tensor = value.type.tensor_type
        assert onnx.TensorProto.DataType.Name(tensor.elem_type) == kind
        found.append((value.name, [d.dim_param or d.dim_value for d in tensor.shape.dim]))
    assert found == [("input", input_shape), ("output", output_shape)]


@pytest.mark.parametrize("name", ["float32", "half", "int8", "bytes"])
def test_metadata(exported: dict[str, Path], name: str) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(exported[name]).metadata_props}
    assert properties["dggn.scale"] == "4"
    assert properties["dggn.range"] == ("[0, 255]" if name == "bytes" else "[0, 1]")
    assert properties["dggn.size_multiple_px"] == "8"
    assert properties["dggn.halo_px"] == "16"
    assert properties["dggn.preset"] == "custom"
    assert properties["dggn.origin"] == "a test"


@pytest.mark.parametrize("name", ["float32", "half", "int8", "bytes"])
def test_casts_of_bytes_are_first_and_last(exported: dict[str, Path], name: str) -> None:
    graph = onnx.load(exported[name]).graph
    if name != "bytes":
        assert not any("input" in node.input and node.op_type == "Cast" for node in graph.node)
        return
    first = [node.op_type for node in graph.node if "input" in node.input]
    last = [node.op_type for node in graph.node if "output" in node.output]
    assert first == ["Cast"]
    assert last == ["Cast"]


def test_no_path_of_this_machine_is_inside(exported: dict[str, Path]) -> None:
    import dggn

    here = str(Path(dggn.__file__).parents[1]).encode()
    for path in exported.values():
        assert here not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()


def test_bytes_round_and_clamp(exported: dict[str, Path]) -> None:
    """The 8-bit graph is the float graph, rounded to the nearest level."""
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    (bytes_out,) = ort.InferenceSession(exported["bytes"]).run(None, {"input": image})
    batch = image.transpose(0, 3, 1, 2).astype(np.float32) / 255
    (float_out,) = ort.InferenceSession(exported["float32"]).run(None, {"input": batch})
    levels = float_out.transpose(0, 2, 3, 1) * 255
    assert levels.min() < 0
    assert levels.max() > 255
    difference = np.abs(bytes_out - np.clip(levels, 0, 255))
    assert difference.max() <= 0.5 + 1e-3


@pytest.mark.parametrize("name", ["float32", "half", "int8", "bytes"])
def test_no_convolution_is_grouped_and_nothing_is_split(
    exported: dict[str, Path], name: str
) -> None:
    nodes = onnx.load(exported[name]).graph.node
    assert not {node.op_type for node in nodes} & {"Split", "Slice"}
    groups = [
        attribute.i
        for node in nodes
        if node.op_type == "Conv"
        for attribute in node.attribute
        if attribute.name == "group"
    ]
    assert set(groups) <= {1}


def test_exporting_leaves_the_networks_form(small: Generator, tmp_path: Path) -> None:
    network = copy.deepcopy(small)
    write_onnx(network, tmp_path / "model.onnx", OPTIONS)
    assert all(unit.grouped for unit in network.units)
    assert not network.gradient.convolved


def test_without_a_gradient_branch(tmp_path: Path) -> None:
    config = GeneratorConfig(width=16, image_units=1, gradient_units=0, tail_width=8)
    generator = Generator(config).eval()
    write_onnx(generator, tmp_path / "plain.onnx", OPTIONS)
    assert load(str(tmp_path / "plain.onnx")).config == config
