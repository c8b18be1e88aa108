from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the export, calibrate or trt extra")
pytest.importorskip("onnxruntime", reason="needs the export, calibrate or trt extra")

from onnx import helper

from dggn.onnx_graph.evaluate import as_input, evaluate
from runtime.errors import BackendError
from tests.unit.dggn.onnx_graph.test_fold import model_of

FEEDS = [np.array([1, 2], np.float32), np.array([-3, 4], np.float32)]


def test_tensors_inside_a_model() -> None:
    model = model_of(
        [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"])], {}
    )
    before = model.SerializeToString()
    found = list(evaluate(model, ["a", "y"], FEEDS))
    np.testing.assert_array_equal(found, [[[1, 2], [-1, -2]], [[0, 4], [0, -4]]])
    assert model.SerializeToString() == before


def test_what_cannot_be_run() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {})
    with pytest.raises(BackendError, match="ONNX Runtime failed on the model"):
        list(evaluate(model, ["nosuch"], FEEDS))


def test_pictures_of_8_and_16_bits_are_one_input() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert as_input(image, "uint8").shape == (1, 2, 4, 3)
    batch = as_input(image, "float32")
    assert batch.shape == (1, 3, 2, 4)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, :, 1, 2], image[1, 2] / 255, rtol=1e-6)
    deep = as_input(image.astype(np.uint16) * np.uint16(257), "float32")
    np.testing.assert_allclose(deep, batch, rtol=1e-6)
