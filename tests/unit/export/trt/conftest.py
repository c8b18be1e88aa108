from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.backends.trt.library import Capabilities
from runtime.backends.trt.verify import PHOTOGRAPH
from runtime.model.info import DEFAULT_MODEL, model_path, tensorrt_model_path
from tests.support.fake_tensorrt import CAPABILITIES

if TYPE_CHECKING:
    import onnx

    from dggn.onnx_graph.source import SourceModel

Run = Callable[["onnx.ModelProto | Path", NDArray[Any]], NDArray[Any]]


@pytest.fixture(scope="session")
def strong() -> Capabilities:
    """Capabilities of a library with strong types."""
    return CAPABILITIES


@pytest.fixture(scope="session")
def weak(strong: Capabilities) -> Capabilities:
    """Capabilities of TensorRT 8.5."""
    return dataclasses.replace(
        strong, strong_types=False, precision_flags=True, shared_profiles=False, largest_opset=17
    )


@pytest.fixture(scope="session")
def lite() -> SourceModel:
    """The shipped model, as a deployment machine reads it."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from export.trt.passes.source import read_source

    return read_source(model_path(DEFAULT_MODEL))


@pytest.fixture(scope="session")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> SourceModel:
    """The preset `dggn`, untrained: TensorRT asks for the structure only."""
    pytest.importorskip("onnxruntime")
    torch = pytest.importorskip("torch", reason="needs the export extra")
    pytest.importorskip("onnxscript", reason="needs the export extra")
    import onnx

    from dggn.model.config import preset
    from export.graph import model_info, onnx_graph
    from export.trt.passes.source import read_source
    from tests.support.untrained import untrained

    torch.manual_seed(0)
    generator = untrained(preset("dggn"))
    info = model_info(generator, sample_type="float32", halo_px=16, origin="a test")
    path = tmp_path_factory.mktemp("flagship") / "dggn.onnx"
    onnx.save(onnx_graph(generator, info), path)
    return read_source(path)


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    """A part of a photograph, (48, 64, 3)."""
    with Image.open(PHOTOGRAPH) as picture:
        return np.asarray(picture.convert("RGB"))[16:64, 32:96]


@pytest.fixture(scope="session")
def batch(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same for a float model, (1, 3, 48, 64)."""
    nchw = image[None].transpose(0, 3, 1, 2).astype(np.float32) * np.float32(1 / 255)
    return np.ascontiguousarray(nchw)


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a model on the CPU."""
    onnxruntime = pytest.importorskip("onnxruntime")

    def run(model: onnx.ModelProto | Path, batch: NDArray[Any]) -> NDArray[Any]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model if isinstance(model, Path) else model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        result: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: batch})[0]
        return result

    return run


@pytest.fixture(scope="session")
def expected(run: Run, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the shipped file on the batch."""
    return run(model_path(DEFAULT_MODEL), batch)


@pytest.fixture(scope="session")
def int8_file() -> Path:
    """The shipped INT8 model as TensorRT takes it."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return tensorrt_model_path(model_path("dggn-lite", "int8"))


@pytest.fixture(scope="session")
def foreign_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another program's file: opset 14, other names, `Constant` nodes, no metadata."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)

    def weight(name: str, out: int, inside: int) -> TensorProto:
        values = random.normal(0, 0.1 / (3 * inside**0.5), (out, inside, 3, 3))
        # The picture passes through, as in any upscaler.
        for channel in range(3):
            values[channel, channel, 1, 1] += 1
        return numpy_helper.from_array(values.astype(np.float32), name)

    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32))
    nodes = [helper.make_node("Constant", [], ["scales"], value=scales)]
    before = "lr"
    for step in range(2):
        nodes += [
            helper.make_node("Conv", [before, f"w{step}"], [f"c{step}"], pads=[1] * 4),
            helper.make_node("LeakyRelu", [f"c{step}"], [f"l{step}"], alpha=0.2),
            helper.make_node("Resize", [f"l{step}", "", "scales"], [f"r{step}"], mode="nearest"),
        ]
        before = f"r{step}"
    nodes.append(helper.make_node("Conv", [before, "w2"], ["sr"], pads=[1] * 4))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, f"{name}_h", f"{name}_w"])
        for name in ("lr", "sr")
    ]
    stored = [weight("w0", 16, 3), weight("w1", 16, 16), weight("w2", 3, 16)]
    graph = helper.make_graph(nodes, "foreign", values[:1], values[1:], stored)
    path = tmp_path_factory.mktemp("foreign") / "foreign.onnx"
    opset = helper.make_opsetid("", 14)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def grouped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as version 0.1 exported them: groups behind a Split, a last convolution at HR."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    shapes = {"enter": (16, 3, 3, 3), "inner": (8, 4, 3, 3), "up": (64, 16, 3, 3)}
    stored = [
        numpy_helper.from_array(random.normal(0, 0.03, shape).astype(np.float32), name)
        for name, shape in {**shapes, "tail": (3, 4, 3, 3)}.items()
    ]
    pads = [1] * 4
    nodes = [
        helper.make_node("Conv", ["lr", "enter"], ["wide"], pads=pads),
        helper.make_node("LeakyRelu", ["wide"], ["soft"], alpha=0.2),
        helper.make_node("Split", ["soft"], ["one", "other"], axis=1, num_outputs=2),
        helper.make_node("Conv", ["one", "inner"], ["filtered"], group=2, pads=pads),
        helper.make_node("Concat", ["filtered", "other"], ["joined"], axis=1),
        helper.make_node("Conv", ["joined", "up"], ["low"], pads=pads),
        helper.make_node("DepthToSpace", ["low"], ["high"], blocksize=4, mode="CRD"),
        helper.make_node("Conv", ["high", "tail"], ["detail"], pads=pads),
        helper.make_node("Resize", ["lr", "", "scales"], ["enlarged"], mode="linear"),
        helper.make_node("Add", ["enlarged", "detail"], ["sr"]),
    ]
    stored.append(numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales"))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, f"{name}_h", f"{name}_w"])
        for name in ("lr", "sr")
    ]
    graph = helper.make_graph(nodes, "grouped", values[:1], values[1:], stored)
    path = tmp_path_factory.mktemp("grouped") / "grouped.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path
    )
    return path
