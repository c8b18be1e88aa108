"""Small made-up models, and a function that opens them with OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.openvino.backend import OpenVinoBackend
from runtime.backends.openvino.open import open_openvino
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo, WantedPrecision
from runtime.tiles.stitch import upscale_in_tiles

FLOATS = onnx.TensorProto.FLOAT
INFO = ModelInfo(
    preset="custom",
    scale=2,
    sample_type="float32",
    size_multiple_px=2,
    halo_px=4,
    origin="a test",
)


def write_model(
    path: Path,
    *,
    info: ModelInfo | None = INFO,
    weight: float = 1 / 9,
    domain: str = "",
    levels: bool = False,
    reflects: bool = False,
) -> Path:
    """Write a model that blurs and enlarges twice, with `levels` in whole numbers from 0 to 255."""
    make = onnx.helper.make_node
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        kernel[channel, channel] = weight
    pads = [0, 0, 0, 0] if reflects else [1, 1, 1, 1]
    nodes = [make("Pad", ["input", "sides"], ["padded"], mode="reflect")] * reflects
    source = "padded" if reflects else "input"
    nodes += [make("Conv", [source, "kernel"], ["blurred"], pads=pads, domain=domain)]
    nodes += [make("Round", ["blurred"], ["rounded"])] * levels
    small = "rounded" if levels else "blurred"
    nodes += [make("Resize", [small, "", "scales"], ["output"], mode="nearest")]
    graph = onnx.helper.make_graph(
        nodes,
        "a test's",
        [onnx.helper.make_tensor_value_info("input", FLOATS, ["n", 3, "h", "w"])],
        [onnx.helper.make_tensor_value_info("output", FLOATS, ["n", 3, "hh", "ww"])],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
            onnx.numpy_helper.from_array(np.array([0, 0, 1, 1] * 2), "sides"),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    opsets += [onnx.helper.make_opsetid(domain, 1)] * bool(domain)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if info is not None:
        onnx.helper.set_model_props(model, info.to_metadata())
    onnx.save(model, path)
    return path


class Opener:
    """Opens backends, and counts how often they were compared with ONNX Runtime."""

    def __init__(self) -> None:
        self.verified = 0
        self.said: list[str] = []

    def __call__(
        self, path: Path, precision: WantedPrecision | None = None, **options: Any
    ) -> OpenVinoBackend:
        def reference() -> OrtBackend:
            self.verified += 1
            return OrtBackend(path, threads=1, where="cpu")

        return open_openvino(
            path,
            precision=precision,
            threads=1,
            say=self.said.append,
            open_reference=reference,
            **options,
        )


def noise(height: int, width: int, dtype: type = np.uint8) -> Samples:
    top = np.iinfo(dtype).max + 1
    samples: Samples = np.random.default_rng(0).integers(0, top, (height, width, 3)).astype(dtype)
    return samples


def whole(backend: Any, picture: Samples) -> Samples:
    return upscale_in_tiles(picture, backend, tile_size=1 << 12, overlap=4)
