"""Fixtures: a tiny exported generator and tiny photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import onnx


def photograph(seed: int, height: int = 192, width: int = 256) -> NDArray[np.uint8]:
    """Flat, textured, sharp and dark parts."""
    y, x = np.mgrid[0:height, 0:width]
    random = np.random.default_rng(seed)
    image = np.stack([x * 0.5, y * 0.7, 128 + 0 * x], axis=-1).astype(np.float64)
    image[: height // 2, : width // 3] = random.normal(128, 40, (height // 2, width // 3, 3))
    image[height // 2 :, width // 2 :] = (
        250 * ((x + 3 * seed) // 24 % 2)[height // 2 :, width // 2 :, None]
    )
    image[: height // 2, 2 * width // 3 :] *= 0.1
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three."""
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(3):
        Image.fromarray(photograph(seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny untrained generator: weights of 16 and 8 bits, and with 8-bit input and output."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from dggn.model.config import GeneratorConfig
    from dggn.model.generator import Generator
    from export.write import ExportOptions, write_onnx

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = GeneratorConfig(
        width=16, image_units=1, gradient_units=1, tail_width=8, se_reduction=4
    )
    generator = Generator(config).eval()
    with torch.no_grad():
        # Large enough that the network's part of the picture is seen.
        torch.nn.init.normal_(generator.image_tail.last.weight, std=0.05)
        # Exporters keep one of two tensors that are all zero.
        torch.nn.init.normal_(generator.image_tail.last.bias, std=0.01)
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.onnx" for name in ("half", "int8", "bytes")}
    options = ExportOptions(sample_type="float32", weights="float16", halo_px=16, origin="a test")
    write_onnx(generator, paths["half"], options)
    write_onnx(generator, paths["int8"], replace(options, weights="int8"))
    paths["bytes"].write_bytes(with_bytes(paths["half"]))
    return paths


def with_bytes(path: Path) -> bytes:
    """A float model between the conversions that `--io uint8` puts around it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = {"input": "float_in", "output": "float_out"}.get(name, name)
    for name, value in (("peak", 255), ("low", 0)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    before = [
        helper.make_node("Cast", ["input"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["nchw", "peak"], ["float_in"]),
    ]
    after = [
        helper.make_node("Mul", ["float_out", "peak"], ["levels"]),
        helper.make_node("Clip", ["levels", "low", "peak"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Transpose", ["rounded"], ["nhwc"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["nhwc"], ["output"], to=TensorProto.UINT8),
    ]
    nodes = [*before, *graph.node, *after]
    for number, node in enumerate(nodes):
        node.name = node.name or f"conversion{number}"
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    for name, values in (("input", graph.input), ("output", graph.output)):
        shape: list[str | int | None] = ["batch", f"{name}_height", f"{name}_width", 3]
        values.append(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
    properties = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, properties | {"dggn.sample_type": "uint8"})
    content: bytes = model.SerializeToString()
    return content


Run = Callable[["onnx.ModelProto", NDArray[Any]], NDArray[Any]]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a model on one batch."""
    onnxruntime = pytest.importorskip("onnxruntime")

    def run(model: onnx.ModelProto, batch: NDArray[Any]) -> NDArray[Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        output: NDArray[Any] = session.run(["output"], {"input": batch})[0]
        return output

    return run


@pytest.fixture
def batch() -> NDArray[np.float32]:
    """Two LR pictures, (2, 3, 24, 40)."""
    random = np.random.default_rng(1)
    return random.random((2, 3, 24, 40), np.float32)
