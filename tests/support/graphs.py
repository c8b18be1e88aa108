"""Small ONNX graphs, and helpers to compare graphs and results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def small_graph(
    nodes: list[Any], tensors: dict[str, NDArray[Any]], version: int = 18, channels: int = 3
) -> Any:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name in ("x", "y")
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "small", values[:1], values[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=9)


def initializers(path: Path) -> dict[str, Any]:
    graph = onnx.load(path).graph
    return {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}


def psnr_db(found: NDArray[Any], expected: NDArray[Any], peak: float) -> float:
    error = float(np.mean((found.astype(np.float64) - expected.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def in_levels(result: NDArray[np.float32]) -> NDArray[Any]:
    levels: NDArray[Any] = np.rint(np.clip(result * np.float32(255), 0, 255))
    return levels.transpose(0, 2, 3, 1)
