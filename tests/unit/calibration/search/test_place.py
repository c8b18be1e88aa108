from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

import onnx
import onnxruntime

from calibration.observe.ranges import Ranges, observe
from calibration.prepare.source import Target, read_model
from calibration.prepare.tiles import sample_tiles
from calibration.search.place import OPERATORS, find_layers, quantize
from dggn.data.pairs import read_pairs
from dggn.onnx_graph.source import SourceModel
from runtime.model.info import model_path


def ranges(source: SourceModel, target: Target, photographs: Path) -> Ranges:
    return observe(
        source.model,
        sample_tiles(read_pairs([photographs]), count=4, tile_px=16),
        method="minmax",
        operators=OPERATORS[target],
        sample_type=source.info.sample_type,
        on_share=lambda share: None,
    )


@pytest.fixture(scope="module")
def cpu(models: dict[str, Path], photographs: Path) -> tuple[SourceModel, Ranges]:
    source = read_model(models["half"])
    return source, ranges(source, "cpu", photographs)


@pytest.fixture(scope="module")
def tensorrt(models: dict[str, Path], photographs: Path) -> onnx.ModelProto:
    """Everything in INT8, for TensorRT."""
    source = read_model(models["half"])
    layers = find_layers(source.model)
    return quantize(source.model, ranges(source, "tensorrt", photographs), layers, "tensorrt")


def test_layers_of_a_generator(models: dict[str, Path]) -> None:
    layers = find_layers(read_model(models["half"]).model)
    unit = ("enter", "conv3x3", "leave3x3", "conv5x5", "leave5x5", "fuse")
    names = [
        *(f"{branch}_trunk.0.{part}" for branch in ("image", "gradient") for part in unit),
        *("gradient_joins.0", "image_join", "image_tail.enter", "image_tail.last"),
    ]
    assert Counter(layer.name for layer in layers) == Counter(names)
    nodes = {layer.name: len(layer.nodes) for layer in layers}
    assert nodes["image_trunk.0.enter"] == 4
    assert nodes["image_trunk.0.conv5x5"] == 2
    assert nodes["image_trunk.0.fuse"] == 1


def test_on_a_cpu_every_layer_runs_in_an_8_bit_kernel(
    cpu: tuple[SourceModel, Ranges], tmp_path: Path
) -> None:
    source, observed = cpu
    layers = find_layers(source.model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        quantize(source.model, observed, layers, "cpu").SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    optimized = onnx.load(tmp_path / "optimized.onnx")
    counts = Counter(node.op_type for node in optimized.graph.node)
    assert counts["QLinearConv"] == sum(len(layer.nodes) for layer in layers) == 2 * 13 + 4
    # The enlargement, the gradient operator, the heads, and the gates of two units.
    assert counts["Conv"] + counts["FusedConv"] == 1 + 2 + 4 + 4
    assert counts["QLinearLeakyRelu"] == 2 * 4 * 3 + 1


def test_on_a_cpu_the_picture_stays_close(
    cpu: tuple[SourceModel, Ranges],
    run: Callable[..., NDArray[Any]],
    photographs: Path,
) -> None:
    source, observed = cpu
    layers = find_layers(source.model)
    image = read_pairs([photographs])[0].lr_hwc[:32, :32]
    batch = (image.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    expected = run(source.model, batch)
    errors = [
        np.abs(run(quantize(source.model, observed, some, "cpu"), batch) - expected).max()
        for some in ([], layers[:1], layers)
    ]
    assert errors[0] == 0
    assert 0 < errors[1] < errors[2] < 0.1


def test_the_source_is_not_changed(cpu: tuple[SourceModel, Ranges]) -> None:
    source, observed = cpu
    before = source.model.SerializeToString()
    quantize(source.model, observed, find_layers(source.model), "cpu")
    assert source.model.SerializeToString() == before


def largest_weight(model: onnx.ModelProto) -> int:
    weights = [
        onnx.numpy_helper.to_array(tensor).astype(int)
        for tensor in model.graph.initializer
        if re.search(r"\.weight(\.\d)?_quantized$", tensor.name)
        if tensor.data_type == onnx.TensorProto.INT8
    ]
    return max(int(np.abs(values).max()) for values in weights)


def test_two_products_never_overflow_sixteen_bits_on_cpus(
    cpu: tuple[SourceModel, Ranges], tensorrt: onnx.ModelProto
) -> None:
    source, observed = cpu
    model = quantize(source.model, observed, find_layers(source.model), "cpu")
    assert 2 * np.iinfo(np.uint8).max * largest_weight(model) <= np.iinfo(np.int16).max
    assert largest_weight(tensorrt) == np.iinfo(np.int8).max


def test_for_tensorrt_all_is_symmetric(tensorrt: onnx.ModelProto) -> None:
    stored = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensorrt.graph.initializer
    }
    pairs = [node for node in tensorrt.graph.node if node.op_type.endswith("tizeLinear")]
    assert pairs
    for node in pairs:
        zero_point = stored[node.input[2]]
        assert zero_point.dtype == np.int8
        assert not zero_point.any()
    assert np.int32 not in {values.dtype for values in stored.values()}


def test_for_tensorrt_pairs_stand_before_convolutions_alone(tensorrt: onnx.ModelProto) -> None:
    producers = {name: node for node in tensorrt.graph.node for name in node.output}
    convolutions = [node for node in tensorrt.graph.node if node.op_type == "Conv"]
    quantized = [
        node
        for node in convolutions
        if (producers.get(node.input[0]) or node).op_type == "DequantizeLinear"
    ]
    assert len(quantized) == 2 * 13 + 4
    for node in quantized:
        weight = producers[node.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert weight.attribute[0].name == "axis"
        assert weight.attribute[0].i == 0
    readers = Counter(
        reader.op_type
        for reader in tensorrt.graph.node
        for name in reader.input
        if name in producers and producers[name].op_type == "DequantizeLinear"
    )
    assert set(readers) == {"Conv"}


def test_tensorrt_rtx_builds_it(tensorrt: onnx.ModelProto) -> None:
    assert_tensorrt_rtx_builds(tensorrt)


def test_tensorrt_rtx_builds_the_shipped_model(photographs: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX")
    source = read_model(model_path("dggn-lite"))
    layers = find_layers(source.model)
    observed = ranges(source, "tensorrt", photographs)
    assert_tensorrt_rtx_builds(quantize(source.model, observed, layers, "tensorrt"))


def assert_tensorrt_rtx_builds(model: onnx.ModelProto) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model.SerializeToString()), [
        parser.get_error(index).desc() for index in range(parser.num_errors)
    ]
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("input", (1, 3, 32, 32), (1, 3, 64, 64), (1, 3, 64, 64))
    assert config.add_optimization_profile(profile) == 0
    # The targets are named, so that no GPU is needed.
    targets = (trt.ComputeCapability.SM86, trt.ComputeCapability.SM89, trt.ComputeCapability.SM120)
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        config.set_compute_capability(target, index)
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    assert engine.nbytes > 0
