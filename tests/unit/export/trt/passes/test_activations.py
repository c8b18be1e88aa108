from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")
from dggn.onnx_graph.source import SourceModel
from export.trt.passes.activations import largest_activation

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


def test_largest_activation(
    lite: SourceModel, image: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    found = largest_activation(lite, image)
    assert float(np.abs(expected).max()) <= found < 100
    # A picture of 16 bits is the same picture.
    deep = image.astype(np.uint16) * np.uint16(257)
    assert largest_activation(lite, deep) == pytest.approx(found)
